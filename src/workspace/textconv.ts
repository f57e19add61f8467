import { resolve } from 'node:path';
import { MAX_POINTER_BYTES } from '../domain/pointer.ts';
import { listTree } from '../domain/tree-listing.ts';
import { readSmallFile } from '../platform/durable-write.ts';
import { openLocalCache } from '../storage/local-cache.ts';
import { atTop } from './merge-driver.ts';
import type { Environment, ProjectFolders } from './open.ts';
import { cacheFolderOf, findLayout, findProject, foldersOf, readSettings } from './open.ts';
import { parsePointerText } from './tracked.ts';

/**
 * What a file that holds a pointer says, and a line for each file of the directory it names, for Git to compare. From the cache
 * alone; what is not there, or is no pointer, gives the file's own bytes. Throws only what reading the file throws.
 */
export async function textOfPointer(
  file: string,
  options: { readonly cwd: string; readonly environment: Environment },
): Promise<Buffer> {
  const path = resolve(options.cwd, file);
  const bytes = readSmallFile(path, Infinity) ?? Buffer.alloc(0);
  try {
    return bytes.length > MAX_POINTER_BYTES
      ? bytes
      : Buffer.from(await describe(bytes.toString('utf8'), path, options));
  } catch {
    // A failure of any kind would end "git log -p" halfway.
    return bytes;
  }
}

async function describe(
  text: string,
  path: string,
  { cwd, environment }: { readonly cwd: string; readonly environment: Environment },
): Promise<string> {
  const pointer = await parsePointerText(text, path);
  if (pointer.type === 'file') return text;
  const settings = atTop(cwd, environment);
  const folders = projectFolders(cwd, settings);
  const cache = openLocalCache({
    folder: cacheFolderOf(folders, await readSettings(folders, settings), settings),
    packBelow: () => 0,
  });
  try {
    return `${text.trimEnd()}\n\n${Array.from(listTree(pointer.hash, cache.read), (line) => `${line}\n`).join('')}`;
  } finally {
    cache.close();
  }
}

/** Git does not tell which of the projects below the top it is: where the cache is, the clone's own settings say. */
function projectFolders(cwd: string, environment: Environment): ProjectFolders {
  try {
    return findProject(cwd, environment);
  } catch {
    return foldersOf(cwd, findLayout(cwd, environment), environment);
  }
}
