import { MlvError } from '../domain/errors.ts';
import type { Digest } from '../domain/digest.ts';
import type { CollectOptions, Garbage, IsNeeded } from '../storage/collect-cache.ts';
import { findGarbage, garbageDigests, throwAway } from '../storage/collect-cache.ts';
import { createMarks } from '../storage/digest-marks.ts';
import { emptyRun, finishRun, measureRun, restoreNeeded } from '../storage/empty-trash.ts';
import { openLocalCache } from '../storage/local-cache.ts';
import { markNeeded } from '../storage/mark-needed.ts';
import { rewritePacks } from '../storage/rewrite-packs.ts';
import type { Remote } from '../storage/remote.ts';
import type { TrashRun } from '../storage/trash.ts';
import { diskTime, listTrash } from '../storage/trash.ts';
import { withRemovalLock } from './removal-lock.ts';
import type { GcScope } from './gc-roots.ts';
import { readCloneRoots, readOtherRoots } from './gc-roots.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import { exceptPurged } from './purge-record.ts';
import { expireRuns } from './run-cache.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** What was used since stays: a command that is under way may be about to name it. */
const MIN_AGE_MS = 14 * DAY_MS;
/** So long what was thrown away can be brought back. */
const IN_TRASH_MS = 14 * DAY_MS;
const LOT = 10_000;

export interface Amount {
  readonly blobs: number;
  readonly bytes: number;
}

/** What a collection would do. */
export interface GcPlan {
  /** What nothing needs, and a remote has, or may go all the same. */
  readonly garbage: Amount;
  /** What nothing needs, and no remote has. */
  readonly unpushed: Amount;
  /** What lies in the trash for so long that it is to be deleted, or was: files. */
  readonly expired: Amount;
  /** Remotes that could not be asked, and why. */
  readonly notes: readonly string[];
}

export interface GcResult extends GcPlan {
  /** False for a dry run, and where the answer was no. */
  readonly done: boolean;
  /** What turned out to be needed after all. */
  readonly restored: number;
}

export interface GcOptions extends GcScope, VerbOptions {
  /** Also what no remote has. */
  readonly unpushed?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  /** Asked before anything is moved or deleted. */
  readonly confirm: (plan: GcPlan) => Promise<boolean>;
}

/**
 * Throws away what of the cache nothing needs: into the trash first, from which what turns out to be needed comes back, and after two
 * weeks for good. Throws `locked` while another collection is under way, and what `readCloneRoots` and `readOtherRoots` throw.
 */
export async function gc(workspace: Workspace, options: GcOptions): Promise<GcResult> {
  const { cacheFolder } = workspace;
  return withRemovalLock(workspace, { command: 'mlv gc', waitMs: 0 }, async () => {
    const cache = workspace.cache();
    const now = diskTime(cacheFolder);
    if (options.dryRun !== true) for (const run of listTrash(cacheFolder)) finishRun(cacheFolder, run);
    const { isNeeded, missingTrees } = await findNeeded(workspace, options);
    if (options.unpushed === true && missingTrees > 0) throw unknownTrees(missingTrees);
    const all: CollectOptions = { folder: cacheFolder, isNeeded, olderThan: now - MIN_AGE_MS };
    const unneeded = findGarbage(all);
    const { isKept, notes } =
      options.unpushed === true || amountOf(unneeded).blobs === 0
        ? { isKept: isNeeded, notes: [] }
        : await keepUnpushed(workspace, { garbage: unneeded, collect: all, signal: options.signal });
    const collect = { ...all, isNeeded: isKept };
    const garbage = isKept === isNeeded ? unneeded : findGarbage(collect);
    const expired = listTrash(cacheFolder).filter(({ time }) => now - time > IN_TRASH_MS);
    const plan: GcPlan = {
      garbage: amountOf(garbage),
      unpushed: difference(amountOf(unneeded), amountOf(garbage)),
      expired: sizeOf(expired),
      notes,
    };
    const isNothing = plan.garbage.blobs === 0 && plan.expired.blobs === 0;
    if (options.dryRun === true || (!isNothing && !(await options.confirm(plan))))
      return { ...plan, done: false, restored: 0 };

    const sparse = await rewritePacks(cache, garbage.sparse, { isNeeded: isKept, signal: options.signal });
    if (plan.garbage.blobs > 0) throwAway({ ...garbage, sparse }, collect);
    const restored = isNothing ? 0 : await restoreAgain(workspace, options);
    expireRuns(workspace);
    const gone = sizeOf(expired);
    expired.forEach(emptyRun);
    return { ...plan, expired: gone, done: true, restored };
  });
}

/** What this clone needs and has not purged, and what others need that share the cache: their records are theirs. */
async function findNeeded(
  workspace: Workspace,
  scope: GcScope,
): Promise<{ readonly isNeeded: IsNeeded; readonly missingTrees: number }> {
  const cache = workspace.cache();
  const own = await markNeeded(cache, readCloneRoots(workspace, scope));
  const others = await markNeeded(cache, readOtherRoots(workspace, scope));
  const isOwn = exceptPurged(workspace, own.marks.has);
  return {
    isNeeded: (bytes, at) => isOwn(bytes, at) || others.marks.has(bytes, at),
    missingTrees: own.missingTrees.length + others.missingTrees.length,
  };
}

/**
 * Looks again at what is needed: somebody may have come to need what was thrown away while that went on. Brings back what of it is not
 * in the cache any more, and returns how many files that were.
 */
async function restoreAgain(workspace: Workspace, scope: GcScope): Promise<number> {
  const { cacheFolder: folder } = workspace;
  const { isNeeded } = await findNeeded(workspace, scope);
  // One that knows nothing of what was here before.
  const cache = openLocalCache({ folder, packBelow: workspace.cache().packBelow });
  const isMissed: IsNeeded = (bytes, at = 0) => isNeeded(bytes, at) && !cache.holds(bytes.subarray(at, at + 32));
  try {
    return listTrash(folder).reduce((restored, run) => restored + restoreNeeded(folder, run, isMissed), 0);
  } finally {
    cache.close();
  }
}

/** Brings back what the last collection has thrown away. Throws `trash-empty`. */
export async function undoGc(workspace: Workspace): Promise<Amount> {
  const { cacheFolder } = workspace;
  return withRemovalLock(workspace, { command: 'mlv gc --undo', waitMs: 0 }, async () => {
    const run = listTrash(cacheFolder).at(-1);
    if (run === undefined) throw trashEmpty(cacheFolder);
    finishRun(cacheFolder, run);
    const amount = sizeOf([run]);
    restoreNeeded(cacheFolder, run, () => true);
    emptyRun(run);
    return amount;
  });
}

/** Keeps what none of the remotes has, as they are now. */
async function keepUnpushed(
  workspace: Workspace,
  given: {
    readonly garbage: Garbage;
    readonly collect: CollectOptions;
    readonly signal: AbortSignal | undefined;
  },
): Promise<{ isKept: IsNeeded; notes: string[] }> {
  const { garbage, collect, signal } = given;
  const notes: string[] = [];
  const remotes: Remote[] = [];
  for (const name of workspace.settings.remotes.keys()) {
    try {
      const named = await openNamedRemote(workspace, name, { signal });
      named.remote.requirePresent();
      remotes.push(named.remote);
    } catch (error) {
      if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
      notes.push(`${name} could not be asked: ${error.message}`);
    }
  }
  const unpushed = createMarks();
  try {
    let lot: Digest[] = [];
    const settle = async (): Promise<void> => {
      let left = lot;
      for (const remote of remotes) {
        const places = left.length === 0 ? [] : await remote.find(left, 'blob', signal);
        left = left.filter((_, index) => places[index] === undefined);
      }
      left.forEach(unpushed.add);
      lot = [];
    };
    for (const digest of garbageDigests(garbage, collect)) {
      lot.push(digest);
      if (lot.length === LOT) await settle();
    }
    await settle();
  } finally {
    for (const remote of remotes) remote.close();
  }
  const { has } = unpushed.seal();
  // What was purged is kept for nobody.
  const isUnpushed = exceptPurged(workspace, has);
  return { isKept: (bytes, offset) => collect.isNeeded(bytes, offset) || isUnpushed(bytes, offset), notes };
}

function amountOf({ loose, packs, sparse }: Garbage): Amount {
  const parts = [
    ...packs.map(({ blobs, bytes }) => ({ blobs, bytes })),
    ...sparse.map(({ deadBlobs, deadBytes }) => ({ blobs: deadBlobs, bytes: deadBytes })),
  ];
  return {
    blobs: parts.reduce((sum, { blobs }) => sum + blobs, loose.blobs),
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, loose.bytes),
  };
}

/** Files in the trash. */
function sizeOf(runs: readonly TrashRun[]): Amount {
  const amounts = runs.map(measureRun);
  return {
    blobs: amounts.reduce((sum, { files }) => sum + files, 0),
    bytes: amounts.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function difference(a: Amount, b: Amount): Amount {
  return { blobs: a.blobs - b.blobs, bytes: a.bytes - b.bytes };
}

function unknownTrees(count: number): MlvError {
  return new MlvError({
    code: 'trees-missing',
    kind: 'refused',
    message: `${count} tree objects of versions that are kept are not in the cache, so it is not known what they need`,
    hint: 'Leave out --unpushed: then only what a remote has goes. Or get the trees first: mlv fetch',
  });
}

function trashEmpty(folder: string): MlvError {
  return new MlvError({
    code: 'trash-empty',
    kind: 'missing',
    message: `there is nothing in the trash of ${folder}`,
    hint: 'What was thrown away more than two weeks ago is deleted by the next collection. A remote may have it: mlv fetch',
  });
}
