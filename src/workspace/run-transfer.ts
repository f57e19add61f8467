import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { LockedOutput } from '../domain/pipeline.ts';
import { PIPELINE_FILE } from '../domain/pipeline.ts';
import { parseRunKey, runFolder, RUNS_FOLDER } from '../domain/remote-layout.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { meet } from '../domain/repo-path.ts';
import type { RunRecord } from '../domain/run-record.ts';
import { MAX_RUN_RECORD_BYTES, parseRunRecord } from '../domain/run-record.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { Home } from '../storage/home.ts';
import { readLocks } from './locks.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';
import { pushVersions } from './push.ts';
import { missingOnRemotes } from './restore-outputs.ts';
import type { CachedRun } from './run-cache.ts';
import { hashOfRun, hasRun, openRunCache, outputsIn, storeRun } from './run-cache.ts';
import { resolveTarget } from './targets.ts';
import { trackedOutput } from './tracked.ts';
import type { TransferOptions, WantedVersion } from './transfer-scope.ts';

const JOBS = 8;

export interface PushedRuns {
  /** Results that the remote has got. */
  readonly sent: number;
  /** Those that it had. */
  readonly known: number;
  /** Results some of whose data is in neither the cache nor on a remote, or is not to be pushed: nobody could use them. */
  readonly incomplete: number;
}

export interface FetchedRuns {
  readonly received: number;
  readonly known: number;
  /** Keys of what is no result, or not the one that its name says: passed over. */
  readonly invalid: readonly string[];
}

type PushOptions = Pick<TransferOptions, 'targets' | 'cwd' | 'remote' | 'jobs' | 'signal' | 'onProgress'>;

/**
 * Sends the results of the stages that the lock files have, with targets only of those that make something there: first their data, then,
 * where the remotes have all of it, the records.
 */
export async function pushRuns(workspace: Workspace, options: PushOptions): Promise<PushedRuns> {
  const { remote: asked, signal } = options;
  const runs = await selectedRuns(workspace, options);
  if (runs.length === 0) return { sent: 0, known: 0, incomplete: 0 };
  const versions = runs.flatMap(({ record, outs }) => [...outs].flatMap((out) => versionOf(record, out)));
  const { targets: _, cwd: _cwd, ...verb } = options;
  await pushVersions(workspace, versions, verb);
  const outputs = runs.flatMap(({ outs }) => [...outs.values()]);
  const missing = await missingOnRemotes(workspace, outputs, { remote: asked, signal });
  const whole = runs.filter(({ outs }) => [...outs.values()].every(({ hash, push }) => push && !missing.has(hash)));
  const { home, remote } = await openNamedRemote(workspace, remoteNameFor(workspace, undefined, asked), options);
  try {
    const known = new Set<string>();
    for await (const { key } of home.list(RUNS_FOLDER, signal)) known.add(key);
    const unknown = whole.filter(({ record, hash }) => !known.has(runFolder(record.fingerprint) + hash));
    await forEachParallel(unknown, { jobs: JOBS, signal }, async ({ record, text, hash }, stop) => {
      await home.write(runFolder(record.fingerprint) + hash, [Buffer.from(text)], stop);
    });
    const sent = unknown.length;
    return { sent, known: whole.length - sent, incomplete: runs.length - whole.length };
  } finally {
    remote.close();
  }
}

/** Gets results that a remote has: of these fingerprints, or all. Their data is fetched when it is wanted. */
export async function fetchRuns(
  workspace: Workspace,
  options: Pick<TransferOptions, 'remote' | 'jobs' | 'signal'> & { readonly fingerprints?: readonly Digest[] },
): Promise<FetchedRuns> {
  const { fingerprints, signal } = options;
  const name = remoteNameFor(workspace, undefined, options.remote);
  const { home, remote } = await openNamedRemote(workspace, name, options);
  const told = { known: 0, invalid: [] as string[] };
  const listed: ListedRun[] = [];
  const prefixes = fingerprints === undefined ? [RUNS_FOLDER] : [...new Set(fingerprints)].map(runFolder);
  try {
    await forEachParallel(prefixes, { jobs: JOBS, signal }, async (prefix, stop) => {
      for await (const { key, modified } of home.list(prefix, stop)) {
        const named = parseRunKey(key);
        if (named === undefined) told.invalid.push(key);
        else if (hasRun(workspace, named.fingerprint, named.hash)) told.known += 1;
        else listed.push({ key, ...named, time: modified });
      }
    });
    await forEachParallel(listed, { jobs: JOBS, signal }, async (run, stop) => {
      const text = await readRun(home, run, stop);
      if (text === undefined) told.invalid.push(run.key);
      else storeRun(workspace, { ...run, text });
    });
  } finally {
    remote.close();
  }
  const invalid = new Set(told.invalid);
  return { ...told, received: listed.filter(({ key }) => !invalid.has(key)).length, invalid: told.invalid.sort() };
}

interface ListedRun {
  readonly key: string;
  readonly fingerprint: Digest;
  readonly hash: Digest;
  /** By the store's clock. */
  readonly time: number;
}

/** Undefined for what is not the record that its key names. */
async function readRun(
  home: Home,
  { key, fingerprint, hash }: ListedRun,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const bytes = await home.readAll(key, MAX_RUN_RECORD_BYTES, signal);
    const text = bytes.toString('utf8');
    return hashOfRun(text) === hash && parseRunRecord(text, key).fingerprint === fingerprint ? text : undefined;
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    if (error.kind === 'corrupt' || error.kind === 'unsupported' || error.code === 'object-missing') return undefined;
    throw error;
  }
}

async function selectedRuns(
  workspace: Workspace,
  { targets, cwd }: PushOptions,
): Promise<(CachedRun & { readonly outs: ReadonlyMap<RepoPath, LockedOutput> })[]> {
  const paths = targets.map((target) => resolveTarget(workspace, cwd, target));
  const locks = await readLocks(workspace);
  return openRunCache(workspace)
    .list()
    .flatMap((run) => {
      const { stage } = run.record;
      const made = [...locks].find(([id]) => id === stage)?.[1].outs.keys();
      const isMeant =
        made !== undefined && (paths.length === 0 || [...made].some((out) => paths.some((path) => meet(out, path))));
      return isMeant ? { ...run, outs: outputsIn(folderOf(stage), run.record) } : [];
    });
}

/** The folder of the file that declares a stage. */
function folderOf(stage: string): RepoPath {
  const end = stage.lastIndexOf(`/${PIPELINE_FILE}:`);
  return stage.slice(0, Math.max(0, end)) as RepoPath;
}

function versionOf(record: RunRecord, [path, output]: readonly [RepoPath, LockedOutput]): WantedVersion[] {
  if (!output.push) return [];
  const { pointer } = trackedOutput(path, output, { lock: path, stage: record.stage });
  return [{ path, pointer, selection: 'all', revision: `${record.stage} of ${record.finished}` }];
}
