/**
 * Which version of something a stage reads or makes is in the workspace. What a pointer or `mlv.lock` tells of and is not, or not wholly,
 * checked out is taken to be there: missing data is no obstacle.
 *
 * A folder that holds pointers, or outputs of stages, and is neither itself, has as its version a digest of the tree of its other files
 * and of those versions. Pointers, `mlv.lock`, `.gitignore` and what programs leave in passing (`__pycache__`, `.DS_Store`, …) are no
 * part of such a folder, nor are outputs of the stage that reads it. Inside tracked data everything counts.
 */
import { join } from 'node:path';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import type { DataVersion, LockedOutput, LockedStage, Stage, StageId } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, parseRepoPath, relativeRepoPath, repoDirname } from '../domain/repo-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import { entriesAround, versionOfPart } from '../domain/tree-part.ts';
import { openTree } from '../domain/tree-reader.ts';
import { hashEngine } from '../platform/hash.ts';
import { statsAt } from '../platform/stats-at.ts';
import { hashFile } from '../storage/ingest.ts';
import { openStatCache } from '../storage/stat-cache.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { readCheckoutRecord, stateFiles } from './checkout-record.ts';
import { folderRules, lockedOutputs, pointerVersion, realPath } from './dependency.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import { listTracked } from './list-tracked.ts';
import { lockFileOf } from './locks.ts';
import type { SeenPaths } from './look-at-files.ts';
import { lookAtFiles, unreadable } from './look-at-files.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { openVersion } from './read-version.ts';
import type { Snapshot } from './snapshot.ts';
import { takeSnapshot } from './snapshot.ts';
import { adoptPointer, progressOptions } from './status.ts';
import type { StorageTasks } from './task-runner.ts';
import { trackedAround } from './targets.ts';
import type { Tracked } from './tracked.ts';
import { contentOf, trackedOutput } from './tracked.ts';

export interface VersionFinder {
  /** Looks at what single files are among these paths, all at once; to be called before the others, which look at the rest. */
  look(paths: Iterable<RepoPath>): Promise<void>;
  /** Of what a stage reads. Undefined where nothing is there, and nothing is known of what was. */
  dependency(path: RepoPath, stage: Stage): Promise<DataVersion | undefined>;
  /** Of what a stage made; `recorded` is what its lock says of it. Undefined where nothing is there. */
  output(path: RepoPath, recorded: LockedOutput | undefined, stage: Stage): Promise<DataVersion | undefined>;
}

export function createVersionFinder(
  workspace: Workspace,
  options: VerbOptions & {
    readonly tasks: StorageTasks;
    readonly locked: ReadonlyMap<StageId, LockedStage>;
    readonly stages: readonly Stage[];
    readonly isWhole: boolean;
    /** Whether lists of files that are not here may come from a remote. */
    readonly mayFetch: boolean;
    readonly known: ReadonlyMap<RepoPath, DataVersion>;
  },
): VersionFinder {
  const { tasks, known, locked, isWhole, mayFetch } = options;
  const given = { ...progressOptions(options), tasks };
  const { hash } = hashEngine();
  let seen: SeenPaths = { files: new Map(), folders: new Set(), links: new Set() };
  const found = new Map<string, Promise<DataVersion | undefined>>();
  const outputs = lockedOutputs(options.stages, locked);
  let all: Promise<Tracked[]> | undefined;

  /** Pointers and outputs. */
  const listed = (): Promise<Tracked[]> =>
    (all ??= listTracked(workspace).then((tracked) => {
      const paths = new Map([...tracked, ...outputs.values()].map((each) => [each.path, each]));
      return [...paths.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    }));

  async function around(path: RepoPath): Promise<Tracked | undefined> {
    for (let at = path; at !== ''; at = repoDirname(at)) {
      const output = outputs.get(at);
      if (output !== undefined) return output;
    }
    return trackedAround(workspace, path, listed);
  }

  /** A folder as it is; `rules` say what is no part of it. */
  async function folder(path: RepoPath, rules?: IgnoreRules): Promise<DataVersion> {
    const last = openStatCache(stateFiles(workspace, path).statCache)?.root;
    // With its last version as the base, no tree is built where nothing has changed.
    const isPlain = workspace.keepsModes() && workspace.purged().size === 0;
    const base = isPlain && last !== undefined ? ({ type: 'dir', hash: last, exec: false } as const) : undefined;
    const record: CheckoutRecord = { path, base, selected: 'all' };
    return versionOf(
      path,
      await oneAtATime(workspace, path, () =>
        takeSnapshot({ ...given, workspace, path, record, store: false, ...(rules && { rules }) }),
      ),
    );
  }

  /** Tracked data that is here, or a part of it. */
  async function present(tracked: Tracked): Promise<Snapshot> {
    const { path, pointer } = tracked;
    const content = contentOf(pointer);
    const record = adoptPointer(readCheckoutRecord(workspace, path, content), content);
    return oneAtATime(workspace, path, () =>
      (mayFetch ? takeSnapshotWithPages : takeSnapshot)({ ...given, workspace, path, tracked, record, store: false }),
    );
  }

  async function whole(tracked: Tracked): Promise<DataVersion> {
    const { path, pointer } = tracked;
    const now = known.get(path) ?? seen.files.get(path);
    if (now !== undefined) return withMode(now, pointer);
    if (statsAt(join(workspace.root, path))?.isDirectory() === true) return versionOf(path, await present(tracked));
    return pointerVersion(pointer);
  }

  async function inside(path: RepoPath, tracked: Tracked): Promise<DataVersion | undefined> {
    const below = treePathFromText(relativeRepoPath(path, tracked.path) ?? '');
    const isHere = statsAt(join(workspace.root, tracked.path))?.isDirectory() === true;
    if (isHere && statsAt(join(workspace.root, path)) !== undefined) {
      const { selected } = readCheckoutRecord(workspace, tracked.path, contentOf(tracked.pointer));
      if (selected === 'all') return folder(path);
      const snapshot = await present(tracked);
      return versionOfPart(entriesAround(snapshot.cursor(), below), { path: below, hash });
    }
    if (tracked.pointer.type === 'file') return undefined;
    const wanted = { path: tracked.path, pointer: tracked.pointer, selection: [below], revision: undefined };
    const reader = openVersion(workspace, wanted, options);
    try {
      if (mayFetch) await reader.ensureTree({ below });
      return versionOfPart(entriesAround(openTree(tracked.pointer.hash, reader.cache.read), below), {
        path: below,
        hash,
      });
    } finally {
      reader.close();
    }
  }

  /** A folder that nothing tracks. Undefined where neither it nor anything tracked in it is there. */
  async function plain(path: RepoPath, stage: Stage): Promise<DataVersion | undefined> {
    const own = stage.outs.map((out) => out.path).filter((out) => isInside(out, path));
    const parts = (await listed()).filter((each) => isInside(each.path, path) && !own.includes(each.path));
    const files = parts.filter((each) => !known.has(each.path) && !seen.files.has(each.path));
    if (files.length > 0) add(await lookAtFiles(workspace, pathsOf(files), { ...given, isWhole: false }));
    const rules = folderRules(workspace, path, [...pathsOf(parts), ...own]);
    const rest = seen.folders.has(path) ? await folder(path, rules) : undefined;
    if (parts.length === 0) return rest;
    const told: string[] = [];
    let size = rest?.size ?? 0;
    let count = rest?.files ?? 0;
    for (const part of parts) {
      const version = await whole(part);
      told.push(`${version.hash} ${modeOf(version)} ${treePathFromText(relativeRepoPath(part.path, path) ?? '')}\n`);
      size += version.size;
      count += version.files ?? 1;
    }
    const text = `mlv-folder 0\n${rest?.hash ?? '-'}\n${told.join('')}`;
    return { type: 'dir', hash: digestFromBytes(hash(Buffer.from(text, 'latin1'))), size, files: count };
  }

  /** What a symlink leads to is what is read. */
  async function linked(path: RepoPath, stage: Stage): Promise<DataVersion | undefined> {
    const target = realPath(join(workspace.root, path));
    if (target === undefined) return undefined;
    if (target.startsWith(`${workspace.root}/`)) {
      const real = parseRepoPath(target.slice(workspace.root.length + 1));
      add(await lookAtFiles(workspace, [real], { ...given, isWhole: false }));
      return find(real, stage);
    }
    const stats = statsAt(target);
    if (stats?.isFile() === true) {
      const exec = workspace.keepsModes() && (stats.mode & 0o100) !== 0 ? { exec: true as const } : {};
      return { type: 'file', hash: digestFromBytes(hashFile(target)), size: stats.size, ...exec };
    }
    const record: CheckoutRecord = { path, base: undefined, selected: 'all' };
    return versionOf(path, await takeSnapshot({ ...given, workspace, path, record, store: false, source: target }));
  }

  async function find(path: RepoPath, stage: Stage): Promise<DataVersion | undefined> {
    if (seen.links.has(path)) return linked(path, stage);
    const file = seen.files.get(path);
    if (file !== undefined) return file;
    const tracked = path === '' ? undefined : await around(path);
    if (tracked?.path === path) return whole(tracked);
    return tracked === undefined ? plain(path, stage) : inside(path, tracked);
  }

  function add(more: SeenPaths): void {
    seen = {
      files: new Map([...seen.files, ...more.files]),
      folders: new Set([...seen.folders, ...more.folders]),
      links: new Set([...seen.links, ...more.links]),
    };
  }

  function withMode(version: DataVersion, recorded: { readonly exec?: boolean } | undefined): DataVersion {
    const isKept = workspace.keepsModes() || version.type !== 'file' || recorded?.exec !== true;
    return isKept ? version : { ...version, exec: true };
  }

  return {
    async look(paths) {
      seen = await lookAtFiles(workspace, paths, { ...given, isWhole });
    },
    async dependency(path, stage) {
      const version = known.get(path);
      if (version !== undefined) return bare(version);
      const own = stage.outs.filter((out) => isInside(out.path, path)).map((out) => out.path);
      const key = [path, ...own].join('\0');
      const finding = found.get(key) ?? find(path, stage);
      found.set(key, finding);
      const now = await finding;
      return now && withMode(now, locked.get(stage.id)?.deps.get(path));
    },
    async output(path, recorded, stage) {
      const version = known.get(path) ?? seen.files.get(path);
      if (version !== undefined) return withMode(bare(version), recorded);
      if (seen.links.has(path)) throw outputIsSymlink(path, stage);
      if (!seen.folders.has(path)) return undefined;
      if (recorded === undefined) return folder(path);
      const made = { lock: lockFileOf(stage), stage: stage.name };
      return versionOf(path, await present(trackedOutput(path, recorded, made)));
    },
  };
}

function versionOf(path: RepoPath, { content, files, bytes, problems }: Snapshot): DataVersion {
  if (problems.length > 0) throw unreadable(...problems.map((each) => ({ ...each, path: `${path}/${each.path}` })));
  if (content === undefined) throw unreadable({ path, reason: 'it vanished while it was read' });
  const { type, hash, exec } = content;
  return { type, hash, size: bytes, ...(type === 'dir' && { files }), ...(exec && { exec: true }) };
}

/** Without what a lock file says of an output beside its version. */
function bare({ type, hash, size, files, exec }: DataVersion): DataVersion {
  return { type, hash, size, ...(files !== undefined && { files }), ...(exec === true && { exec }) };
}

function modeOf({ type, exec }: DataVersion): string {
  return type === 'dir' ? 'dir' : exec === true ? 'x' : 'f';
}

function pathsOf(tracked: readonly Tracked[]): RepoPath[] {
  return tracked.map(({ path }) => path);
}

function outputIsSymlink(path: RepoPath, { id, file, line }: Stage): MlvError {
  return new MlvError({
    code: 'path-is-symlink',
    kind: 'refused',
    message: `${path}, which stage ${id} makes (${file}:${line}), is a symlink`,
    hint: `Remove the link (rm ${path}), and let the stage make a file or folder there. Or name in "outs" what the link leads to.`,
  });
}
