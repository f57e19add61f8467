import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { selectiveCursor } from '../domain/three-way.ts';
import type { TreeEdit } from '../domain/tree-edit.ts';
import { editTree } from '../domain/tree-edit.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { openTree, readEntries } from '../domain/tree-reader.ts';
import { hashEngine } from '../platform/hash.ts';
import type { WalkedPath, WalkProblem } from '../platform/walk.ts';
import { walkTree } from '../platform/walk.ts';
import { openStatCache } from '../storage/stat-cache.ts';
import type { Recorded } from './add.ts';
import type { AddTarget } from './add-target.ts';
import { isSelected, joinSelections, mayHoldSelected, stateFiles } from './checkout-record.ts';
import { withPages } from './ensure-pages.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import { createInheritance } from './inherit.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { scan, unscannable } from './scan.ts';
import { entriesOf } from './snapshot.ts';
import type { StorageTasks } from './task-runner.ts';

type InnerTarget = AddTarget & { readonly inner: TreePath };

/**
 * Records one path inside a tracked directory, whether or not the rest of it is checked out: reads the root and the pages that
 * hold the path (from the remote where need be), and writes those alone.
 */
export function editDataset(
  workspace: Workspace,
  target: InnerTarget,
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<Recorded> {
  return withPages(workspace, target, options, async () => applyEdits(workspace, target, await scanEdits(workspace, target, options)));
}

/** What the workspace changes at and below the target's path. */
async function scanEdits(
  workspace: Workspace,
  target: InnerTarget,
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<TreeEdit[]> {
  const { path, inner, record } = target;
  const root = join(workspace.root, path);
  const base = requireDirectory(target);
  const only = [inner];
  const cursor = selectiveCursor(openTree(base, workspace.cache().read), {
    has: (entry) => isSelected(only, entry),
    mayHold: (after, last) => mayHoldSelected(only, after, last),
  });
  const edits: TreeEdit[] = [];
  const inheritance = createInheritance({ base: cursor, selected: record.selected, edit: (edit) => edits.push(edit) });
  const problems: WalkProblem[] = [];
  const isFolder = lstatSync(join(root, treePathToText(inner))).isDirectory();
  const paths: Iterable<WalkedPath> = isFolder
    ? walkTree(root, { ...ignoreRulesFor(workspace, path), problem: (problem) => problems.push(problem), start: inner })
    : [{ path: inner, isEmptyFolder: false }];
  const previous = openStatCache(stateFiles(workspace, path).statCache);
  const summary = await scan({
    ...options,
    root,
    paths,
    previous,
    trustStored: previous?.generation === workspace.cache().generation(),
    store: true,
    probeFolder: workspace.ownFolder,
    onBlock: (block) => {
      for (const entry of entriesOf(block)) inheritance.entry(entry);
    },
  });
  problems.push(...summary.problems);
  if (problems.length > 0) throw unscannable(path, problems);
  inheritance.finish();
  await options.tasks.flush();
  return edits;
}

/** Takes a path out of a tracked directory. Throws `not-tracked` when it holds nothing there. */
export function removeFromDataset(workspace: Workspace, target: InnerTarget, options: VerbOptions): Promise<Recorded> {
  return withPages(workspace, target, options, async () => applyEdits(workspace, target, removalEdits(workspace, target)));
}

function removalEdits(workspace: Workspace, target: InnerTarget): TreeEdit[] {
  const base = requireDirectory(target);
  const edits = Array.from(readEntries(base, workspace.cache().read, target.inner), ({ path }) => ({ path, entry: undefined }));
  if (edits.length === 0) {
    throw new MlvError({
      code: 'not-tracked',
      kind: 'missing',
      message: `${target.path} holds no ${treePathToText(target.inner)}`,
      hint: 'Check the spelling; nothing was changed.',
    });
  }
  return edits;
}

async function applyEdits(workspace: Workspace, target: InnerTarget, edits: readonly TreeEdit[]): Promise<Recorded> {
  const { path, inner, record } = target;
  const cache = workspace.cache();
  const writer = cache.openWriter();
  const tree = editTree({
    root: requireDirectory(target),
    edits,
    load: cache.read,
    hash: hashEngine().hash,
    emit: ({ digest, bytes }) => writer.put(digestToBytes(digest), bytes, 'tree'),
  });
  await writer.finish();
  const content = { type: 'dir', hash: tree.root, exec: false } as const;
  const selected = joinSelections(record.selected, [inner]);
  return { target, content, files: tree.files, bytes: tree.bytes, record: { path, base: content, selected } };
}

function requireDirectory({ path, inner, tracked, record }: InnerTarget) {
  if (tracked?.pointer.type === 'dir' && record.base !== undefined) return record.base.hash;
  throw new MlvError({
    code: 'not-a-directory',
    kind: 'refused',
    message: `${path} is tracked as a file, so nothing can be in it: ${treePathToText(inner)}`,
    hint: `Stop tracking it with "mlv remove ${path}" first.`,
  });
}
