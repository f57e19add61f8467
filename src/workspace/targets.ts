import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, parseRepoPath, relativeRepoPath, REPO_ROOT } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { Selection } from './checkout-record.ts';
import { joinSelections } from './checkout-record.ts';
import type { Workspace } from './open.ts';
import type { OnConflict } from './list-tracked.ts';
import { listOutputs, listTracked } from './list-tracked.ts';
import type { Tracked } from './tracked.ts';
import { pointedAt, readTracked } from './tracked.ts';

/** What a person named: tracked paths, relative to the folder they stand in. */
export interface Targets {
  readonly targets: readonly string[];
  /** Absolute. */
  readonly cwd: string;
}

/** A tracked path, and the part of it that was asked for. */
export interface Selected {
  readonly tracked: Tracked;
  readonly selection: Selection;
  /** True when it was named, rather than meant because nothing was. */
  readonly isNamed: boolean;
}

const GLOB = /[*?[\]{}]/;

/**
 * A path that a person typed, as a path of the project. Symlinks on the way are not followed out of it. Throws `path-outside`,
 * `path-beyond-symlink`, `path-in-repository`, `path-invalid`.
 */
export function resolveTarget(workspace: Workspace, cwd: string, target: string): RepoPath {
  const absolute = join(realFolder(dirname(resolve(cwd, target))), basename(resolve(cwd, target)));
  const inside = resolve(cwd, target) === workspace.root ? '' : relative(workspace.root, absolute).split(sep).join('/');
  if (inside === '..' || inside.startsWith('../')) {
    const typed = relative(workspace.root, resolve(realFolder(cwd), target));
    const isBeyondSymlink = typed !== '..' && !typed.startsWith(`..${sep}`);
    throw new MlvError({
      code: isBeyondSymlink ? 'path-beyond-symlink' : 'path-outside',
      kind: 'refused',
      message: isBeyondSymlink
        ? `${target} lies behind a symlink that leads out of the project`
        : `${target} is outside the project at ${workspace.root}`,
      hint: `Copy the data into the project first, or let mlv do it: "mlv add ${target} -o DEST".`,
    });
  }
  if (inside === '') return REPO_ROOT;
  const path = parseRepoPath(inside);
  requireOwnRepository(workspace, path);
  return path;
}

/** A submodule, or whatever other repository lies in this one, has its own pointers, which this one's Git cannot hold. */
function requireOwnRepository({ root }: Workspace, path: RepoPath): void {
  const segments = path.split('/');
  for (let depth = 1; depth < segments.length; depth++) {
    const folder = segments.slice(0, depth).join('/');
    if (!existsSync(join(root, folder, '.git'))) continue;
    throw new MlvError({
      code: 'path-in-repository',
      kind: 'refused',
      message: `${path} belongs to another Git repository, ${folder}`,
      hint: `Run mlv in it: mlv -C ${join(root, folder)}`,
    });
  }
}

/**
 * Everything tracked that the targets mean; everything there is when none is given, but for what `onConflict` takes. Throws
 * `not-tracked` for one that means nothing.
 */
export async function selectTracked(
  workspace: Workspace,
  { targets, cwd }: Targets,
  onConflict?: OnConflict,
): Promise<Selected[]> {
  if (targets.length === 0) {
    return (await listTracked(workspace, onConflict)).map((tracked) => ({ tracked, selection: 'all', isNamed: false }));
  }
  const found = new Map<RepoPath, Selected>();
  const unknown: string[] = [];
  let all: Promise<Tracked[]> | undefined;
  const listed = (): Promise<Tracked[]> => (all ??= listTracked(workspace));
  for (const target of targets) {
    const matches = await matchTarget(workspace, { target, cwd, listed });
    if (matches.length === 0) unknown.push(target);
    for (const { tracked, selection } of matches) {
      const before = found.get(tracked.path)?.selection ?? [];
      found.set(tracked.path, { tracked, selection: joinSelections(before, selection), isNamed: true });
    }
  }
  if (unknown.length > 0) throw nothingTracked(unknown);
  return [...found.values()].sort((a, b) => (a.tracked.path < b.tracked.path ? -1 : 1));
}

/**
 * The tracked path that a path is inside of, or is; undefined when nothing tracks it. Where no pointer does, `outputs` is asked for those of
 * stages: everything tracked, or what reads the lock files of the project.
 */
export async function trackedAround(
  workspace: Workspace,
  path: RepoPath,
  outputs: () => Promise<readonly Tracked[]> = () => listOutputs(workspace),
): Promise<Tracked | undefined> {
  const segments = path.split('/');
  for (let depth = segments.length; depth > 0; depth--) {
    const tracked = await readTracked(workspace, parseRepoPath(segments.slice(0, depth).join('/')));
    if (tracked !== undefined) return tracked;
  }
  return (await outputs()).find((tracked) => tracked.path === path || isInside(path, tracked.path));
}

async function matchTarget(
  workspace: Workspace,
  options: { readonly target: string; readonly cwd: string; readonly listed: () => Promise<Tracked[]> },
): Promise<{ tracked: Tracked; selection: Selection }[]> {
  const { target, cwd, listed } = options;
  const typed = resolveTarget(workspace, cwd, target);
  const path = pointedAt(typed);
  const around = path === '' ? undefined : await trackedAround(workspace, path, listed);
  if (around !== undefined) {
    const inner = relativeRepoPath(path, around.path) ?? '';
    return [{ tracked: around, selection: inner === '' ? 'all' : [treePathFromText(inner)] }];
  }
  const below = (await listed()).filter((tracked) => isInside(tracked.path, path));
  if (below.length > 0 || !GLOB.test(target)) return below.map((tracked) => ({ tracked, selection: 'all' }));
  const { default: picomatch } = await import('picomatch');
  const matches = picomatch(path);
  return (await listed()).filter((tracked) => matches(tracked.path)).map((tracked) => ({ tracked, selection: 'all' }));
}

/** The selection as tree paths for reading, undefined for everything. */
export function selectedPaths(selection: Selection): readonly TreePath[] | undefined {
  return selection === 'all' ? undefined : selection;
}

function realFolder(folder: string): string {
  for (let existing = folder; ; existing = dirname(existing)) {
    try {
      return join(realpathSync.native(existing), relative(existing, folder));
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR') || existing === dirname(existing)) throw error;
      if (lstatSync(existing, { throwIfNoEntry: false })?.isSymbolicLink() === true) return folder;
    }
  }
}

function nothingTracked(targets: readonly string[]): MlvError {
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `nothing tracked by mlv matches ${targets.join(', ')}`,
    hint: '"mlv status" lists what is tracked; "mlv add PATH" tracks more.',
  });
}
