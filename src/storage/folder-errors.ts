import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { TransientError } from './transient-error.ts';

/** Disks in a network have bad moments. */
const PASSING = ['EIO', 'ESTALE', 'EAGAIN', 'EBUSY', 'ETIMEDOUT'] as const;

/** The folder itself is not there, or is no folder. */
export function remoteMissing(folder: string): MlvError {
  return new MlvError({
    code: 'remote-missing',
    kind: 'missing',
    message: `the remote's folder does not exist: ${folder}`,
    hint: 'Mount the disk it is on, or correct it with "mlv remote modify NAME url FOLDER". The first push to a new remote makes the last folder of the path, not those above it.',
  });
}

/** What to throw for an error of the file system while reading, a `TransientError` perhaps; anything else comes back as it is. */
export function readError(error: unknown, folder: string, key: string): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  if (hasErrorCode(error, ...PASSING))
    return new TransientError(error.message, { cause: error, hint: 'Look at the disk, and try again.' });
  return new MlvError({
    code: 'remote-read-failed',
    kind: 'io',
    message: `cannot read ${key} at ${folder}: ${error.message}`,
    hint: hasErrorCode(error, 'EACCES', 'EPERM')
      ? 'Ask the owner of that folder for permission to read it.'
      : otherHint(error),
    cause: error,
  });
}

/** The same while writing. */
export function writeError(error: unknown, folder: string, path: string): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  if (hasErrorCode(error, ...PASSING))
    return new TransientError(error.message, { cause: error, hint: 'Look at the disk, and try again.' });
  const options = { kind: 'io', cause: error } as const;
  if (hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS')) {
    return new MlvError({
      ...options,
      code: 'remote-not-writable',
      message: `cannot write to the remote ${folder}: ${error.message}`,
      hint: hasErrorCode(error, 'EROFS')
        ? 'The disk is mounted read-only.'
        : 'Ask the owner of that folder for permission; in a folder shared by a group, "chmod -R g+rwX" and "chmod g+s" on its folders.',
    });
  }
  if (hasErrorCode(error, 'ENOSPC', 'EDQUOT')) {
    return new MlvError({
      ...options,
      code: 'remote-full',
      message: `no room left at the remote ${folder} for ${path}`,
      hint: 'Make room there and push again: what has arrived is not sent again.',
    });
  }
  if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return remoteMissing(folder);
  return new MlvError({
    ...options,
    code: 'remote-write-failed',
    message: `cannot write ${path}: ${error.message}`,
    hint: otherHint(error),
  });
}

function otherHint(error: Error): string {
  return hasErrorCode(error, 'EMFILE', 'ENFILE')
    ? 'Raise the limit of open files: "ulimit -n 4096".'
    : 'Look at the disk, and try again.';
}
