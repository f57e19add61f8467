import type { Digest, HashFunction } from './digest.ts';
import { MlvError } from './errors.ts';
import type { TreeEntry, TreeSummary } from './tree.ts';
import type { TreeObject } from './tree-builder.ts';
import { createTreeBuilder } from './tree-builder.ts';
import { hasTreeCode } from './tree-order.ts';
import type { TreePath } from './tree-path.ts';
import type { LoadObject } from './tree-reader.ts';
import { openTree } from './tree-reader.ts';

/** The new entry of a path, or undefined to take the path out. */
export interface TreeEdit {
  readonly path: TreePath;
  readonly entry: TreeEntry | undefined;
}

/**
 * The tree with some paths set or removed. Only pages that these edits concern are read, and what follows until the page
 * boundaries fall together again; the result is the tree that building from nothing gives. The entry of an empty folder goes
 * when something is put into it. Throws `tree-file-folder` when a path would be both a file and a folder.
 */
export function editTree(options: {
  readonly root: Digest;
  /** In any order, each path once. */
  readonly edits: Iterable<TreeEdit>;
  readonly load: LoadObject;
  readonly hash: HashFunction;
  readonly emit: (object: TreeObject) => void;
}): TreeSummary {
  const edits = [...options.edits].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  try {
    return applyEdits(edits, options);
  } catch (error) {
    if (hasTreeCode(error, 'tree-file-folder')) throw fileFolder(error);
    throw error;
  }
}

function applyEdits(
  edits: readonly TreeEdit[],
  options: {
    readonly root: Digest;
    readonly load: LoadObject;
    readonly hash: HashFunction;
    readonly emit: (object: TreeObject) => void;
  },
): TreeSummary {
  const builder = createTreeBuilder(options);
  const cursor = openTree(options.root, options.load);
  const folders = foldersOf(edits);
  const concerns = createConcern(edits, folders);
  let next = 0;
  let after = '';

  function applyNextEdit(): void {
    const entry = edits[next]?.entry;
    if (entry !== undefined) builder.entry(entry);
    next += 1;
  }

  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node') {
      const { lastPath } = item.node;
      // The last page of a tree takes in all that follows it.
      const takesRest = item.isLast && next < edits.length;
      if (item.level > 0 || !builder.atPageStart() || takesRest || concerns(after, lastPath)) {
        cursor.open();
        continue;
      }
      builder.page(item.node);
      after = lastPath;
      cursor.skip();
      continue;
    }
    const { entry } = item;
    const edit = edits[next];
    if (edit !== undefined && edit.path < entry.path) {
      applyNextEdit();
      continue;
    }
    if (edit?.path === entry.path) applyNextEdit();
    else if (entry.kind !== 'd' || !folders.has(entry.path)) builder.entry(entry);
    after = entry.path;
    cursor.skip();
  }
  while (next < edits.length) applyNextEdit();
  return builder.finish();
}

/** Every folder that something is put into. */
function foldersOf(edits: readonly TreeEdit[]): Set<TreePath> {
  const folders = new Set<TreePath>();
  for (const { path, entry } of edits) {
    if (entry === undefined) continue;
    // From the longest down: those above a folder that is known are known.
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      const folder = path.slice(0, slash) as TreePath;
      if (folders.has(folder)) break;
      folders.add(folder);
    }
  }
  return folders;
}

/**
 * Tells of the pages, in order, whether they must be read: those that hold an edited path; and, because pages that are passed
 * over hide what is in them from the builder's own check, those that could hold a folder of a new path, or something below it.
 */
function createConcern(
  edits: readonly TreeEdit[],
  folders: ReadonlySet<TreePath>,
): (after: string, last: TreePath) => boolean {
  const spans: { readonly from: string; readonly to: string }[] = [];
  for (const path of folders) spans.push({ from: path, to: path });
  for (const { path, entry } of edits) {
    spans.push({ from: path, to: path });
    // '0' is the byte after '/'.
    if (entry !== undefined) spans.push({ from: `${path}/`, to: `${path}0` });
  }
  spans.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  let next = 0;
  let reach = '';
  return (after, last) => {
    for (let span = spans[next]; span !== undefined && span.from <= last; span = spans[next]) {
      if (span.to > reach) reach = span.to;
      next += 1;
    }
    return reach > after;
  };
}

function fileFolder(cause: MlvError): MlvError {
  return new MlvError({
    code: 'tree-file-folder',
    kind: 'refused',
    message: cause.message,
    hint: 'Nothing can be a file and a folder at once: remove one of them first.',
    cause,
  });
}
