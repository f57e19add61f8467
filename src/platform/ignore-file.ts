import { MlvError } from '../domain/errors.ts';
import { readSmallFile } from './durable-write.ts';

/** Room for a line for each of 100,000 files. */
export const MAX_IGNORE_BYTES = 16 << 20;

/**
 * The text of a `.gitignore` or the like, empty where there is no such file. As in Git, what is not UTF-8 matches nothing. Throws
 * `file-too-large`, or an error of kind io; each names the path.
 */
export function readIgnoreText(path: string): string {
  try {
    return readSmallFile(path, MAX_IGNORE_BYTES)?.toString('utf8') ?? '';
  } catch (error) {
    // A folder, or a pipe that would never end.
    if (error instanceof MlvError && error.code === 'not-a-file') return '';
    throw error;
  }
}
