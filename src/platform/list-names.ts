import { readdirSync } from 'node:fs';
import { hasErrorCode } from '../domain/errors.ts';

/** The names in a folder; none where there is no such folder. */
export function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return [];
    throw error;
  }
}
