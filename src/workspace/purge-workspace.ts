import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { dropCheckoutRecord, sameContent, settleCheckoutRecord } from './checkout-record.ts';
import { digestOf } from './digest-of.ts';
import { removeFromDataset } from './edit-dataset.ts';
import { withPages } from './ensure-pages.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { removeEntry } from './remove.ts';
import type { Tracked } from './tracked.ts';
import { listTracked } from './list-tracked.ts';
import { contentOf } from './tracked.ts';
import { writePointers } from './write-pointers.ts';

/**
 * Takes content out of what is tracked here: files that still have it are deleted, and pointers written that do not name it any more; what
 * a stage made stays on record, and is made again. Edits stay. Returns the paths, and what could not be looked into, and why.
 */
export async function purgeFromWorkspace(
  workspace: Workspace,
  digests: ReadonlySet<Digest>,
  options: VerbOptions,
): Promise<{ readonly paths: readonly string[]; readonly problems: readonly string[] }> {
  const paths: string[] = [];
  const problems: string[] = [];
  for (const tracked of await listTracked(workspace)) {
    try {
      const found =
        tracked.pointer.type === 'file'
          ? await purgeFile(workspace, tracked, digests)
          : await purgeDirectory(workspace, tracked, { digests, options });
      for (const path of found) paths.push(path);
    } catch (error) {
      // One path must not keep content alive everywhere else.
      if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
      problems.push(`${tracked.path}: ${error.message}`);
    }
  }
  return { paths, problems };
}

async function purgeFile(
  workspace: Workspace,
  { path, pointer, text, made }: Tracked,
  digests: ReadonlySet<Digest>,
): Promise<string[]> {
  const { base } = settleCheckoutRecord(workspace, path, contentOf(pointer));
  const file = join(workspace.root, path);
  const isHere = base?.type === 'file' && digests.has(base.hash);
  const isNamed = digests.has(pointer.hash);
  if (!isHere && !isNamed) return [];
  const stats = statsAt(file);
  if ((stats?.isFile() === true || stats?.isSymbolicLink() === true) && digests.has(digestOf(workspace, file)))
    rmSync(file);
  if (isNamed && made === undefined) {
    await writePointers(workspace, [{ path, pointer: undefined, text }]);
    dropCheckoutRecord(workspace, path);
  }
  return [path];
}

async function purgeDirectory(
  workspace: Workspace,
  tracked: Tracked,
  { digests, options }: { readonly digests: ReadonlySet<Digest>; readonly options: VerbOptions },
): Promise<string[]> {
  const { path, pointer, text } = tracked;
  const content = contentOf(pointer);
  const record = settleCheckoutRecord(workspace, path, content);
  const named = await withPages(workspace, { tracked, root: pointer.hash, around: () => [] }, options, async () =>
    entriesWith(workspace, pointer.hash, digests),
  );
  const paths = new Set<string>();
  for (const entry of [...named, ...formerEntries(workspace, record, digests)]) {
    removeEntry(workspace, path, entry, { mayLose: true });
    paths.add(`${path}/${treePathToText(entry.path)}`);
  }
  if (named.length > 0 && tracked.made === undefined)
    await writeWithout(workspace, { tracked, record, named, text, options });
  return [...paths];
}

/** Records the directory without these entries. */
async function writeWithout(
  workspace: Workspace,
  given: {
    readonly tracked: Tracked;
    readonly record: CheckoutRecord;
    readonly named: readonly TreeEntry[];
    readonly text: string;
    readonly options: VerbOptions;
  },
): Promise<void> {
  const { tracked, record, named, text, options } = given;
  const { path, pointer } = tracked;
  const content = contentOf(pointer);
  const base = { path, base: content, selected: record.selected };
  const inner = named.map((entry) => entry.path);
  const target = { path, tracked, inner, record: base, stored: record, isInterrupted: false };
  const removed = await removeFromDataset(workspace, target, options);
  const { hash, type } = removed.content;
  const next = { ...pointer, type, hash, size: removed.bytes, files: removed.files };
  // What is here is the version before, and now the one after; anything else is brought up to date by a checkout.
  const isHere = record.target === undefined && sameContent(record.base, content);
  await writePointers(workspace, [{ path, pointer: next, text }], { records: isHere ? [removed.record] : [] });
}

/** Of the version that is checked out, which may be another than the pointer's. */
function formerEntries(
  workspace: Workspace,
  { base, target }: CheckoutRecord,
  digests: ReadonlySet<Digest>,
): TreeEntry[] {
  return [base, target?.content, ...(target?.earlier ?? [])].flatMap((content) => {
    try {
      return content?.type === 'dir' ? entriesWith(workspace, content.hash, digests) : [];
    } catch (error) {
      if (!(error instanceof MlvError) || error.code !== 'blob-missing') throw error;
      return []; // nobody can tell what it was
    }
  });
}

function entriesWith(workspace: Workspace, root: Digest, digests: ReadonlySet<Digest>): TreeEntry[] {
  const found: TreeEntry[] = [];
  for (const entry of readEntries(root, workspace.cache().read))
    if (entry.kind !== 'd' && digests.has(entry.digest)) found.push(entry);
  return found;
}
