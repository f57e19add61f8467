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
      message: `${folder} is a symlink, and ${out?.stage.id ?? 'a stage'} is to make ${out?.path ?? 'an output'} in it`,
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
      throw tracked(
        `${path}, which ${stage.id} makes, is tracked by ${pointerPath(pointer)}`,
        `Stop tracking it: "mlv remove ${pointer}"; or take it out of the stage's outputs.`,
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
  throw tracked(
    `${inGit}, which ${out?.stage.id ?? 'a stage'} makes, is tracked by Git`,
    `Take it out of Git, the file stays: git rm -r --cached ${inGit}. Or leave it to Git: "cache: false".`,
  );
}

function keptAround(pointers: ReadonlySet<RepoPath>, path: RepoPath): RepoPath | undefined {
  for (let at = path; at !== ''; at = repoDirname(at)) if (pointers.has(at)) return at;
  return undefined;
}

function tracked(message: string, hint: string): MlvError {
  return new MlvError({ code: 'output-tracked', kind: 'refused', message, hint });
}
