import { existsSync } from 'node:fs';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath, repoDirname } from '../domain/repo-path.ts';
import { findFiles } from '../git/find-files.ts';
import { readTextFile } from '../platform/durable-write.ts';
import type { Workspace } from './open.ts';
import { isLock, isReference, maxReferenceBytes, readReference, referenceOf } from './references.ts';
import type { Tracked } from './tracked.ts';
import { hasPointer, pointedAt, readTracked } from './tracked.ts';

/** Takes what holds the marks of a merge, which otherwise is an error: the path whose pointer it is, or the lock file. */
export type OnConflict = (path: RepoPath) => void;

/**
 * Everything tracked in the project, sorted by path. One walk, which does not enter tracked directories or what Git ignores. Throws
 * `tracked-twice`, and what reading pointers and lock files does.
 */
export async function listTracked(workspace: Workspace, onConflict?: OnConflict): Promise<Tracked[]> {
  const tracked = await readReferences(workspace, (error, file) => {
    if (onConflict === undefined || !['pointer-conflict', 'lock-conflict'].includes(error.code)) throw error;
    onConflict(pointedAt(file));
  });
  requireApart(tracked);
  return tracked.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The outputs of stages among it, without reading pointers. */
export async function listOutputs(workspace: Workspace): Promise<Tracked[]> {
  const outputs: Tracked[] = [];
  for (const lock of findReferences(workspace, isLock)) outputs.push(...(await readReferenceFile(workspace, lock)));
  requireApart(outputs);
  return outputs;
}

/** Every tracked path; what a pointer tracks its name tells. */
export async function listTrackedPaths(workspace: Workspace): Promise<RepoPath[]> {
  const paths: RepoPath[] = [];
  for (const file of findReferences(workspace, isReference))
    paths.push(
      ...(isLock(file) ? (await readReferenceFile(workspace, file)).map(({ path }) => path) : [pointedAt(file)]),
    );
  return paths;
}

/** What all references of the work tree say, in the order of these; `onError` takes those that cannot be read, or throws. */
export async function readReferences(
  workspace: Workspace,
  onError: (error: MlvError, file: RepoPath) => void,
): Promise<Tracked[]> {
  const tracked: Tracked[] = [];
  for (const file of findReferences(workspace, isReference)) {
    try {
      for (const one of await readReferenceFile(workspace, file)) tracked.push(one);
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      onError(error, file);
    }
  }
  return tracked;
}

async function readReferenceFile(workspace: Workspace, file: RepoPath): Promise<Tracked[]> {
  if (!isLock(file)) {
    const tracked = await readTracked(workspace, pointedAt(file));
    return tracked === undefined ? [] : [tracked];
  }
  const text = readTextFile(`${workspace.root}/${file}`, maxReferenceBytes(file));
  return text === undefined ? [] : readReference(text, file);
}

/** Files by which data is tracked, unread. */
export function findReferences(workspace: Workspace, accept: (name: string) => boolean): RepoPath[] {
  const { root, layout } = workspace;
  const found = findFiles(
    { workTree: root, ...(layout !== undefined && { commonDir: layout.commonDir }) },
    {
      accept,
      prune: (folder) => hasPointer(`${root}/${folder}`) || existsSync(`${root}/${folder}/.mlv/config.yaml`),
    },
  );
  return found.map(parseRepoPath);
}

/** Throws `tracked-twice`. Only outputs can be: pointers inside of what a pointer tracks are not looked for. */
export function requireApart(tracked: readonly Tracked[]): void {
  if (tracked.every(({ made }) => made === undefined)) return;
  const places = new Map<RepoPath, Tracked>();
  for (const one of tracked) {
    const other = places.get(one.path);
    if (other !== undefined) throw trackedTwice(other, one);
    places.set(one.path, one);
  }
  for (const one of tracked) {
    for (let folder = repoDirname(one.path); folder !== ''; folder = repoDirname(folder)) {
      const around = places.get(folder);
      if (around !== undefined) throw trackedTwice(around, one);
    }
  }
}

function trackedTwice(one: Tracked, other: Tracked): MlvError {
  const isSame = one.path === other.path;
  return new MlvError({
    code: 'tracked-twice',
    kind: 'refused',
    message: isSame
      ? `${one.path} is tracked twice: by ${placeOf(one)} and by ${placeOf(other)}`
      : `${other.path} is tracked by ${placeOf(other)} and lies inside ${one.path}, which ${placeOf(one)} tracks`,
    hint: 'Data belongs to one place: "mlv remove PATH" stops tracking it by a pointer (it stays), "mlv stage remove" takes a stage away.',
  });
}

function placeOf(tracked: Tracked): string {
  const { made } = tracked;
  return made === undefined ? referenceOf(tracked) : `the stage ${made.stage} in ${made.lock}`;
}
