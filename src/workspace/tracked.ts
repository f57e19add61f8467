import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import type { LockedOutput } from '../domain/pipeline.ts';
import { PIPELINE_FILE } from '../domain/pipeline.ts';
import { MAX_POINTER_BYTES, parsePlainPointer, POINTER_VERSION } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath, parseRepoPath, repoBasename, repoDirname } from '../domain/repo-path.ts';
import { readTextFile } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { Content } from './checkout-record.ts';
import type { Workspace } from './open.ts';

export const POINTER_SUFFIX = '.mlv';

/** A file or directory that a pointer beside it versions, or the output of a stage, which `mlv.lock` does. */
export interface Tracked {
  readonly path: RepoPath;
  readonly pointer: Pointer;
  /** The pointer's text, for rewriting it with its comments; of an output ''. */
  readonly text: string;
  /** The stage that made it; undefined where a pointer tells of it. */
  readonly made?: MadeBy;
  /** True for what stays on the machine that made it: it is never pushed, and missed nowhere. */
  readonly isLocal?: true;
}

export interface MadeBy {
  /** The lock file, and the stage's name in it. */
  readonly lock: RepoPath;
  readonly stage: string;
}

/** True where there is a pointer beside an absolute path; a folder, or a link, of that name is none. */
export function hasPointer(absolute: string): boolean {
  return statsAt(`${absolute}${POINTER_SUFFIX}`)?.isFile() === true;
}

/** True for a path that is a pointer's by its name. */
export function isPointer(path: string): boolean {
  return path.endsWith(POINTER_SUFFIX) && path !== POINTER_SUFFIX && !path.endsWith(`/${POINTER_SUFFIX}`);
}

/** What the pointer of `path` says; undefined where there is none. */
export async function readTracked(workspace: Workspace, path: RepoPath): Promise<Tracked | undefined> {
  const file = pointerPath(path);
  const absolute = `${workspace.root}/${file}`;
  const stats = statsAt(absolute);
  if (stats === undefined || stats.isDirectory()) return undefined;
  // What is listed are files alone; and this one may be going to be written again with all that it holds.
  if (stats.isSymbolicLink()) throw linkedPointer(file);
  const text = readTextFile(absolute, MAX_POINTER_BYTES);
  if (text === undefined) return undefined;
  return { path, text, pointer: await parsePointerText(text, file) };
}

/** Reads a pointer; the YAML parser is loaded only for one that somebody wrote or annotated. */
export async function parsePointerText(text: string, path: string): Promise<Pointer> {
  const plain = parsePlainPointer(text);
  if (plain !== undefined) return plain;
  const { parsePointer } = await import('../domain/pointer-document.ts');
  return parsePointer(text, path);
}

/** What a path means that a person named: what a pointer tracks, where it is one's. */
export function pointedAt(path: RepoPath): RepoPath {
  return path.endsWith(POINTER_SUFFIX) ? parseRepoPath(path.slice(0, -POINTER_SUFFIX.length)) : path;
}

export function pointerPath(path: RepoPath): RepoPath {
  return joinRepoPath(repoDirname(path), `${repoBasename(path)}${POINTER_SUFFIX}`);
}

/** An output of a stage, as if a pointer told of it. */
export function trackedOutput(path: RepoPath, output: LockedOutput, made: MadeBy): Tracked {
  const { type, hash, size, files, exec, remote } = output;
  const pointer: Pointer = {
    version: POINTER_VERSION,
    type,
    hash,
    size,
    ...(files !== undefined && { files }),
    ...(exec !== undefined && { exec }),
    ...(remote !== undefined && { remote }),
  };
  return { path, pointer, text: '', made, ...(!output.push && { isLocal: true }) };
}

export function contentOf(pointer: Pointer): Content {
  return { type: pointer.type, hash: pointer.hash, exec: pointer.exec === true };
}

function linkedPointer(file: string): MlvError {
  return new MlvError({
    code: 'pointer-linked',
    kind: 'refused',
    message: `${file} is a symlink, and no pointer is one`,
    hint: 'Remove it, or replace it by what it leads to.',
  });
}

/** A stage as it is named on the command line. */
export function stageIdOf({ lock, stage }: MadeBy): string {
  const folder = repoDirname(lock);
  return folder === '' ? stage : `${folder}/${PIPELINE_FILE}:${stage}`;
}

/** The error for an output that somebody wants to record otherwise than by its stage. */
export function madeByStage(
  path: RepoPath,
  made: MadeBy,
  hint = `"mlv repro ${stageIdOf(made)}" records it.`,
): MlvError {
  return new MlvError({
    code: 'made-by-stage',
    kind: 'refused',
    message: `${path} is an output of the stage ${stageIdOf(made)} (${made.lock})`,
    hint,
  });
}

/** The error for a path that nothing tracks. */
export function notTracked(path: string): MlvError {
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${path} is not tracked by mlv`,
    hint: `"mlv status" lists what is; "mlv add ${path}" tracks it.`,
  });
}
