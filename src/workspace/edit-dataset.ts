import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { selectiveCursor } from '../domain/three-way.ts';
import type { TreeEdit } from '../domain/tree-edit.ts';
import { editTree } from '../domain/tree-edit.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { openTree, readEntries } from '../domain/tree-reader.ts';
import { hashEngine } from '../platform/hash.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { WalkedPath, WalkProblem } from '../platform/walk.ts';
import { walkTree } from '../platform/walk.ts';
import { finishing } from '../storage/cache-writer.ts';
import { openStatCache } from '../storage/stat-cache.ts';
import type { Recorded } from './add.ts';
import type { AddTarget } from './add-target.ts';
import type { Selection } from './checkout-record.ts';
import { isSelected, joinSelections, mayHoldSelected, stateFiles } from './checkout-record.ts';
import { withPages } from './ensure-pages.ts';
import { ignoreRulesFor } from './ignore-rules.ts';
import { modesOf } from './file-modes.ts';
import { createInheritance } from './inherit.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { refusePurged } from './purge-record.ts';
import { holdsNo } from './require-held.ts';
import { scan, unscannable } from './scan.ts';
import { entriesOf } from './follow-stat-cache.ts';
import type { StorageTasks } from './task-runner.ts';

type InnerTarget = AddTarget & { readonly inner: readonly TreePath[] };

/** What is to become of a dataset, and of what is checked out of it. */
interface Edits {
  readonly edits: readonly TreeEdit[];
  readonly selected: Selection;
}

/**
 * Records paths inside a tracked directory, whether or not the rest of it is checked out: reads the root and the pages that hold
 * the paths (from the remote where need be), and writes those alone.
 */
export function editDataset(
  workspace: Workspace,
  target: InnerTarget,
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<Recorded> {
  return withPages(workspace, pagesAround(target), options, async () => {
    const edits: TreeEdit[] = [];
    let { selected } = target.record;
    for (const inner of target.inner) {
      const found = await scanEdits(workspace, target, inner, options);
      for (const edit of found.edits) edits.push(edit);
      selected = joinSelections(selected, found.selected);
    }
    await options.tasks.flush();
    return applyEdits(workspace, target, { edits, selected });
  });
}

function pagesAround({ tracked, inner }: InnerTarget) {
  return tracked && { tracked, root: tracked.pointer.hash, around: () => inner };
}

/** What the workspace changes at and below one path, and how much of that the workspace then has. */
async function scanEdits(
  workspace: Workspace,
  target: InnerTarget,
  inner: TreePath,
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<Edits> {
  const { path, record } = target;
  const root = join(workspace.root, path);
  const base = requireDirectory(target);
  const only = [inner];
  const cursor = selectiveCursor(openTree(base, workspace.cache().read), {
    has: (entry) => isSelected(only, entry),
    mayHold: (after, last) => mayHoldSelected(only, after, last),
  });
  const edits: TreeEdit[] = [];
  const inheritance = createInheritance({
    base: cursor,
    below: (inside) => readEntries(base, workspace.cache().read, inside),
    selected: record.selected,
    purged: workspace.purged(),
    edit: (edit) => edits.push(edit),
  });
  const withMode = modesOf(workspace, () => openTree(base, workspace.cache().read));
  const problems: WalkProblem[] = [];
  const refused: { path: string; digest: Digest }[] = [];
  const stats = statsAt(join(root, treePathToText(inner)));
  const paths: Iterable<WalkedPath> =
    stats?.isDirectory() === true
      ? walkTree(root, {
          ...ignoreRulesFor(workspace, path),
          problem: (problem) => problems.push(problem),
          start: inner,
        })
      : stats === undefined
        ? []
        : [{ path: inner, kind: 'other' }];
  const previous = openStatCache(stateFiles(workspace, path).statCache);
  const summary = await scan({
    ...options,
    root,
    paths,
    previous,
    trustStored: previous?.generation === workspace.cache().generation(),
    store: true,
    keepsModes: workspace.keepsModes(),
    probeFolder: workspace.ownFolder,
    onBlock: (block) => {
      for (const entry of entriesOf(block)) {
        if (workspace.purged().has(entry.digest))
          refused.push({ path: `${path}/${treePathToText(entry.path)}`, digest: entry.digest });
        inheritance.entry(withMode(entry));
      }
    },
  });
  for (const problem of summary.problems) problems.push(problem);
  refusePurged(workspace.purged(), refused);
  if (problems.length > 0) throw unscannable(path, problems);
  const isWhole = inheritance.finish() === 0;
  if (stats === undefined && isWhole && edits.length === 0) throw holdsNo(path, inner);
  // Of a folder that was never brought here as a whole, what was not is not to count as deleted the next time.
  const selected = isWhole ? [inner] : edits.flatMap((edit) => (edit.entry === undefined ? [] : edit.path));
  return { edits, selected };
}

/** Takes paths out of a tracked directory. Throws `not-tracked` for one where it holds nothing. */
export function removeFromDataset(workspace: Workspace, target: InnerTarget, options: VerbOptions): Promise<Recorded> {
  return withPages(workspace, pagesAround(target), options, () => {
    const edits = target.inner.flatMap((inner) => removalEdits(workspace, target, inner));
    return applyEdits(workspace, target, { edits, selected: target.record.selected });
  });
}

function removalEdits(workspace: Workspace, target: InnerTarget, inner: TreePath): TreeEdit[] {
  const base = requireDirectory(target);
  const edits = Array.from(readEntries(base, workspace.cache().read, inner), ({ path }) => ({
    path,
    entry: undefined,
  }));
  if (edits.length === 0) throw holdsNo(target.path, inner);
  return edits;
}

async function applyEdits(workspace: Workspace, target: InnerTarget, { edits, selected }: Edits): Promise<Recorded> {
  const { path } = target;
  const cache = workspace.cache();
  const writer = cache.openWriter();
  const tree = await finishing(writer, () =>
    editTree({
      root: requireDirectory(target),
      edits,
      load: cache.read,
      hash: hashEngine().hash,
      emit: ({ digest, bytes }) => writer.put(digestToBytes(digest), bytes, 'tree'),
    }),
  );
  const content = { type: 'dir', hash: tree.root, exec: false } as const;
  return { target, content, files: tree.files, bytes: tree.bytes, record: { path, base: content, selected } };
}

function requireDirectory({ path, inner: [inner], tracked, record }: InnerTarget): Digest {
  if (tracked?.pointer.type === 'dir' && record.base !== undefined) return record.base.hash;
  throw new MlvError({
    code: 'not-a-directory',
    kind: 'refused',
    message: `${path} is tracked as a file, so nothing can be in it${inner === undefined ? '' : `: ${treePathToText(inner)}`}`,
    hint: `Stop tracking it with "mlv remove ${path}" first.`,
  });
}
