/** Whole folders as values that tests compare. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** What a folder is to hold: text or bytes of a file, or one of `link`, `executable` and `emptyFolder`. */
export type Files = Readonly<Record<string, string | Buffer | Special>>;

type Special = { readonly link: string } | { readonly executable: string } | { readonly emptyFolder: true };

export const emptyFolder: Special = { emptyFolder: true };

export function link(target: string): Special {
  return { link: target };
}

export function executable(content: string): Special {
  return { executable: content };
}

/** Writes files, with the folders they need. */
export function writeFiles(folder: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    const absolute = join(folder, path);
    mkdirSync(dirname(absolute), { recursive: true });
    if (typeof content === 'string' || Buffer.isBuffer(content)) writeFileSync(absolute, content);
    else if ('link' in content) symlinkSync(content.link, absolute);
    else if ('emptyFolder' in content) mkdirSync(absolute, { recursive: true });
    else {
      writeFileSync(absolute, content.executable);
      chmodSync(absolute, 0o755);
    }
  }
}

/** `count` small files of distinct content, so named that trees of a few thousand have several pages. */
export function manyFiles(count: number, prefix = ''): Record<string, string> {
  const files: Record<string, string> = {};
  for (let index = 0; index < count; index++) {
    const name = String(index).padStart(5, '0');
    files[`${prefix}${name.slice(0, 3)}/${name}.txt`] = `content of ${prefix}${name}\n`;
  }
  return files;
}

/**
 * All that is in a folder, in a form in which equal folders are equal: `file TEXT`, `exec TEXT`, `link TARGET`, `empty` for a folder
 * with nothing in it. Symlinks are not followed. Undefined where there is no such folder.
 */
export function readFolder(folder: string, skip: readonly string[] = []): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) return undefined;
  for (const [path, absolute] of walk(folder, skip)) {
    const stats = lstatSync(absolute, { throwIfNoEntry: false });
    // A name that is not UTF-8 does not come back as what it is.
    if (stats === undefined) found[path] = 'unnameable';
    else if (stats.isSymbolicLink()) found[path] = `link ${readlinkSync(absolute)}`;
    else if (stats.isDirectory()) found[path] = 'empty';
    else if (stats.isFile())
      found[path] = `${(stats.mode & 0o111) === 0 ? 'file' : 'exec'} ${readFileSync(absolute, 'utf8')}`;
    else found[path] = 'special';
  }
  return found;
}

/** What `readFolder` reads where these files were written. */
export function asRead(files: Files): Record<string, string> {
  const read: Record<string, string> = {};
  for (const path of Object.keys(files).sort()) {
    const content = files[path];
    if (content === undefined) continue;
    if (typeof content === 'string' || Buffer.isBuffer(content)) read[path] = `file ${content.toString()}`;
    else if ('link' in content) read[path] = `link ${content.link}`;
    else read[path] = 'emptyFolder' in content ? 'empty' : `exec ${content.executable}`;
  }
  return read;
}

/** Inode, size and times of everything in a folder, the folder itself included: what any write changes. */
export function identities(folder: string, skip: readonly string[] = []): Record<string, string> {
  const found: Record<string, string> = {};
  const note = (path: string, absolute: string): void => {
    const { ino, size, mtimeNs, ctimeNs } = lstatSync(absolute, { bigint: true });
    found[path] = `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  };
  note('.', folder);
  for (const [path, absolute] of walk(folder, skip, true)) note(path, absolute);
  return found;
}

/** Paths in a folder whose last name begins so. */
export function pathsNamed(folder: string, start: string): string[] {
  return Array.from(walk(folder, []), ([path]) => path).filter((path) =>
    (path.split('/').at(-1) ?? '').startsWith(start),
  );
}

function* walk(
  folder: string,
  skip: readonly string[],
  withFolders = false,
  prefix = '',
): Generator<[path: string, absolute: string]> {
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    const absolute = join(folder, path);
    if (skip.includes(path)) continue;
    if (!entry.isDirectory()) yield [path, absolute];
    else {
      if (withFolders || readdirSync(absolute).length === 0) yield [path, absolute];
      yield* walk(folder, skip, withFolders, path);
    }
  }
}
