/**
 * Results of stages that this machine knows, by the fingerprint of what they depend on, in `runs/ab/FINGERPRINT/HASH`. The time of a file
 * is when its result was made, or stored at the remote that it is from; that of the folder is when it was last used: after 90 days
 * without use results no longer keep their data, and a collection forgets them.
 */
import { rmdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { LockedOutput, OutputState, Stage, StageObservation } from '../domain/pipeline.ts';
import { fromFolder, relativeTo } from '../domain/relative-path.ts';
import { runFolder, RUNS_FOLDER } from '../domain/remote-layout.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { repoDirname } from '../domain/repo-path.ts';
import type { RunRecord } from '../domain/run-record.ts';
import { formatRunRecord, MAX_RUN_RECORD_BYTES, parseRunRecord } from '../domain/run-record.ts';
import type { Author } from '../git/author.ts';
import { readSmallFile, replaceFile } from '../platform/durable-write.ts';
import { digestOfBytes } from '../platform/hash.ts';
import { listNames } from '../platform/list-names.ts';
import { makeFolder } from '../platform/make-folder.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { GcRoot } from '../storage/mark-needed.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { canRestore } from './restore-outputs.ts';

const KEPT_MS = 90 * 24 * 60 * 60 * 1000;

export interface CachedRun {
  readonly record: RunRecord;
  /** As it was written; a later mlv may say more in it than `record` has. */
  readonly text: string;
  /** Of that text. */
  readonly hash: Digest;
  /** Milliseconds since 1970, by which the newest is told. */
  readonly time: number;
}

export interface FoundRun {
  readonly record: RunRecord;
  /** What it made, as this stage declares it. */
  readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
  /** Of that, what is to be brought: all but what Git has brought already. */
  readonly away: ReadonlyMap<RepoPath, LockedOutput>;
}

export interface RunCache {
  /**
   * The newest result whose data is at hand, with `pull` also on a remote, and whose author is trusted (`runCache.trust`). Throws what
   * asking a remote does.
   */
  find(
    fingerprint: Digest,
    options: VerbOptions & {
      readonly stage: Stage;
      readonly pull: boolean;
      /** What is at its outputs. */
      readonly seen: StageObservation['outs'];
    },
  ): Promise<FoundRun | undefined>;
  /** Adds a result whose data is durable in the cache; not one with thousands of outputs, whose record would be too large. */
  put(record: RunRecord): void;
  /** All there are, the newest first; what is no record is passed over. */
  list(): CachedRun[];
  forget(runs: readonly CachedRun[]): void;
}

export function openRunCache(workspace: Workspace): RunCache {
  let author: Promise<Author | undefined> | undefined;

  async function isTrusted({ producer }: RunRecord): Promise<boolean> {
    if (workspace.settings.values['runCache.trust'] === 'all') return true;
    author ??= authorOf(workspace);
    return producer !== undefined && producer.email === (await author)?.email;
  }

  return {
    async find(fingerprint, { stage, pull, seen, ...verb }) {
      for (const { record } of runsOf(workspace, fingerprint)) {
        const outs = outputsFor(stage, record);
        if (outs === undefined || !(await isTrusted(record))) continue;
        const away = new Map([...outs].filter(([path, output]) => output.cache || !isThere(seen.get(path), output)));
        if (!(await canRestore(workspace, { ...verb, outs: away.values(), pull }))) continue;
        touch(folderOf(workspace, fingerprint));
        return { record, outs, away };
      }
      return undefined;
    },
    put(record) {
      try {
        storeRun(workspace, { fingerprint: record.fingerprint, text: formatRunRecord(record) });
      } catch (error) {
        // The stage has run all the same; it will run again where it could have been restored.
        if (!(error instanceof MlvError) || error.code !== 'run-record-too-large') throw error;
      }
    },
    list: () =>
      fingerprints(workspace)
        .flatMap((fingerprint) => runsOf(workspace, fingerprint))
        .sort(byAge),
    forget(runs) {
      for (const { record, hash } of runs) {
        const folder = folderOf(workspace, record.fingerprint);
        rmSync(join(folder, hash), { force: true });
        removeIfEmpty(folder);
      }
    },
  };
}

/** Who runs stages here, and on which commit. */
export type RunOrigin = Pick<RunRecord, 'producer' | 'commit'>;

/** Asks Git, which takes a few processes: once for all stages of a run. */
export async function runOrigin(workspace: Workspace): Promise<RunOrigin> {
  const producer = await authorOf(workspace);
  const commit = await (await workspace.git())?.head();
  return { ...(producer && { producer }), ...(commit !== undefined && { commit }) };
}

/** What is told of a result that was made here, now unless `finished` says when: ISO 8601, UTC, in seconds. */
export function describeRun(given: {
  readonly stage: Stage;
  readonly fingerprint: Digest;
  readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
  readonly seconds: number;
  readonly origin: RunOrigin;
  readonly finished?: string;
}): RunRecord {
  const { stage, fingerprint, outs, seconds, origin } = given;
  const { finished = new Date().toISOString().replace(/\.\d+Z$/, 'Z') } = given;
  const folder = repoDirname(stage.file);
  return {
    fingerprint,
    stage: stage.id,
    outs: new Map([...outs].map(([path, output]) => [relativeTo(path, folder), output])),
    ...origin,
    platform: `${process.platform}-${process.arch}`,
    finished,
    seconds,
  };
}

/** Adds a result; `time` is when it was stored at the remote that it is from, in milliseconds since 1970. */
export function storeRun(
  workspace: Workspace,
  { fingerprint, text, time }: { readonly fingerprint: Digest; readonly text: string; readonly time?: number },
): void {
  const folder = folderOf(workspace, fingerprint);
  const hash = hashOfRun(text);
  const file = join(folder, hash);
  makeFolder(folder);
  if (readRunText(file, hash) === undefined) {
    // Not flushed: what a crash of the machine leaves of it is told by its hash, and only costs a run that could have been spared.
    replaceFile(file, text);
    if (time !== undefined) utimesSync(file, time / 1000, time / 1000);
  }
  touch(folder);
}

export function hashOfRun(text: string): Digest {
  return digestOfBytes(Buffer.from(text));
}

/** Whether a result is here already. */
export function hasRun(workspace: Workspace, fingerprint: Digest, hash: Digest): boolean {
  return readRunText(join(folderOf(workspace, fingerprint), hash), hash) !== undefined;
}

/** What results name that were used in the last 90 days. */
export function* runRoots(workspace: Workspace): Generator<GcRoot> {
  for (const fingerprint of fingerprints(workspace)) {
    if (isExpired(folderOf(workspace, fingerprint))) continue;
    for (const { record } of runsOf(workspace, fingerprint))
      for (const { hash: digest, type } of record.outs.values()) yield { digest, type };
  }
}

/** Forgets results that were not used for 90 days. */
export function expireRuns(workspace: Workspace): void {
  for (const fingerprint of fingerprints(workspace)) {
    const folder = folderOf(workspace, fingerprint);
    if (isExpired(folder)) rmSync(folder, { recursive: true, force: true });
  }
}

/** The outputs of a record, if they are just those that a stage declares; how they are kept the stage says, not the record. */
function outputsFor(stage: Stage, { outs }: RunRecord): ReadonlyMap<RepoPath, LockedOutput> | undefined {
  const made = new Map<RepoPath, LockedOutput>();
  for (const { path, cache, persist, push, remote } of stage.outs) {
    const output = outs.get(relativeTo(path, repoDirname(stage.file)));
    if (output === undefined) return undefined;
    const { remote: _, ...version } = output;
    made.set(path, { ...version, cache, persist, push, ...(remote !== undefined && { remote }) });
  }
  return made.size === outs.size ? made : undefined;
}

/** The outputs of a record where the file of its stage is in `folder`; those that would be outside of the project are left out. */
export function outputsIn(folder: RepoPath, { outs }: RunRecord): ReadonlyMap<RepoPath, LockedOutput> {
  const made = new Map<RepoPath, LockedOutput>();
  for (const [written, output] of outs) {
    const path = fromFolder(folder, written);
    if (path !== undefined) made.set(path, output);
  }
  return made;
}

function isThere(state: OutputState | undefined, { type, hash, exec }: LockedOutput): boolean {
  return typeof state === 'object' && state.type === type && state.hash === hash && state.exec === exec;
}

async function authorOf({ layout, environment }: Workspace): Promise<Author | undefined> {
  if (layout === undefined) return undefined;
  const { readAuthor } = await import('../git/author.ts');
  return readAuthor(layout, environment);
}

/** The results of a fingerprint, the newest first. */
function runsOf(workspace: Workspace, fingerprint: Digest): CachedRun[] {
  const folder = folderOf(workspace, fingerprint);
  const runs: CachedRun[] = [];
  for (const hash of listNames(folder)) {
    const file = join(folder, hash);
    if (!isDigest(hash)) continue;
    const text = readRunText(file, hash);
    const record = text === undefined ? undefined : parsed(text, file);
    const time = statsAt(file)?.mtimeMs;
    if (text !== undefined && record?.fingerprint === fingerprint && time !== undefined)
      runs.push({ record, text, hash, time });
  }
  return runs.sort(byAge);
}

/** Undefined for what is not whole, as a crash of the machine may leave it, and where there is none. */
function readRunText(file: string, hash: Digest): string | undefined {
  const stats = statsAt(file);
  if (stats?.isFile() !== true || stats.size > MAX_RUN_RECORD_BYTES) return undefined;
  const bytes = readSmallFile(file, MAX_RUN_RECORD_BYTES);
  return bytes !== undefined && digestOfBytes(bytes) === hash ? bytes.toString('utf8') : undefined;
}

function parsed(text: string, name: string): RunRecord | undefined {
  try {
    return parseRunRecord(text, name);
  } catch (error) {
    // A result that cannot be read is none: the stage runs.
    if (!(error instanceof MlvError)) throw error;
    return undefined;
  }
}

function fingerprints({ sharedFolder }: Workspace): Digest[] {
  const runs = join(sharedFolder, RUNS_FOLDER);
  return listNames(runs)
    .flatMap((lot) => listNames(join(runs, lot)))
    .filter(isDigest);
}

function folderOf({ sharedFolder }: Workspace, fingerprint: Digest): string {
  return join(sharedFolder, runFolder(fingerprint));
}

function byAge(a: CachedRun, b: CachedRun): number {
  return b.time - a.time || (a.hash < b.hash ? -1 : 1);
}

function isExpired(folder: string): boolean {
  const stats = statsAt(folder);
  return stats !== undefined && Date.now() - stats.mtimeMs > KEPT_MS;
}

function touch(folder: string): void {
  try {
    utimesSync(folder, new Date(), new Date());
  } catch (error) {
    // Who may only read has it all the same.
    if (!hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT')) throw error;
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!hasErrorCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error;
  }
}
