import type { Digest, HashFunction } from './digest.ts';
import { MlvError } from './errors.ts';
import type { TreeEntry, TreeSummary } from './tree.ts';
import type { TreeObject } from './tree-builder.ts';
import { createTreeBuilder } from './tree-builder.ts';
import type { TreePath } from './tree-path.ts';
import type { LoadObject, TreeItem } from './tree-reader.ts';
import { openTree, readEntries } from './tree-reader.ts';

/** The new entry of a path, or undefined to take the path out. */
export interface TreeEdit {
  readonly path: TreePath;
  readonly entry: TreeEntry | undefined;
}

/**
 * The tree with some paths set or removed. Only pages that hold one of these paths, and what follows until the page
 * boundaries fall together again, are read and written; the result is the tree that building from nothing gives.
 * Throws `tree-file-folder` when a path would be both a file and a folder.
 */
export function editTree(options: {
  readonly root: Digest;
  readonly edits: Iterable<TreeEdit>;
  readonly load: LoadObject;
  readonly hash: HashFunction;
  readonly emit: (object: TreeObject) => void;
}): TreeSummary {
  const { root, load } = options;
  const edits = [...options.edits].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  requireNoFileFolder(root, edits, load);
  const builder = createTreeBuilder(options);
  const cursor = openTree(root, load);
  let next = 0;

  function applyNextEdit(): void {
    const entry = edits[next]?.entry;
    if (entry !== undefined) builder.entry(entry);
    next += 1;
  }

  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node') {
      if (item.level === 0 && builder.atPageStart() && !concerns(item, edits[next])) {
        builder.page(item.node);
        cursor.skip();
      } else {
        cursor.open();
      }
      continue;
    }
    const edit = edits[next];
    if (edit !== undefined && edit.path <= item.entry.path) {
      if (edit.path === item.entry.path) cursor.skip();
      applyNextEdit();
    } else {
      builder.entry(item.entry);
      cursor.skip();
    }
  }
  while (next < edits.length) applyNextEdit();
  return builder.finish();
}

/** True when the edit falls into this page; the last page of a tree takes in all that follows it. */
function concerns(item: Extract<TreeItem, { type: 'node' }>, edit: TreeEdit | undefined): boolean {
  return edit !== undefined && (item.isLast || edit.path <= item.node.lastPath);
}

/** Passing pages over hides what is in them from the builder's own check, so the neighbours of each new path are looked up. */
function requireNoFileFolder(root: Digest, edits: readonly TreeEdit[], load: LoadObject): void {
  const edited = new Map(edits.map((edit) => [edit.path, edit.entry]));
  const exists = (path: TreePath): boolean => {
    if (edited.has(path)) return edited.get(path) !== undefined;
    for (const entry of readEntries(root, load, path)) return entry.path === path;
    return false;
  };
  for (const { path, entry } of edits) {
    if (entry === undefined) continue;
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const folder = path.slice(0, slash) as TreePath;
      if (exists(folder)) throw fileFolder(folder);
    }
    for (const below of readEntries(root, load, path)) {
      if (below.path !== path && exists(below.path)) throw fileFolder(path);
    }
  }
}

function fileFolder(path: TreePath): MlvError {
  return new MlvError({
    code: 'tree-file-folder',
    kind: 'refused',
    message: `${JSON.stringify(path)} would be a file and a folder at once`,
    hint: 'Remove one of them first.',
  });
}
