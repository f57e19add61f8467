import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { CacheWriter } from '../storage/cache-writer.ts';
import { finishing } from '../storage/cache-writer.ts';
import { download } from '../storage/download.ts';
import { fetchBlobs } from '../storage/download-blobs.ts';
import { hashFile, ingestFile } from '../storage/ingest.ts';
import type { GoodCopies } from '../storage/repair-cache.ts';
import { repairCache } from '../storage/repair-cache.ts';
import { limitsOf } from '../storage/request-engine.ts';
import type { FailedBlob } from '../storage/transfer-failures.ts';
import { createFailures } from '../storage/transfer-failures.ts';
import type { CacheSurvey } from '../storage/verify-cache.ts';
import { completeRoots } from './complete-roots.ts';
import type { Workspace } from './open.ts';
import type { NamedRemote } from './open-remote.ts';
import { openNamedRemote } from './open-remote.ts';
import { groupByRemote } from './push.ts';
import { readLocally } from './remote-trees.ts';
import type { StorageTasks } from './task-runner.ts';
import type { VerifyOptions } from './verify.ts';
import type { Missing, Repaired } from './verify-result.ts';
import type { ScopedVersion, VerifyScope } from './verify-scope.ts';
import { pathsOf, reachAll, rootOf } from './verify-scope.ts';

interface RepairOptions {
  readonly survey: CacheSurvey;
  readonly scope: VerifyScope;
  readonly tasks: StorageTasks;
  /** Tree objects as the survey found them. */
  readonly read: (digest: Digest) => Buffer | undefined;
  readonly options: VerifyOptions;
}

/**
 * Mends the cache: what is damaged, then what the workspace or the named versions must have and is missing, each from a remote or,
 * where none has it, from the workspace. A remote that cannot be asked is noted and passed over.
 */
export async function repairFromOthers(workspace: Workspace, given: RepairOptions): Promise<Repaired> {
  const { survey, scope, tasks, read, options } = given;
  const { remotes, notes } = await openRemotes(workspace, options);
  try {
    const sources = [
      ...remotes.map((named) => copiesFromRemote(named, options, notes)),
      copiesFromWorkspace(workspace, (digests) => pathsOf(digests, scope.versions, read)),
    ];
    const folder = damagedFolder(workspace, new Date());
    const packBelow = (): number => workspace.cache().packBelow();
    completeRoots(workspace).forget();
    const mended = await repairCache({
      survey,
      damagedFolder: folder,
      packBelow,
      sources: sources.map((source): GoodCopies => (wanted, writer) => {
        const asked = wanted.filter((digest) => !workspace.purged().has(digest));
        return source(asked, writer);
      }),
      run: (task) => tasks.run(task),
    });
    const brought = await bringMissing(workspace, scope, { ...options, remotes, notes });
    // Nothing else can tell about damage that no version names: it is lost, and was of no use to any of them.
    const lost = mended.lost.filter(
      (digest) => !workspace.purged().has(digest) && !brought.wasMissing.has(digest) && !workspace.cache().has(digest),
    );
    const paths = pathsOf(lost, scope.versions, (digest) => readLocally(workspace.cache(), digest));
    return {
      side: 'cache',
      restored: mended.restored + brought.restored,
      reindexed: mended.reindexed,
      setAside: mended.setAside.map((name) => join(folder, name)),
      lost: [
        ...brought.lost,
        ...lost.map((digest) => ({ path: paths.get(digest)?.join(', ') ?? `b3:${digest}`, digest, files: 1 })),
      ],
      notes,
    };
  } finally {
    for (const { remote } of remotes) remote.close();
  }
}

async function openRemotes(
  workspace: Workspace,
  { signal, jobs }: VerifyOptions,
): Promise<{ remotes: NamedRemote[]; notes: string[] }> {
  const { remotes: known, values } = workspace.settings;
  const names = [...known.keys()].sort((a, b) => Number(b === values.remote) - Number(a === values.remote));
  const remotes: NamedRemote[] = [];
  const notes: string[] = [];
  for (const name of names) {
    try {
      const named = await openNamedRemote(workspace, name, { signal, jobs });
      named.remote.requirePresent();
      remotes.push(named);
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      notes.push(`${name} could not be asked: ${error.message}`);
    }
  }
  if (names.length === 0) notes.push('there is no remote to get good copies from');
  return { remotes, notes };
}

function copiesFromRemote({ name, remote }: NamedRemote, options: VerifyOptions, notes: string[]): GoodCopies {
  const { signal, onProgress } = options;
  return async (wanted, writer) => {
    const failures = createFailures();
    const done = { files: 0, bytes: 0 };
    await fetchBlobs(
      wanted.map((digest) => ({ digest, path: digest })),
      {
        remote,
        writer,
        kind: 'data',
        ...limitsOf(remote.home),
        signal,
        onFetched({ blobs, bytes }) {
          failures.succeeded();
          done.files += blobs;
          done.bytes += bytes;
          onProgress?.({ phase: 'repairing', ...done });
        },
        // Another source may have it.
        onMissing: () => {},
        onDamaged: () => {},
        onFailed: failures.note,
      },
    );
    notes.push(...failedReads(name, failures.list()));
  };
}

function failedReads(remote: string, failed: readonly FailedBlob[]): string[] {
  return failed.map(({ path, reason }) => `${path} could not be read from ${remote}: ${reason}`);
}

/** A file that was not edited has the bytes that its version names. */
function copiesFromWorkspace(
  workspace: Workspace,
  findPaths: (digests: readonly Digest[]) => ReadonlyMap<Digest, readonly string[]>,
): GoodCopies {
  return async (wanted, writer) => {
    const paths = findPaths(wanted);
    for (const digest of wanted) takeFromWorkspace(workspace, { digest, paths: paths.get(digest) ?? [], writer });
  };
}

/** True when one of the paths had it. */
function takeFromWorkspace(
  workspace: Workspace,
  given: { readonly digest: Digest; readonly paths: readonly string[]; readonly writer: CacheWriter },
): boolean {
  return given.paths.some((path) => {
    const file = join(workspace.root, path);
    const stats = lstatSync(file, { throwIfNoEntry: false });
    // A link into the cache is no copy.
    if (stats?.isFile() !== true) return false;
    if (digestFromBytes(hashFile(file)) !== given.digest) return false;
    const taken = ingestFile(file, stats, { writer: given.writer, settledBefore: -Infinity });
    return !('problem' in taken) && digestFromBytes(taken.digest) === given.digest;
  });
}

interface Brought {
  readonly restored: number;
  readonly lost: readonly Missing[];
  readonly wasMissing: ReadonlySet<Digest>;
}

/** Brings what must be in the cache and is not, page by page: what a lost page names is known only when it is back. */
async function bringMissing(
  workspace: Workspace,
  scope: VerifyScope,
  given: {
    readonly remotes: readonly NamedRemote[];
    readonly notes: string[];
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Brought> {
  const { remotes, notes, signal } = given;
  const before = missingIn(workspace, scope.versions);
  let missing = before;
  const expected = scope.versions.flatMap((version) =>
    version.expected === 'all' || version.expected.length > 0 ? [{ ...version, selection: version.expected }] : [],
  );
  if (missing.size > 0 && remotes.length > 0) {
    for (const [name, group] of groupByRemote(workspace, expected, undefined)) {
      const named = remotes.find((remote) => remote.name === name);
      const cache = workspace.cache();
      if (named === undefined) continue;
      const { failed } = await download({ remote: named.remote, cache, wanted: group.map(rootOf), signal });
      notes.push(...failedReads(name, failed));
    }
    missing = missingIn(workspace, scope.versions);
  }
  if (missing.size > 0) {
    const writer = workspace.cache().openWriter();
    await finishing(writer, () => {
      for (const [digest, { paths }] of missing) takeFromWorkspace(workspace, { digest, paths, writer });
    });
    missing = missingIn(workspace, scope.versions);
  }
  const lost = [...missing].map(([digest, { paths, files }]) => ({ path: paths.join(', '), digest, files }));
  const restored = [...before.keys()].filter((digest) => !missing.has(digest)).length;
  return { restored, lost, wasMissing: new Set(before.keys()) };
}

function missingIn(
  workspace: Workspace,
  versions: readonly ScopedVersion[],
): Map<Digest, { paths: string[]; files: number }> {
  const cache = workspace.cache();
  const missing = new Map<Digest, { paths: string[]; files: number }>();
  const read = (digest: Digest): Buffer | undefined => (cache.has(digest) ? cache.read(digest) : undefined);
  for (const { item } of reachAll(versions, 'expected', { read })) {
    if (cache.has(item.digest) || (item.kind === 'blob' && workspace.purged().has(item.digest))) continue;
    const known = missing.get(item.digest);
    if (known === undefined) missing.set(item.digest, { paths: [item.path], files: item.files });
    else known.paths.push(item.path);
  }
  return missing;
}

/** Where damage of the cache is put, on the same disk. */
function damagedFolder(workspace: Workspace, at: Date): string {
  const isOwn = workspace.cacheFolder === join(workspace.sharedFolder, 'cache');
  const parent = isOwn ? workspace.sharedFolder : workspace.cacheFolder;
  return join(parent, 'damaged', at.toISOString().slice(0, 10));
}
