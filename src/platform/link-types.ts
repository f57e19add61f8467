import { constants, copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkType } from '../domain/setting-table.ts';
import { makeFolder } from './make-folder.ts';

/**
 * Which ways of getting a file out of the cache a disk has, found by trying each in `folder`, which is made if need be and
 * left as it was. All false where nothing can be written there.
 */
export function tryLinkTypes(folder: string): Record<LinkType, boolean> {
  const works = { reflink: false, copy: false, symlink: false };
  let trial: string | undefined;
  let made: string | undefined;
  try {
    made = makeFolder(folder);
    trial = mkdtempSync(join(folder, 'links-'));
    const source = join(trial, 'source');
    writeFileSync(source, 'link');
    for (const type of ['reflink', 'copy', 'symlink'] as const) works[type] = doesLink(type, source, join(trial, type));
  } catch {
    // A read-only or full disk has no way that works.
  } finally {
    const leftover = made ?? trial;
    if (leftover !== undefined) rmSync(leftover, { recursive: true, force: true });
  }
  return works;
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
