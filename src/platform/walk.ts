import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode } from '../domain/errors.ts';
import type { IgnoreRules } from '../domain/ignore-rules.ts';
import { ignoreRules } from '../domain/ignore-rules.ts';
import { checkSegment } from '../domain/path-rules.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromBytes, treePathToText } from '../domain/tree-path.ts';
import { isTemporaryName } from './durable-write.ts';
import { readIgnoreText } from './ignore-file.ts';

const IGNORE_FILE = '.mlvignore';
/** What NFS calls a file that was removed or replaced while some process had it open; it goes when that closes it. */
const NFS_REMOVED = /^\.nfs[0-9a-f]{24}$/;

/** A path that the walk came upon. Folders are reported only where they are empty. */
export interface WalkedPath {
  readonly path: TreePath;
  /** As the listing said: `other` is a symlink, or what has no place in a tree. */
  readonly kind: 'file' | 'empty-folder' | 'other';
}

/** A path that cannot be versioned, and why, in words. */
export interface WalkProblem {
  readonly path: string;
  readonly reason: string;
}

interface Name {
  readonly bytes: TreePath;
  readonly isFolder: boolean;
  readonly isFile: boolean;
}

/**
 * Walks a folder in tree order (bytes of the written paths), without following symlinks, and without `stat`: whoever needs it
 * asks for it in parallel. Memory is one listing for each level of depth.
 * @param root absolute path of the folder
 * @param base path of `root` relative to where the ignore rules begin, '' for the same
 * @param problem receives what has no place in a tree: names that are not UTF-8, folders that cannot be read
 */
export function* walkTree(
  root: string,
  options: {
    readonly rules: IgnoreRules;
    readonly base: string;
    readonly problem: (problem: WalkProblem) => void;
    /** Only this folder below `root`, and what is in it; paths stay relative to `root`. */
    readonly start?: TreePath;
  },
): Generator<WalkedPath> {
  const { base, problem, start = '' } = options;
  const under = (path: string): string => (base === '' ? path : path === '' ? base : `${base}/${path}`);

  function list(
    folder: TreePath,
    rules: IgnoreRules,
    tell = problem,
  ): { names: Name[]; rules: IgnoreRules; isEmpty: boolean } | undefined {
    const text = treePathToText(folder);
    const absolute = text === '' ? root : `${root}/${text}`;
    const names: Name[] = [];
    let inner = rules;
    let refused = 0;
    try {
      // latin1: one character a byte, so that names that are not UTF-8 are seen as they are
      const entries = readdirSync(absolute, { withFileTypes: true, encoding: 'latin1' });
      if (entries.some((entry) => entry.name === IGNORE_FILE)) inner = withMlvignore(rules, under(text), absolute);
      for (const entry of entries) {
        if (isTemporaryName(entry.name) || NFS_REMOVED.test(entry.name)) continue;
        const bytes = treePathFromBytes(entry.name);
        if (NOT_ASCII.test(entry.name) && !isUtf8(Buffer.from(entry.name, 'latin1'))) {
          refused += 1;
          tell({ path: joinPath(text, printable(entry.name)), reason: 'its name is not UTF-8' });
          continue;
        }
        const isFolder = entry.isDirectory();
        const name = treePathToText(bytes);
        if (!inner.areEmpty && inner.ignores(under(joinPath(text, name)), isFolder)) continue;
        const refusal = checkSegment(name);
        if (refusal !== undefined) {
          refused += 1;
          tell({ path: joinPath(text, name), reason: `its name cannot be versioned: ${refusal}` });
          continue;
        }
        names.push({ bytes, isFolder, isFile: entry.isFile() });
      }
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return undefined; // deleted meanwhile
      if (!hasErrorCode(error, 'EACCES', 'EPERM', 'ELOOP', 'ENOTDIR')) throw error;
      tell({ path: text === '' ? '.' : text, reason: 'the folder cannot be read' });
      return undefined;
    }
    return { names, rules: inner, isEmpty: names.length + refused === 0 };
  }

  function* visit(folder: TreePath, rules: IgnoreRules): Generator<WalkedPath> {
    const listing = list(folder, rules);
    if (listing === undefined) return;
    if (listing.isEmpty && folder !== '') yield { path: folder, kind: 'empty-folder' };
    const isEmpty = (name: Name): boolean =>
      list(joinPath(folder, name.bytes) as TreePath, listing.rules, () => {})?.isEmpty === true;
    for (const name of sortNames(listing.names, isEmpty)) {
      const path = joinPath(folder, name.bytes) as TreePath;
      if (name.isFolder) yield* visit(path, listing.rules);
      else yield { path, kind: name.isFile ? 'file' : 'other' };
    }
  }

  yield* visit(start as TreePath, options.rules);
}

/** Rules that ignore nothing. */
export const NO_RULES = ignoreRules({ ignoreCase: false });

/** The rules that hold in a folder, given those above it and its path where they begin. Throws as `IgnoreRules.with` and `readIgnoreText` do. */
export function withMlvignore(rules: IgnoreRules, folder: string, absolute: string): IgnoreRules {
  const path = join(absolute, IGNORE_FILE);
  return rules.with(folder, readIgnoreText(path), path);
}

const NOT_ASCII = /[\x80-\xff]/;

/**
 * A folder's content sorts as if its name ended in '/', an empty folder as its bare name. Whether it is empty matters only
 * where the next name begins with this one and a byte below '/', so only then is it looked up.
 */
function sortNames(names: Name[], isEmpty: (name: Name) => boolean): Name[] {
  names.sort((a, b) => (a.bytes < b.bytes ? -1 : 1));
  let reorder = false;
  const keys = names.map((name, index) => {
    if (!name.isFolder) return name.bytes;
    const next = names[index + 1];
    const isAmbiguous = next !== undefined && next.bytes.startsWith(name.bytes);
    if (!isAmbiguous || isEmpty(name)) return name.bytes;
    reorder = true;
    return `${name.bytes}/`;
  });
  if (!reorder) return names;
  const order = names.map((_, index) => index).sort((a, b) => ((keys[a] ?? '') < (keys[b] ?? '') ? -1 : 1));
  return order.flatMap((index) => names[index] ?? []);
}

function joinPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

function printable(bytes: string): string {
  return bytes.replace(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** Files and links under way that a killed process has left in a folder and, if `deep`, those below it; absolute paths. */
export function* findTemporaries(folder: string, deep: boolean): Generator<string> {
  for (const entry of listOrNothing(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (deep) yield* findTemporaries(path, deep);
    } else if (isTemporaryName(entry.name)) yield path;
  }
}

function listOrNothing(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM')) return [];
    throw error;
  }
}
