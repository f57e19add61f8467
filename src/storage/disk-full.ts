import { hasErrorCode, MlvError } from '../domain/errors.ts';

/** The error itself, or, for a disk of the cache in `folder` without room, one that says what could not be stored. */
export function namingFullDisk(error: unknown, what: string, folder: string): unknown {
  if (!hasErrorCode(error, 'ENOSPC', 'EDQUOT')) return error;
  return new MlvError({
    code: 'disk-full',
    kind: 'io',
    message: `no room on the disk of the cache ${folder} while storing ${what}`,
    hint: 'Free some space, or move the cache with "mlv config --local cache.dir FOLDER". Nothing was changed; run the command again.',
    cause: error,
  });
}
