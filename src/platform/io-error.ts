import { MlvError } from '../domain/errors.ts';

const REASONS: Readonly<Record<string, { readonly code: string; readonly words: string; readonly hint: string }>> = {
  ENOSPC: { code: 'disk-full', words: 'the disk is full', hint: 'Free some space on that disk and try again.' },
  EDQUOT: {
    code: 'disk-full',
    words: 'your quota on that disk is used up',
    hint: 'Free some space on that disk and try again.',
  },
  EACCES: {
    code: 'permission-denied',
    words: 'permission denied',
    hint: 'Look at the owner and mode of the file and of the folders above it.',
  },
  EPERM: {
    code: 'permission-denied',
    words: 'operation not permitted',
    hint: 'Look at the owner, mode and attributes of the file and of the folders above it.',
  },
  EROFS: {
    code: 'read-only-disk',
    words: 'the disk is read-only',
    hint: 'Mount it writable, or work on a copy elsewhere.',
  },
  EMFILE: { code: 'too-many-files', words: 'too many open files', hint: 'Raise the limit: "ulimit -n 4096".' },
  ENFILE: {
    code: 'too-many-files',
    words: 'too many open files on this machine',
    hint: 'End what holds them, and try again.',
  },
  ESTALE: {
    code: 'stale-file',
    words: 'it was replaced on another machine, or its disk is gone',
    hint: 'Run the command again.',
  },
  EIO: {
    code: 'disk-failing',
    words: 'the disk reported an error',
    hint: 'Look at the system log: the disk may be failing.',
  },
};

/** What to throw for an error of the file system: a MlvError that names the path, or the error itself when it is of another kind. */
export function ioError(error: unknown, action: 'read' | 'write', path: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return error;
  const code = String(error.code);
  const reason = REASONS[code] ?? { code: `${action}-failed`, words: code, hint: undefined };
  return new MlvError({
    code: reason.code,
    kind: 'io',
    message: `cannot ${action} ${path}: ${reason.words}`,
    ...(reason.hint !== undefined && { hint: reason.hint }),
    cause: error,
  });
}
