/**
 * The power fails while mlv works: of what was not flushed, anything may be lost (power-loss/disk.ts says what). Nothing that was
 * recorded is. And without any one flush or rename of those in mlv's sources, something is.
 */
import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';
import { bundleCode, type Code } from './power-loss/code.ts';
import { mutate, type Place, placesOf } from './power-loss/mutations.ts';
import { record, type Recording } from './power-loss/record.ts';
import { makeOrigin, SCENES } from './power-loss/scenes.ts';
import { chooseMoments, tryStates } from './power-loss/trials.ts';
import { seededRandom } from './random.ts';

/** A seed in the environment repeats a run; `npm run test:power` asks for more moments, of all scenes, and for the mutations. */
const seed = Number(process.env['MLV_POWER_SEED'] ?? Date.now() % 1_000_000);
const CUTS = Number(process.env['MLV_POWER_CUTS'] ?? 2);
const IS_WHOLE = process.env['MLV_POWER'] === 'whole';
const QUICK = ['add, first', 'push, first', 'repro'];
/** Only scenes, and only places of mutations, that match. */
const WANTED = new RegExp(process.env['MLV_POWER_SCENES'] ?? '');
const PLACES = new RegExp(process.env['MLV_POWER_PLACES'] ?? '');
/** Tells of each caller of the functions that write files durably which of their flushes it needs. Some need not all, which is no failure. */
const BY_CALLER = process.env['MLV_POWER_CALLERS'] !== undefined;
const scenes = IS_WHOLE
  ? SCENES.filter(({ name }) => WANTED.test(name))
  : SCENES.filter(({ name }) => QUICK.includes(name));
const HOURS = 4 * 3_600_000;
/** Windows opens no folders to flush them, and its file systems are not what the model is of. */
const skipped = process.platform === 'win32' ? 'Windows flushes no folders' : undefined;

/** Renames and flushes whose lack loses nothing, and why they are there all the same: by file and kind. */
const OTHERWISE: Readonly<Record<string, string>> = {
  'src/storage/folder-copy.ts rename': 'takes the place of a temporary file that has no name yet',
  'src/storage/materialise-task.ts rename': 'sets a file aside, which the cache has',
  'src/workspace/move.ts rename':
    'moves a folder, which cannot be written in place, and a stat cache, which is discardable',
  'src/workspace/unprotect.ts rename': 'takes the place of a link; the cache has the bytes',
  'src/storage/repair-cache.ts rename': 'takes the place of what is damaged',
  'src/storage/stat-cache.ts rename': 'discardable: damage shows by its hash',
  'src/storage/index-mirror.ts rename': 'discardable: damage shows by its hashes',
  'src/workspace/run-cache.ts rename': 'discardable: damage shows by its hash',
  'src/workspace/pipeline-memory.ts rename': 'discardable: damage shows by its hash',
  'src/storage/download-large.ts rename': 'claims what an earlier run has left; all of it is hashed',
};

/** What each caller needs takes long to tell: a few moments must do, the last among them. */
const someOf = (moments: readonly number[]): number[] =>
  moments.filter((_, index) => (moments.length - 1 - index) % Math.ceil(moments.length / 6) === 0);

let rig: MlvRig;
let origin: string;
let code: Code;
const recordings: Recording[] = [];
/** Of each scene, the states that were found to be right. */
const known = new Map<string, Set<string>>();
const lines: string[] = [];

function tell(line: string): void {
  lines.push(line);
  const log = process.env['MLV_POWER_LOG'];
  if (log !== undefined) appendFileSync(log, `${line}\n`);
}

beforeAll(async () => {
  if (skipped !== undefined) return;
  rig = makeMlvRig();
  [origin, code] = await Promise.all([makeOrigin(rig), bundleCode(rig.folder, { byCaller: BY_CALLER })]);
});
afterAll(() => {
  console.log(skipped === undefined ? `MLV_POWER_SEED=${seed}\n${lines.join('\n')}` : `skipped: ${skipped}`);
  if (process.env['MLV_POWER_KEEP'] === undefined) rig?.dispose();
});

for (const scene of scenes) {
  test.skipIf(skipped !== undefined)(`${scene.name}: nothing is lost`, { timeout: HOURS }, async () => {
    const random = seededRandom(seed + SCENES.indexOf(scene) * 1_000_003);
    const recording = await record({ rig, origin, code }, scene);
    recordings.push(recording);
    const right = new Set<string>();
    known.set(scene.name, right);
    const { cuts, states, failures } = await tryStates(
      { rig, recording, changes: recording.changes, known: right, random },
      {
        moments: chooseMoments(recording.changes, CUTS, random),
        effort: IS_WHOLE ? { folders: 2, chances: 2 } : { folders: 1, chances: 1 },
        stopAt: 4,
      },
    );
    tell(`| ${scene.name} | ${recording.changes.length} | ${cuts} | ${states} |`);
    for (const failure of failures) tell(`FAILURE ${failure}`);
    expect(failures).toEqual([]);
  });
}

test.skipIf(skipped !== undefined || !IS_WHOLE)(
  `without any one flush or rename, something is lost${IS_WHOLE ? '' : ' (skipped: only in npm run test:power)'}`,
  { timeout: HOURS },
  async () => {
    const places = new Map<string, { readonly place: Place; readonly recordings: Recording[] }>();
    for (const recording of recordings) {
      for (const place of placesOf(recording, code)) {
        const key = `${place.place} ${place.what}`;
        const entry = places.get(key) ?? { place, recordings: [] };
        entry.recordings.push(recording);
        places.set(key, entry);
      }
    }
    const unguarded: string[] = [];
    for (const key of [...places.keys()].sort()) {
      const entry = places.get(key);
      if (entry === undefined || !PLACES.test(key)) continue;
      const reason = OTHERWISE[`${entry.place.place.replace(/:\d+$/, '')} ${entry.place.what}`];
      const random = seededRandom(seed);
      let states = 0;
      let found: string | undefined;
      for (const recording of entry.recordings.slice(0, reason === undefined ? undefined : 2)) {
        const { changes, moments: all } = mutate(recording, entry.place, code);
        const moments = BY_CALLER ? someOf(all) : all;
        const outcome = await tryStates(
          { rig, recording, changes, known: new Set(known.get(recording.scene.name)), random },
          { moments, effort: BY_CALLER ? { folders: 1, chances: 0 } : { folders: 2, chances: 1 }, stopAt: 1 },
        );
        states += outcome.states;
        [found] = outcome.failures;
        if (found !== undefined) break;
      }
      if (found === undefined && reason === undefined) unguarded.push(key);
      tell(
        `| ${key} | ${states} | ${found?.replaceAll('\n', ' ').slice(0, 400) ?? reason ?? `NOTHING in ${entry.recordings.map(({ scene }) => scene.name).join('; ')}`} |`,
      );
    }
    expect(BY_CALLER ? [] : unguarded).toEqual([]);
  },
);
