import type { Stats } from 'node:fs';
import { lstatSync } from 'node:fs';
import { hasErrorCode } from '../domain/errors.ts';

/** What stands at a path, itself where it is a symlink; undefined where nothing does, also because a file is on the way to it. */
export function statsAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (hasErrorCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
