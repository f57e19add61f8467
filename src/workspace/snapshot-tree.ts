import type { TreeEntry } from '../domain/tree.ts';
import { createTreeBuilder } from '../domain/tree-builder.ts';
import type { TreeEdit } from '../domain/tree-edit.ts';
import { editTree } from '../domain/tree-edit.ts';
import { EMPTY_CURSOR, openTree, readEntries } from '../domain/tree-reader.ts';
import { hashEngine } from '../platform/hash.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { modesOf } from './file-modes.ts';
import { createInheritance } from './inherit.ts';
import type { Workspace } from './open.ts';
import type { TreeObjectStore } from './tree-object-store.ts';
import { holdsPurged, keyOfPurges } from './unpurged-roots.ts';

/** What, beside the files themselves, a snapshot's tree depends on. */
export function contextOf(workspace: Workspace, record: CheckoutRecord): string {
  const { base, selected } = record;
  const purged = workspace.purged();
  if (purged.size === 0 && selected === 'all' && workspace.keepsModes()) return 'all';
  const part = `${base?.hash ?? 'none'} ${selected === 'all' ? 'all' : selected.join('\0')}`;
  return purged.size === 0 ? part : `${part} without ${keyOfPurges(purged)}`;
}

/** Turns sorted workspace entries into a tree: built anew, or, of a partly checked-out directory, edited into its base. */
export function createContentCollector(workspace: Workspace, record: CheckoutRecord, objects: TreeObjectStore) {
  const { hash } = hashEngine();
  const { base, selected } = record;
  const withMode = modesOf(workspace, () => (base?.type === 'dir' ? openTree(base.hash, objects.load) : EMPTY_CURSOR));
  // What was purged the workspace need not have.
  const mayLack = base?.type === 'dir' && holdsPurged(workspace, base.hash, objects.load);
  const isWhole = selected === 'all' && !mayLack;
  if (isWhole || base === undefined || base.type === 'file') {
    const builder = createTreeBuilder({ hash, emit: objects.emit });
    const entry = (each: TreeEntry): void => builder.entry(withMode(each));
    return { entry, finish: () => ({ ...builder.finish(), notCheckedOut: 0, brought: [] }) };
  }
  const edits: TreeEdit[] = [];
  const inheritance = createInheritance({
    base: openTree(base.hash, objects.load),
    below: (path) => readEntries(base.hash, objects.load, path),
    selected,
    purged: workspace.purged(),
    edit: (edit) => edits.push(edit),
  });
  return {
    entry: (each: TreeEntry): void => inheritance.entry(withMode(each)),
    finish() {
      const notCheckedOut = inheritance.finish();
      const brought = edits.flatMap((edit) => (edit.entry === undefined ? [] : edit.path));
      return {
        ...editTree({ root: base.hash, edits, load: objects.load, hash, emit: objects.emit }),
        notCheckedOut,
        brought,
      };
    },
  };
}
