import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { keyPath } from '../domain/remote-layout.ts';
import { DAY_MS, NOTED_DAYS } from '../domain/remote-times.ts';
import type { IsNeeded } from './collect-cache.ts';
import type { RemoteGarbage } from './find-remote-garbage.ts';
import { findRemoteGarbage, isSwept, mayDie } from './find-remote-garbage.ts';
import type { LocalCache } from './local-cache.ts';
import type { GcRoot } from './mark-needed.ts';
import { markNeeded } from './mark-needed.ts';
import { mergeRemoteIndexes } from './merge-remote.ts';
import type { RemoteContents, StoredKey } from './remote-contents.ts';
import { readRemoteContents } from './remote-contents.ts';
import type { Remote } from './remote.ts';
import { openTreeReader } from './remote-tree-reader.ts';
import { buryKeys, sweepKeys } from './sweep-remote.ts';

interface CopiedAmount {
  readonly blobs: number;
  readonly bytes: number;
}

/** Blobs, and the files of the remote that they are in. */
export interface RemoteAmount extends CopiedAmount {
  readonly files: number;
}

/** What a collection of a remote would do. */
export interface RemoteGcPlan {
  /** What nothing needs: it dies now, and is deleted by a collection a week or more later. */
  readonly garbage: RemoteAmount;
  /** What is needed of files that die, and stored again. */
  readonly kept: CopiedAmount;
  /** What died over a week ago, and is deleted. */
  readonly expired: RemoteAmount;
  /** What of that is needed after all, and stored again before. */
  readonly rescued: CopiedAmount;
  /** Versions that were pushed long ago, and go. */
  readonly unknown: number;
}

export interface RemoteGcResult extends RemoteGcPlan {
  /** False for a dry run, and where the answer was no. */
  readonly done: boolean;
  /** Files that stay, as something needed in them is damaged or could not be read. */
  readonly stuck: number;
}

export interface CollectRemoteOptions {
  readonly remote: Remote;
  /** Tree objects that it has need not be fetched. */
  readonly cache: LocalCache;
  /** A folder for a while. */
  readonly scratch: string;
  /** Asked for what is needed, beside what was pushed lately, once the remote is listed: as it is then, or later. */
  readonly roots: () => AsyncIterable<GcRoot>;
  /** Whether to go on; asked before anything is changed, unless there is nothing to do. */
  readonly confirm: (plan: RemoteGcPlan) => Promise<boolean>;
  /** Content that is needed by nobody, whatever names it. */
  readonly purged?: { has(digest: Digest): boolean };
  readonly onProgress?: ((progress: { readonly phase: string; readonly bytes: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Indexes that others replace are deleted an hour later: what was listed must be acted on before. */
const FRESH_MS = 30 * 60 * 1000;

/**
 * Takes from a remote what nobody needs, in two steps a week apart, safely beside pushes, pulls and other collections
 * (docs/gc-protocol.md, "Collect"): what died a week ago is deleted, but for what turns out to be needed; what is garbage now dies.
 * Throws what `roots` throws, `remote-trees-missing`, `gc-stale`, `gc-overtaken`, `gc-late`.
 */
export async function collectRemote(options: CollectRemoteOptions): Promise<RemoteGcResult> {
  const { remote, cache, scratch, confirm, onProgress, signal } = options;
  const report = (phase: string) => (bytes: number) => onProgress?.({ phase, bytes });
  await remote.refreshDated(signal);
  const now = remote.asOf() ?? 0;
  const contents = await readRemoteContents(remote, signal);
  const trees = await openTreeReader(cache, {
    remote,
    digests: [...treesIn(contents, ({ bytes }) => bytes !== undefined)].map(({ digest }) => digest),
    scratch: join(scratch, 'trees'),
    onBytes: report('reading trees'),
    signal,
  });
  try {
    const { garbage, unknown } = await findGarbage(contents, { ...options, trees, now });
    const plan = { ...planOf(garbage), unknown };
    const isNothing = garbage.swept.length + garbage.dying.length === 0;
    if (!isNothing && !(await confirm(plan))) return { ...plan, done: false, stuck: 0 };
    if (isNothing) return { ...plan, done: true, stuck: 0 };
    if ((await remote.home.time(signal)) - now > FRESH_MS) throw stale();
    const acting = { remote, contents, garbage, scratch, signal };
    const swept = await sweepKeys({ ...acting, onBytes: report('saving') });
    const buried = await buryKeys({ ...acting, onBytes: report('rewriting') });
    await remote.refresh(signal);
    await mergeRemoteIndexes(remote, 0, signal);
    return { ...plan, done: true, stuck: swept.stuck + buried.stuck };
  } finally {
    trees.close();
  }
}

async function findGarbage(
  contents: RemoteContents,
  given: {
    readonly trees: Pick<LocalCache, 'locate' | 'read'>;
    readonly now: number;
    readonly roots: CollectRemoteOptions['roots'];
    readonly purged?: CollectRemoteOptions['purged'];
  },
): Promise<{ garbage: RemoteGarbage; unknown: number }> {
  const { trees, now, roots, purged } = given;
  const today = Math.floor(now / DAY_MS);
  const notes = contents.indexes.flatMap((index) => index.roots());
  const there = new Set(contents.keys.flatMap(({ path, bytes }) => (bytes === undefined ? [] : [path])));
  const isStored = (digest: Digest): boolean =>
    contents.indexes.some((index) => index.find(digestToBytes(digest)).some(({ key }) => there.has(keyPath(key))));

  async function* liveRoots(): AsyncGenerator<GcRoot> {
    yield* roots();
    for (const { root, day } of notes) if (today - day <= NOTED_DAYS) yield { digest: root, type: 'unknown' };
    // Young files stay; so that trees in them promise nothing that is not there, what they name stays, too.
    yield* treesIn(contents, (stored) => stored.deadSince === undefined && !mayDie(stored, now));
  }

  /** Pushes rely on them until they are deleted. */
  async function* promisedRoots(): AsyncGenerator<GcRoot> {
    if (contents.keys.some((stored) => isSwept(stored, now)))
      yield* treesIn(contents, (stored) => !isSwept(stored, now));
  }

  const live = await markNeeded(trees, liveRoots());
  const promised = await markNeeded(trees, promisedRoots());
  const lost = [...live.missingTrees, ...promised.missingTrees].filter(isStored);
  if (lost.length > 0) throw treesMissing(lost);
  const isPurged = (bytes: Buffer, at = 0): boolean => purged?.has(digestFromBytes(bytes, at)) === true;
  const isLive: IsNeeded = (bytes, at) => live.marks.has(bytes, at) && !isPurged(bytes, at);
  const isNeeded: IsNeeded = (bytes, at) =>
    isLive(bytes, at) || (promised.marks.has(bytes, at) && !isPurged(bytes, at));
  const garbage = findRemoteGarbage({ contents, now, isLive, isNeeded });
  const unknown = notes.filter(({ root }) => !live.marks.hasDigest(root) && isStored(root)).length;
  return { garbage, unknown };
}

function* treesIn(contents: RemoteContents, accept: (stored: StoredKey) => boolean): Generator<GcRoot> {
  const roots: GcRoot[] = [];
  contents.eachBlob((cells, at, places) => {
    if (places.some(({ stored }) => stored.key.kind === 'tree-pack' && accept(stored)))
      roots.push({ digest: digestFromBytes(cells, at), type: 'tree' });
  });
  yield* roots;
}

function planOf(garbage: RemoteGarbage): Omit<RemoteGcPlan, 'unknown'> {
  const { swept, dying, kept, rescued } = garbage;
  const sizes = swept.reduce((sum, { stored }) => sum + (stored.bytes ?? 0), 0);
  return {
    garbage: { ...garbage.garbage, files: dying.length },
    kept: { blobs: kept.data.length + kept.trees.length, bytes: kept.bytes },
    expired: { blobs: swept.reduce((sum, { blobs }) => sum + blobs, 0), bytes: sizes, files: swept.length },
    rescued: { blobs: rescued.data.length + rescued.trees.length, bytes: rescued.bytes },
  };
}

function stale(): MlvError {
  return new MlvError({
    code: 'gc-stale',
    kind: 'refused',
    message: 'what was found is more than half an hour old, and may not be so any more: nothing was changed',
    hint: 'Run it again.',
  });
}

function treesMissing(digests: readonly Digest[]): MlvError {
  return new MlvError({
    code: 'remote-trees-missing',
    kind: 'refused',
    message: `${digests.length} tree objects of the remote cannot be read, so it is not known what they need`,
    hint: 'If another collection of it is under way, run this again after that; otherwise: mlv verify --remote --repair',
    items: digests.slice(0, 5).map((digest) => `b3:${digest}`),
  });
}
