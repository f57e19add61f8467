/** What must hold after a kill, and after the same command has been run again. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import type { MlvResult } from '../../support/mlv.ts';
import { isTakenAway, lostEdits, recordedSince, recordsIn, wrongLock } from './pipeline-scenes.ts';
import { differences, stateAs, stateOf } from './workspace-state.ts';
import type { Trial } from './trial.ts';

/** What a command that nobody killed leaves. */
export interface Finished {
  readonly before: Readonly<Record<string, string>>;
  readonly pointers: Readonly<Record<string, string>>;
  /** Results of stages that are where the command takes them. */
  readonly records: readonly string[];
  /** `git status --porcelain`. */
  readonly gitStatus: string;
}

const LOCK = 'mlv.lock';

interface Verified {
  readonly clean: boolean;
  readonly problems: readonly unknown[];
  readonly missingFiles: number;
}

function expectSuccess({ code, stdout, stderr }: MlvResult, what: string): void {
  if (code !== 0) throw new Error(`${what}: exit code ${code}\n${stdout}${stderr}`);
}

async function expectVerified(trial: Trial, ...args: string[]): Promise<void> {
  expectSuccess(await trial.mlv('verify', ...args), `mlv verify ${args.join(' ')}`);
}

const gitStatus = (trial: Trial): string => trial.git('status', '--porcelain', '--untracked-files=all');

export function finishedState(trial: Trial, before: Finished['before']): Finished {
  return {
    before,
    pointers: trial.pointers(),
    records: recordsIn(takerOfRecords(trial)).whole,
    gitStatus: gitStatus(trial),
  };
}

const ownRecords = ({ root }: Trial): string => join(root, '.git/mlv/runs');
const sentRecords = ({ folder }: Trial): string => join(folder, 'store/runs');
const takerOfRecords = (trial: Trial): string =>
  trial.scene.records === 'sent' ? sentRecords(trial) : ownRecords(trial);

/** Every command accepts what a kill has left, and nothing is lost. */
export async function expectSound(trial: Trial, finished: Finished): Promise<void> {
  const { scene } = trial;
  expectNothingLost(trial);
  const found = trial.pointers();
  const allowed = (name: string) => [finished.before[name], finished.pointers[name]];
  for (const name of new Set([...Object.keys(finished.before), ...Object.keys(finished.pointers)]))
    if (name !== LOCK) expect(allowed(name)).toContain(found[name]);
  expect(wrongLock(found[LOCK], allowed(LOCK))).toBeUndefined();

  const isFreshThere = found['fresh'] !== undefined;
  const fresh = [
    ...(scene.held.length > 0 && isFreshThere ? ['fresh'] : []),
    ...recordedSince(finished.before[LOCK], found[LOCK]),
  ];
  // Of what is named all must be there; the rest of the cache is read, too.
  if (scene.damaged === 'cache') await expectVerified(trial, '--remote', '--all-tags');
  else await expectVerified(trial, ...new Set([...scene.held, ...fresh]));
  if (scene.of === 'pipeline') await expectPipeline(trial);
  if (scene.args[0] === 'fetch' || scene.args[0] === 'pull') await expectVerified(trial, '--quick');
  if (scene.args[0] === 'push') await expectTruth(trial);

  trial.git('fsck', '--strict', '--no-dangling');
  gitStatus(trial);
  // An index that is damaged is told by whatever reads it.
  if (scene.damaged !== 'cache') expectSuccess(await trial.mlv('status'), 'mlv status');
}

/** What somebody wrote is there, or in the cache; results are whole, or are passed over. */
async function expectPipeline(trial: Trial): Promise<void> {
  const { scene, root } = trial;
  expect(await lostEdits(root, scene.edits ?? {})).toEqual([]);
  expect(recordsIn(sentRecords(trial)).others).toEqual([]);
  const isNew = scene.records === undefined;
  if (isNew) expect(recordsIn(ownRecords(trial)).others.filter((path) => !path.includes('.mlv-tmp-'))).toEqual([]);
  for (const args of [['run-cache', 'list'], ['plan'], ['gc', '--dry-run']])
    expectSuccess(await trial.mlv(...args), `mlv ${args.join(' ')}`);
}

/** The workspace has each path as it was or as it is to be; or, where these differ, not at all, or the beginning of what it is to be. */
function expectNothingLost({ scene, root }: Trial): void {
  const [before, after, found] = [stateAs(scene.before), stateAs(scene.after), stateOf(root, scene.names)];
  const wrong = [...new Set([...Object.keys(before), ...Object.keys(after), ...Object.keys(found)])].filter((path) => {
    if (basename(path).startsWith('.mlv-tmp-')) return false;
    const isToStay = scene.of === 'data' || !isTakenAway(path);
    if (isToStay && before[path] === after[path] && before[path] !== undefined) return found[path] !== before[path];
    // Folders that are emptied, or about to be filled.
    if ([before[path], after[path], undefined, 'empty'].includes(found[path])) return false;
    const content = scene.after[path];
    const isFile = typeof content === 'string' || Buffer.isBuffer(content);
    return !(isFile && isBeginning(readFileSync(join(root, path)), Buffer.from(content)));
  });
  expect(wrong).toEqual([]);
}

function isBeginning(bytes: Buffer, whole: Buffer): boolean {
  return whole.subarray(0, bytes.length).equals(bytes);
}

/** What the remote's indexes say is what reading all of it says. */
async function expectTruth(trial: Trial): Promise<void> {
  const [quick, whole] = await Promise.all(
    [['--quick'], ['--remote']].map(async (args) => {
      const { stdout } = await trial.mlv('--json', 'verify', ...args);
      const result = JSON.parse(stdout) as Verified | { readonly error: { readonly code: string } };
      return 'error' in result ? result.error.code : result;
    }),
  );
  // Before anything was written, there is no remote.
  if (typeof quick === 'string' || typeof whole === 'string')
    expect([quick, whole]).toEqual(['no-remote', 'no-remote']);
  else {
    expect(whole?.problems).toEqual([]);
    expect([quick?.clean, quick?.missingFiles]).toEqual([whole?.clean, whole?.missingFiles]);
  }
}

/** The command is run again: it ends well, with what it would have made at once. `fromScratch`: somebody else gets the data, too. */
export async function expectFinished(trial: Trial, finished: Finished, fromScratch: boolean): Promise<void> {
  const { scene, root } = trial;
  const lock = join(root, '.git/index.lock');
  let again = await trial.mlv(...scene.args);
  if (again.code !== 0 && existsSync(lock)) {
    // Git, killed, leaves its lock: mlv says so, and what to do.
    expect(again.stderr).toContain("another program is changing Git's index");
    rmSync(lock);
    again = await trial.mlv(...scene.args);
  }
  rmSync(lock, { force: true });
  expectSuccess(again, 'run again');
  expect(differences(stateOf(root, scene.names), stateAs(scene.after))).toEqual([]);
  expect(trial.pointers()).toEqual(finished.pointers);
  expect(gitStatus(trial)).toBe(finished.gitStatus);
  await expectVerified(trial, ...scene.heldAfter);
  expect(await lostEdits(root, scene.edits ?? {})).toEqual([]);
  if (scene.records !== undefined) expect(recordsIn(takerOfRecords(trial)).whole).toEqual(finished.records);
  if (scene.args[0] !== 'push' && scene.damaged !== 'remote') return;
  await expectVerified(trial, '--quick', '--all-tags');
  await expectVerified(trial, '--remote', '--all-tags');
  if (!fromScratch) return;
  const clone = await trial.clone();
  expectSuccess(await trial.mlv('-C', clone, 'pull'), 'pull by somebody else');
  expect(differences(stateOf(clone, scene.names), stateAs(scene.pulled))).toEqual([]);
}
