import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { requireSymlinkTarget } from '../domain/tree-order.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText, treePathToText } from '../domain/tree-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import type { TreeEntry } from '../domain/tree.ts';
import type { Place } from './place.ts';
import { nothingInside } from './place.ts';
import { purgedLine } from './purge-record.ts';
import type { VersionReader } from './read-version.ts';
import type { VersionAround } from './version-at.ts';

/** A file of a version, its bytes in the cache. */
export interface FileAt {
  /** Path in the project. */
  readonly path: string;
  readonly kind: 'f' | 'x';
  readonly size: number;
  readonly digest: Digest;
}

/** As many as Linux follows. */
const MAX_LINKS = 40;

/**
 * The file at a place, or the one that a symlink there leads to, with its bytes fetched; `folder` for a folder. Throws `not-tracked`,
 * `symlink-target`, `content-purged`, and what the reader throws.
 */
export async function fileAt(
  place: Place,
  { version, inner }: VersionAround,
  reader: VersionReader,
): Promise<FileAt | 'folder'> {
  const { path: dataset, pointer } = version;
  if (pointer.type === 'file') {
    if (inner !== undefined) throw nothingInside(version, inner, place);
    const { hash: digest, size, exec } = pointer;
    return withBytes(place, reader, { path: dataset, kind: exec === true ? 'x' : 'f', size, digest });
  }
  if (inner === undefined) return 'folder';
  let at = inner;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const found = await entryAt(reader, pointer.hash, at);
    if (found === undefined || (found === 'folder' && at !== inner)) {
      throw at === inner
        ? nothingInside(version, inner, place)
        : leadsNowhere(`${dataset}/${treePathToText(inner)}`, at);
    }
    if (found === 'folder') return found;
    const { kind, size, digest } = found;
    const path = `${dataset}/${treePathToText(at)}`;
    if (kind === 'd') return 'folder';
    if (kind !== 'l') return withBytes(place, reader, { path, kind, size, digest });
    await withBytes(place, reader, { path, kind: 'f', size, digest });
    at = targetOf(at, reader.cache.read(digest).toString('utf8'));
  }
  throw leadsNowhere(`${dataset}/${treePathToText(inner)}`, at);
}

/** The entry at a path; undefined where there is none. */
async function entryAt(reader: VersionReader, root: Digest, at: TreePath): Promise<TreeEntry | 'folder' | undefined> {
  await reader.ensureTree({ below: at });
  const [entry] = readEntries(root, reader.cache.read, at);
  return entry === undefined || entry.path === at ? entry : 'folder';
}

async function withBytes(place: Place, reader: VersionReader, file: FileAt): Promise<FileAt> {
  await reader.ensureBlob({ ...file, name: file.path });
  const purged = place.workspace.purged().get(file.digest);
  if (purged === undefined) return file;
  throw new MlvError({
    code: 'content-purged',
    kind: 'refused',
    message: purgedLine(file.path, purged),
    hint: 'It must not exist any more: nothing has it, or should. Other versions of the file may do.',
  });
}

/** Where a symlink leads, from the top of its dataset. */
function targetOf(link: TreePath, target: string): TreePath {
  requireSymlinkTarget(target, link);
  const folders = treePathToText(link).split('/').slice(0, -1);
  const names = target.split('/');
  while (names[0] === '..') {
    names.shift();
    folders.pop();
  }
  return treePathFromText([...folders, ...names].join('/'));
}

function leadsNowhere(path: string, target: TreePath): MlvError {
  return new MlvError({
    code: 'symlink-target',
    kind: 'missing',
    message: `${path} is a symlink to ${treePathToText(target)}, which is no file of that version`,
    hint: 'Name the file, or the folder, that you want.',
  });
}
