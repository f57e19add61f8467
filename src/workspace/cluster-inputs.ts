import { readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ClusterInput } from '../domain/cluster-task.ts';
import { digestToBytes } from '../domain/digest.ts';
import type { DataVersion, LockedStage, Stage, StageId } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, joinRepoPath, relativeRepoPath, repoBasename, repoDirname, REPO_ROOT } from '../domain/repo-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import { entriesAround, versionOfPart } from '../domain/tree-part.ts';
import { openTree } from '../domain/tree-reader.ts';
import { hashEngine } from '../platform/hash.ts';
import { statsAt } from '../platform/stats-at.ts';
import { finishing } from '../storage/cache-writer.ts';
import { managedDigest } from '../storage/scan-task.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { readCheckoutRecord } from './checkout-record.ts';
import { folderRules, lockedOutputs, pointerVersion, realPath } from './dependency.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import { listTracked } from './list-tracked.ts';
import { readLocks } from './locks.ts';
import { lookAtFiles, unreadable } from './look-at-files.ts';
import { dependencyRewritten } from './observe-stages.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { openVersion } from './read-version.ts';
import type { Snapshot, SnapshotOptions } from './snapshot.ts';
import { takeSnapshot } from './snapshot.ts';
import { adoptPointer, progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import type { Tracked } from './tracked.ts';
import { contentOf } from './tracked.ts';

/** What one dependency comes to. */
interface Dependency {
  /** Files and folders as they are to be laid out, but for single files. */
  readonly inputs: ClusterInput[];
  /** Single files: where they are, and where they are to be laid out. */
  readonly files: { readonly from: RepoPath; readonly at: RepoPath }[];
  /** False for a folder whose version is not that of a tree. */
  readonly isWhole: boolean;
}

/**
 * What a stage reads, as files and trees that can be laid out elsewhere: what only the workspace has of them is put into the cache, durably;
 * the rest the cache has, or a remote. A folder that holds tracked data is several of them. Sorted by path. Throws
 * `dependency-rewritten` where a dependency is not what was `seen` any more, `path-unreadable`, `tree-unavailable`, `content-purged`.
 */
export async function storeInputs(
  workspace: Workspace,
  options: VerbOptions & {
    readonly stage: Stage;
    /** Of the whole pipeline. */
    readonly stages: readonly Stage[];
    /** What the stage found. */
    readonly seen: ReadonlyMap<RepoPath, DataVersion | undefined>;
    readonly tasks: StorageTasks;
  },
): Promise<readonly ClusterInput[]> {
  const { stage, seen, tasks } = options;
  const locked: ReadonlyMap<StageId, LockedStage> = await readLocks(workspace);
  const outputs = lockedOutputs(options.stages, locked);
  const verb = progressOptions(options);
  const store = { ...verb, workspace, tasks, store: true, refusesPurged: true } as const;
  let all: Promise<readonly Tracked[]> | undefined;

  /** Pointers and outputs. */
  const listed = (): Promise<readonly Tracked[]> =>
    (all ??= listTracked(workspace).then((tracked) => [
      ...new Map([...tracked, ...outputs.values()].map((each) => [each.path, each])).values(),
    ]));

  async function around(path: RepoPath): Promise<Tracked | undefined> {
    const known = new Map((await listed()).map((each) => [each.path, each]));
    for (let at = path; at !== ''; at = repoDirname(at)) {
      const found = known.get(at);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  const alone = (input: ClusterInput): Dependency => ({ inputs: [input], files: [], isWhole: true });

  async function snapshot(path: RepoPath, more: Partial<SnapshotOptions> = {}): Promise<DataVersion> {
    const record: CheckoutRecord = { path, base: undefined, selected: 'all' };
    return versionIn(path, await oneAtATime(workspace, path, () => takeSnapshot({ ...store, path, record, ...more })));
  }

  /** What is tracked, as it is in the workspace, parts that were never checked out included. */
  async function present(tracked: Tracked, isStored: boolean): Promise<Snapshot> {
    const { path, pointer } = tracked;
    const content = contentOf(pointer);
    const record = adoptPointer(readCheckoutRecord(workspace, path, content), content);
    return oneAtATime(workspace, path, () =>
      takeSnapshotWithPages({ ...store, store: isStored, path, tracked, record }),
    );
  }

  async function whole(tracked: Tracked, at: RepoPath): Promise<Dependency> {
    const { path, pointer } = tracked;
    const stats = statsAt(join(workspace.root, path));
    // What is as it is recorded the cache has, or a remote.
    if (stats === undefined || seen.get(path)?.hash === pointer.hash)
      return alone({ path: at, ...pointerVersion(pointer) });
    if (!stats.isDirectory()) return { inputs: [], files: [{ from: path, at }], isWhole: true };
    return alone({ path: at, ...versionIn(path, await present(tracked, true)) });
  }

  async function inside(path: RepoPath, tracked: Tracked, at: RepoPath): Promise<Dependency> {
    const below = treePathFromText(relativeRepoPath(path, tracked.path) ?? '');
    const isHere = statsAt(join(workspace.root, path)) !== undefined;
    const { selected } = readCheckoutRecord(workspace, tracked.path, contentOf(tracked.pointer));
    if (isHere && selected === 'all') return alone({ path: at, ...(await snapshot(path)) });
    const wanted = { path: tracked.path, pointer: tracked.pointer, selection: [below], revision: undefined };
    const reader = openVersion(workspace, wanted, options);
    try {
      if (!isHere) await reader.ensureTree({ below });
      const cursor = isHere
        ? (await present(tracked, true)).cursor()
        : openTree(tracked.pointer.hash, reader.cache.read);
      const writer = workspace.cache().openWriter();
      const version = await finishing(writer, () =>
        versionOfPart(entriesAround(cursor, below), {
          path: below,
          hash: hashEngine().hash,
          emit: ({ digest, bytes }) => writer.put(digestToBytes(digest), bytes, 'tree'),
        }),
      );
      return version === undefined ? { inputs: [], files: [], isWhole: true } : alone({ path: at, ...version });
    } finally {
      reader.close();
    }
  }

  /** A folder that nothing tracks, and what is tracked in it. */
  async function plain(path: RepoPath, at: RepoPath): Promise<Dependency> {
    const own = stage.outs.map((out) => out.path).filter((out) => isInside(out, path));
    const parts = (await listed()).filter((each) => isInside(each.path, path) && !own.includes(each.path));
    const rules = folderRules(workspace, path, [...parts.map((part) => part.path), ...own]);
    const isThere = statsAt(join(workspace.root, path))?.isDirectory() === true;
    const inputs: ClusterInput[] = [];
    const files: Dependency['files'] = [];
    // The code is all that is to be had of the project itself.
    if (isThere && path !== '') inputs.push({ path: at, ...(await snapshot(path, { rules })) });
    for (const part of parts) {
      const placed = joinRepoPath(at, relativeRepoPath(part.path, path) ?? '');
      const found = await whole(part, placed);
      inputs.push(...found.inputs);
      files.push(...found.files);
    }
    return { inputs, files, isWhole: parts.length === 0 && path !== '' };
  }

  async function dependency(path: RepoPath, at: RepoPath): Promise<Dependency> {
    const absolute = join(workspace.root, path);
    const stats = statsAt(absolute);
    const isLink =
      stats?.isSymbolicLink() === true && managedDigest(readlinkSync(absolute), workspace.cache().folder) === undefined;
    const target = isLink ? realPath(absolute) : undefined;
    if (target !== undefined) {
      const real = inProject(workspace, target);
      if (real !== undefined) return dependency(real, at);
      return alone({ path: at, ...(await snapshot(path, { source: target })) });
    }
    if (stats !== undefined && !stats.isDirectory()) return { inputs: [], files: [{ from: path, at }], isWhole: true };
    const tracked = await around(path);
    if (tracked === undefined) return plain(path, at);
    return tracked.path === path ? whole(tracked, at) : inside(path, tracked, at);
  }

  const found = new Map<RepoPath, Dependency>();
  for (const path of stage.deps) {
    if (seen.get(path) === undefined) continue;
    found.set(path, await dependency(path, behindLinks(workspace, path)));
  }
  const files = [...found.values()].flatMap((each) => each.files);
  const { files: versions } = await lookAtFiles(workspace, new Set(files.map(({ from }) => from)), {
    ...verb,
    tasks,
    isWhole: false,
    store: true,
  });
  const inputs = new Map<RepoPath, ClusterInput>();
  for (const [path, { files: single, inputs: others, isWhole }] of found) {
    const expected = seen.get(path);
    const placed = [...others];
    for (const { from, at } of single) {
      const version = versions.get(from);
      if (version === undefined) throw dependencyRewritten(stage, [path]);
      // Where the disk keeps no modes, what is on record tells them.
      placed.push({ path: at, ...version, ...(isWhole && expected?.exec === true && { exec: true }) });
    }
    if (isWhole && (placed.length !== 1 || placed[0]?.hash !== expected?.hash))
      throw dependencyRewritten(stage, [path]);
    for (const input of placed) inputs.set(input.path, input);
  }
  return [...inputs.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A path with the symlinks resolved that its folder lies behind: there the code has what they lead to. */
function behindLinks(workspace: Workspace, path: RepoPath): RepoPath {
  if (path === '') return path;
  const folder = realPath(dirname(join(workspace.root, path)));
  const real = folder === undefined ? undefined : inProject(workspace, folder);
  return real === undefined ? path : joinRepoPath(real, repoBasename(path));
}

function inProject({ root }: Workspace, absolute: string): RepoPath | undefined {
  if (absolute === root) return REPO_ROOT;
  return absolute.startsWith(`${root}/`) ? (absolute.slice(root.length + 1) as RepoPath) : undefined;
}

function versionIn(path: RepoPath, { content, files, bytes, problems }: Snapshot): DataVersion {
  if (problems.length > 0) throw unreadable(...problems.map((each) => ({ ...each, path: `${path}/${each.path}` })));
  if (content === undefined) throw unreadable({ path, reason: 'it vanished while it was read' });
  const { type, hash, exec } = content;
  return { type, hash, size: bytes, ...(type === 'dir' && { files }), ...(exec && { exec: true }) };
}
