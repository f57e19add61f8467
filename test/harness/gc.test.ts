/** Collections beside everything else that goes on in a cache: nothing that is referred to is ever missing, or altered. */
import { lutimesSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { told } from '../support/told.ts';
import type { Random } from './random.ts';
import { seededRandom } from './random.ts';

/** Rounds of commands at the same time; `npm run test:gc` sets more. A seed in the environment repeats a run, but for its timing. */
const ROUNDS = Number(process.env['MLV_GC_ROUNDS'] ?? 3);
const seed = Number(process.env['MLV_GC_SEED'] ?? Date.now() % 1_000_000);
const DAY_MS = 24 * 60 * 60 * 1000;
const VERSIONS = 6;

let rig: MlvRig;
const counts = new Map<string, number>();
const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => {
  console.log(`MLV_GC_SEED=${seed}: ${[...counts].map(([what, times]) => `${what} ${times}`).join(', ')}`);
  rig.dispose();
}, 120_000);

/** Makes some of the files in a folder look as if they were used long ago, or was thrown away long ago. */
function makeOld(folder: string, random: Random): void {
  const then = new Date(Date.now() - (10 + random.next(30)) * DAY_MS);
  for (const name of readdirSync(folder, { recursive: true })) {
    // What is being written is young.
    if (String(name).startsWith('tmp/')) continue;
    try {
      if (random.next(10) < 8) lutimesSync(join(folder, String(name)), then, then);
    } catch {
      // moved meanwhile
    }
  }
}

test(
  'collections, adds, checkouts, fetches, pushes and verifications of two clones on one cache',
  { timeout: ROUNDS * 60_000 },
  async () => {
    const random = seededRandom(seed);
    const cache = join(rig.folder, 'cache');
    const origin = await shareProject(rig, 'origin');
    await told(rig, origin.root, ['config', '--local', 'cache.dir', cache]);
    const contents: Readonly<Record<string, string>>[] = [];
    for (let version = 0; version < VERSIONS; version++) {
      const files = Object.fromEntries(
        Object.entries(manyFiles(150, 'data/')).filter((_, index) => (index + version) % VERSIONS !== 0),
      );
      rmSync(join(origin.root, 'data'), { recursive: true, force: true });
      await origin.version(
        { ...files, ...manyFiles(80, `data/v${version}/`), model: `model ${version}` },
        'data',
        'model',
      );
      origin.git('tag', `v${version}`);
      contents.push({ ...readFolder(join(origin.root, 'data')) });
    }
    await told(rig, origin.root, ['push']);
    const clones = ['a', 'b'].map((name) => origin.clone(`clone-${name}`));
    for (const { root } of clones) {
      await told(rig, root, ['config', '--local', 'cache.dir', cache]);
      await told(rig, root, ['pull']);
    }
    // From now on only what the clones are at is needed.
    for (const { root } of [origin, ...clones]) {
      const { git } = repositoryAt(root);
      for (let version = 0; version < VERSIONS; version++) git('tag', '--delete', `v${version}`);
    }
    const commits = origin.git('log', '--format=%H', '--reverse').split('\n').slice(-VERSIONS);

    for (let round = 0; round < ROUNDS; round++) {
      makeOld(cache, random);
      const trips = clones.map(async ({ root, git }, which) => {
        for (let step = 0; step < 3; step++) {
          git('reflog', 'expire', '--expire=now', '--all');
          const version = random.next(VERSIONS);
          git('checkout', '--quiet', '--force', commits[version] ?? '');
          await told(rig, root, random.pick([['pull', '--force'], ['fetch']]));
          await told(rig, root, ['checkout', '--force']);
          count('checkouts');
          expect(readFolder(join(root, 'data'))).toEqual(contents[version]);
          if (random.next(2) === 0) {
            writeFiles(root, manyFiles(70, `mine-${round}-${step}-${which}/`));
            await told(rig, root, ['add', `mine-${round}-${step}-${which}`]);
            count('adds');
            await told(rig, root, ['verify', `mine-${round}-${step}-${which}`]);
            await told(rig, root, ['remove', '--data', `mine-${round}-${step}-${which}`]);
            git('reset', '--quiet', '--hard');
          }
          if (random.next(3) === 0) await told(rig, root, ['push']);
        }
      });
      const collections = (async () => {
        for (let step = 0; step < 4; step++) {
          const { root } = random.pick(clones);
          const args = ['gc', '--yes', ...(random.next(3) === 0 ? ['--unpushed'] : [])];
          const { code, stderr } = await rig.mlv(root, args);
          // While another one runs; or what is kept is not all here yet.
          if (code !== 0) expect(stderr).toMatch(/mlv gc|tree objects? of versions that are kept/);
          count(code === 0 ? 'collections' : 'collections refused');
          if (random.next(2) === 0) makeOld(cache, random);
        }
      })();
      await Promise.all([...trips, collections]);
      for (const { root } of clones) {
        await told(rig, root, ['verify']);
        count('verifications');
      }
    }
  },
);
