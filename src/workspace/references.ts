import { MlvError } from '../domain/errors.ts';
import { MAX_LOCK_BYTES, parsePlainLock } from '../domain/lock-file.ts';
import type { LockedStages } from '../domain/lock-file.ts';
import { LOCK_FILE } from '../domain/pipeline.ts';
import { MAX_POINTER_BYTES } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import type { Tracked } from './tracked.ts';
import { isPointer, parsePointerText, pointerPath, POINTER_SUFFIX, trackedOutput } from './tracked.ts';

/** Git pathspecs for all references. */
export const REFERENCE_PATHSPECS = [`*${POINTER_SUFFIX}`, LOCK_FILE, `*/${LOCK_FILE}`];

/** True for a file in Git that names data, by its own name: a pointer names one path, `mlv.lock` what its stages made. */
export function isReference(path: string): boolean {
  return isPointer(path) || isLock(path);
}

export function isLock(path: string): boolean {
  return path === LOCK_FILE || path.endsWith(`/${LOCK_FILE}`);
}

/** The most bytes that a reference of this name has; what is larger is none. */
export function maxReferenceBytes(file: string): number {
  return isLock(file) ? MAX_LOCK_BYTES : MAX_POINTER_BYTES;
}

/**
 * What a reference tracks, whose path in the project is `file`; errors call it `name`. Of a lock file those outputs that Git does not keep.
 * Throws what parsing it does: `pointer-conflict`, `lock-conflict`, `pointer-invalid`, `lock-invalid` …
 */
export async function readReference(text: string, file: RepoPath, name: string = file): Promise<Tracked[]> {
  if (!isLock(file)) {
    const path = parseRepoPath(file.slice(0, -POINTER_SUFFIX.length));
    return [{ path, pointer: await parsePointerText(text, name), text }];
  }
  const tracked: Tracked[] = [];
  for (const [stage, { outs }] of await parseLockText(text, file, name)) {
    for (const [path, output] of outs) {
      if (path === '') throw projectAsOutput(name, stage);
      if (output.cache) tracked.push(trackedOutput(path, output, { lock: file, stage }));
    }
  }
  return tracked;
}

/** The reference that tells of a tracked path. */
export function referenceOf({ path, made }: Pick<Tracked, 'path' | 'made'>): RepoPath {
  return made?.lock ?? pointerPath(path);
}

/** The YAML parser is loaded only for a lock that somebody edited, or a merge left its marks in. */
export async function parseLockText(text: string, file: RepoPath, name: string = file): Promise<LockedStages> {
  try {
    const plain = parsePlainLock(text, file);
    if (plain !== undefined) return plain;
    const { parseLock } = await import('../domain/lock-document.ts');
    return parseLock(text, file);
  } catch (error) {
    if (!(error instanceof MlvError) || name === file) throw error;
    const { code, kind, hint, message } = error;
    throw new MlvError({
      code,
      kind,
      message: message.replace(file, name),
      ...(hint !== undefined && { hint }),
      cause: error,
    });
  }
}

function projectAsOutput(name: string, stage: string): MlvError {
  return new MlvError({
    code: 'lock-invalid',
    kind: 'corrupt',
    message: `${name}: stages.${stage}.outs: the project itself is nothing that a stage can make`,
    hint: `Take the stage away: mlv stage remove ${stage}`,
  });
}
