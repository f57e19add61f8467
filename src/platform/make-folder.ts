import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasErrorCode } from '../domain/errors.ts';

/** Makes a folder, and those above it that are missing. Returns the first one that had to be made. Throws Node's own errors. */
export function makeFolder(path: string): string | undefined {
  try {
    return mkdirSync(path, { recursive: true });
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) throw error;
    // What Node says of any folder on a disk that is read-only. Making one alone tells why it cannot be made.
    let first = path;
    while (statSync(dirname(first), { throwIfNoEntry: false }) === undefined && dirname(first) !== first)
      first = dirname(first);
    mkdirSync(first);
    throw error;
  }
}
