import { MlvError } from './errors.ts';

/**
 * A path inside a tree, *as written* in a page: relative, POSIX, bytes 00–1F, 7F and `%` escaped as `%XX`, and one
 * character for each byte of its UTF-8 form (a "binary string"). So JavaScript's comparison of two of them is the
 * byte order that trees are sorted by, and V8 keeps them at one byte a character.
 */
export type TreePath = string & { readonly __brand: 'TreePath' };

const NEEDS_ESCAPE = /[\x00-\x1f\x7f%]/;
const NEEDS_CHECK = /[\x00-\x1f\x7f-\xff%]/;
const NEEDS_ESCAPE_ALL = /[\x00-\x1f\x7f%]/g;
const ESCAPE = /%(..?)?/g;
const NOT_PLAIN = /[%\x80-\xff]/;
const NOT_ASCII = /[^\x00-\x7f]/;

/** Escapes raw name bytes, given one character a byte as `readdir` returns them under the encoding `latin1`. */
export function treePathFromBytes(bytes: string): TreePath {
  const escaped = NEEDS_ESCAPE.test(bytes) ? bytes.replace(NEEDS_ESCAPE_ALL, escapeCharacter) : bytes;
  return escaped as TreePath;
}

/** The form of an ordinary (UTF-16) path, as people type it. */
export function treePathFromText(path: string): TreePath {
  return treePathFromBytes(NOT_ASCII.test(path) ? Buffer.from(path, 'utf8').toString('latin1') : path);
}

/** The ordinary (UTF-16) path, for the file system and for people. The path must have been checked. */
export function treePathToText(path: TreePath): string {
  if (!NOT_PLAIN.test(path)) return path;
  const unescaped = path.replace(ESCAPE, (_, digits = '') => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(unescaped, 'latin1').toString('utf8');
}

/**
 * The ordinary path that a written one stands for. Throws `tree-path-escape` when it is not in the one form it has: bytes that
 * are not UTF-8, or an escape that is malformed, in lower case, missing, or of something that needs none.
 */
export function readTreePath(path: string): string {
  const text = treePathToText(path as TreePath);
  if (!NEEDS_CHECK.test(path) || treePathFromText(text) === path) return text;
  throw new MlvError({
    code: 'tree-path-escape',
    kind: 'corrupt',
    message: `a tree names a path that is not written as it must be: ${JSON.stringify(path.slice(0, 200))}`,
    hint: 'It was not written by mlv. Do not trust the repository or remote it came from.',
  });
}

function escapeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
