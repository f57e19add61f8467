import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Stage } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, repoDirname } from '../domain/repo-path.ts';
import { statsAt } from '../platform/stats-at.ts';
import { findReferences } from './list-tracked.ts';
import type { Workspace } from './open.ts';
import { isPointer, pointedAt, pointerPath } from './tracked.ts';
import { ignoreFileOf, requireOwnIgnoreFile } from './write-pointers.ts';

/**
 * Refuses outputs that something else keeps: a pointer, or, those that are to be mlv's, Git; and those that lie behind symlinks. To be
 * called before anything runs. Throws `output-tracked`, `output-beyond-symlink`, `gitignore-linked`.
 */
export async function checkOutputs(workspace: Workspace, stages: readonly Stage[]): Promise<void> {
  const outs = stages.flatMap((stage) => stage.outs.map((out) => ({ ...out, stage })));
  if (outs.length === 0) return;
  const folders = new Set<RepoPath>();
  for (const { path, cache } of outs) {
    if (cache) requireOwnIgnoreFile(workspace.root, ignoreFileOf(path));
    for (let folder = repoDirname(path); folder !== '' && !folders.has(folder); folder = repoDirname(folder))
      folders.add(folder);
  }
  for (const folder of folders) {
    if (statsAt(join(workspace.root, folder))?.isSymbolicLink() !== true) continue;
    const out = outs.find(({ path }) => isInside(path, folder));
    throw new MlvError({
      code: 'output-beyond-symlink',
      kind: 'refused',
      message: `${folder} is a symlink${out === undefined ? '' : `, and ${made(out.path, out.stage)}, lies in it`}`,
      hint: 'Name the folder that it leads to, or replace the link by a folder.',
    });
  }
  const pointers = findReferences(workspace, isPointer).map(pointedAt);
  // By every folder that they are in, too: an output must not hold what a pointer keeps.
  const known = new Map<RepoPath, RepoPath>();
  for (const pointer of pointers) for (let at = pointer; at !== ''; at = repoDirname(at)) known.set(at, pointer);
  const kept = new Set(pointers);
  for (const { path, stage } of outs) {
    const pointer = known.get(path) ?? keptAround(kept, path);
    if (pointer !== undefined) {
      const by = `tracked by ${pointerPath(pointer)}`;
      const how =
        pointer === path
          ? `is ${by}`
          : isInside(path, pointer)
            ? `lies in ${pointer}, which is ${by}`
            : `holds ${pointer}, which is ${by}`;
      throw tracked(
        `${made(path, stage)}, ${how}`,
        `Stop tracking ${pointer}, "mlv remove ${pointer}"; or let the stage write to another place.`,
      );
    }
  }
  const git = await workspace.git();
  const cached = outs.filter(({ cache }) => cache);
  if (git === undefined || cached.length === 0) return;
  const full = (path: string): string => (workspace.prefix === '' ? path : `${workspace.prefix}/${path}`);
  const [inGit] = await git.tracked(cached.map(({ path }) => full(path)));
  if (inGit === undefined) return;
  const out = cached.find(({ path }) => inGit === full(path) || inGit.startsWith(`${full(path)}/`));
  if (out === undefined) throw new Error(`Git told of ${inGit}, which nobody asked for`);
  const { path, stage } = out;
  const how =
    inGit === full(path)
      ? 'is tracked by Git'
      : `holds ${inGit.slice(full(path).length - path.length)}, which is tracked by Git`;
  throw tracked(
    `${made(path, stage)}, ${how}`,
    `Take it out of Git, the files stay: git rm -r --cached ${path}. Or leave it to Git: "cache: false".`,
  );
}

function keptAround(pointers: ReadonlySet<RepoPath>, path: RepoPath): RepoPath | undefined {
  for (let at = path; at !== ''; at = repoDirname(at)) if (pointers.has(at)) return at;
  return undefined;
}

/** An output as messages name it. */
function made(path: RepoPath, { id, file, line }: Stage): string {
  return `${path}, which stage ${id} makes (${file}:${line})`;
}

function tracked(message: string, hint: string): MlvError {
  return new MlvError({ code: 'output-tracked', kind: 'refused', message, hint });
}
