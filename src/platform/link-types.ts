import {
  constants,
  copyFileSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { LinkType } from '../domain/setting-table.ts';

/**
 * Which ways of getting a file out of the cache a disk has, found by trying each in `folder`, or where that is going to be made;
 * nothing stays behind. All false where nothing can be written there.
 */
export function tryLinkTypes(folder: string): Record<LinkType, boolean> {
  const works = { reflink: false, copy: false, symlink: false };
  let trial: string | undefined;
  try {
    trial = mkdtempSync(join(nearestEntry(folder), 'links-'));
    const source = join(trial, 'source');
    writeFileSync(source, 'link');
    for (const type of ['reflink', 'copy', 'symlink'] as const) works[type] = doesLink(type, source, join(trial, type));
  } catch {
    // A read-only or full disk has no way that works.
  } finally {
    if (trial !== undefined) rmSync(trial, { recursive: true, force: true });
  }
  return works;
}

/**
 * The folder, or the first above it that is there. Whoever would make folders for a trial, and remove them, would remove what others
 * have put there since.
 */
export function nearestEntry(folder: string): string {
  const isThere = lstatSync(folder, { throwIfNoEntry: false }) !== undefined;
  return isThere || folder === dirname(folder) ? folder : nearestEntry(dirname(folder));
}

function doesLink(type: LinkType, source: string, target: string): boolean {
  try {
    if (type === 'symlink') symlinkSync(source, target);
    else copyFileSync(source, target, type === 'reflink' ? constants.COPYFILE_FICLONE_FORCE : 0);
    return readFileSync(target, 'utf8') === 'link';
  } catch {
    return false;
  }
}
