import { digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { repoBasename } from '../domain/repo-path.ts';
import type { TreeEntry } from '../domain/tree.ts';
import type { MergeSide, TreeConflict } from '../domain/tree-merge.ts';
import { mergeEntries, mergeTrees } from '../domain/tree-merge.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText, treePathToText } from '../domain/tree-path.ts';
import { hashEngine } from '../platform/hash.ts';
import { withTrees } from './ensure-pages.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { parsePointerText, pointerPath } from './tracked.ts';

/** The texts of a pointer that two sides changed; of the base undefined where it had none. */
export interface PointerTexts {
  readonly base: string | undefined;
  readonly ours: string;
  readonly theirs: string;
}

/** Something in a tracked path that both sides changed. */
export type MergeConflict = {
  /** What both sides did, for people. */
  readonly reason: string;
} & (
  | { readonly kind: 'file'; readonly inner: TreePath }
  /** The data as a whole: a file, or it cannot be looked into. */
  | { readonly kind: 'data' }
  /** A key of the pointer. */
  | { readonly kind: 'key'; readonly key: string }
);

export interface PointerMerge {
  /** With our side where nothing was chosen. */
  readonly text: string;
  /** Those that nothing was chosen for. */
  readonly conflicts: readonly MergeConflict[];
  /** How many there were in all. */
  readonly total: number;
}

interface MergeOptions extends VerbOptions {
  /** Opened where trees are to be merged. */
  readonly open: () => Promise<Workspace>;
  readonly path: RepoPath;
  /** The side to take where both changed something; undefined leaves it open. */
  readonly choose: (conflict: MergeConflict) => MergeSide | undefined;
  /** Lists of files that the cache lacks are fetched, and the merged ones put there, durably, once nothing is left open. */
  readonly isDryRun?: boolean;
}

/** Which data a pointer names, and what it tells of that. */
type Content = Pick<Pointer, 'type' | 'hash' | 'size' | 'files' | 'exec'>;

/**
 * Merges two versions of a pointer: the data it names, directories by their trees, and all else key by key. Throws what parsing
 * a pointer throws, and, where trees are not to be had, what fetching them does; `choose` may make that unnecessary.
 */
export async function mergePointers(texts: PointerTexts, options: MergeOptions): Promise<PointerMerge> {
  const { path, choose } = options;
  const name = pointerPath(path);
  const [ours, theirs] = [await parsePointerText(texts.ours, name), await parsePointerText(texts.theirs, name)];
  const base = texts.base === undefined ? undefined : await parsePointerText(texts.base, name);
  if (texts.ours === texts.theirs || texts.base === texts.theirs) return { text: texts.ours, conflicts: [], total: 0 };
  if (texts.base === texts.ours) return { text: texts.theirs, conflicts: [], total: 0 };
  const { mergePointerTexts } = await import('../domain/pointer-merge.ts');
  const { updatePointer } = await import('../domain/pointer-document.ts');
  const open: MergeConflict[] = [];
  let total = 0;
  const decide = (conflict: MergeConflict): MergeSide | undefined => {
    const side = choose(conflict);
    total += 1;
    if (side === undefined) open.push(conflict);
    return side;
  };
  const { type, hash, size, files, exec } = await mergeContents({ base, ours, theirs }, decide, options);
  const keys = mergePointerTexts(texts, {
    path: name,
    choose: (key) => decide({ kind: 'key', key, reason: `both changed "${key}" of the pointer` }) ?? 'ours',
  });
  return { text: updatePointer(keys, { type, hash, size, files, exec }, name), conflicts: open, total };
}

type Decide = (conflict: MergeConflict) => MergeSide | undefined;

interface Versions {
  readonly base: Pointer | undefined;
  readonly ours: Pointer;
  readonly theirs: Pointer;
}

async function mergeContents(versions: Versions, decide: Decide, options: MergeOptions): Promise<Content> {
  const { base, ours, theirs } = versions;
  if (isSame(ours, theirs) || isSame(base, theirs)) return ours;
  if (isSame(base, ours)) return theirs;
  const whole = (reason: string): Content => {
    const side = decide({ kind: 'data', reason }) ?? 'ours';
    return versions[side] ?? ours;
  };
  if (ours.type !== theirs.type)
    return whole(ours.type === 'dir' ? 'a folder in ours, a file in theirs' : 'a file in ours, a folder in theirs');
  if (ours.type === 'dir') return mergeFolders(versions, decide, options);
  const ancestor = base?.type === 'file' ? base : undefined;
  const entry = (pointer: Pointer): TreeEntry => entryOf(options.path, pointer);
  const outcome = mergeEntries(ancestor && entry(ancestor), entry(ours), entry(theirs));
  if (outcome?.merged === undefined) return whole(ancestor === undefined ? ADDED_BOTH : CHANGED_BOTH);
  const { digest, size, kind } = outcome.merged;
  return { type: 'file', hash: digest, size, ...(kind === 'x' && { exec: true as const }) };
}

async function mergeFolders(versions: Versions, decide: Decide, options: MergeOptions): Promise<Content> {
  const { base, ours, theirs } = versions;
  const workspace = await options.open();
  const cache = workspace.cache();
  const merge = async (): Promise<Content> => {
    const found: MergeConflict[] = [];
    let isOpen = false;
    const writer = cache.openWriter();
    try {
      const { tree } = mergeTrees({
        base: base?.type === 'dir' ? base.hash : undefined,
        ours: ours.hash,
        theirs: theirs.hash,
        choose(conflict) {
          const file = { kind: 'file', inner: conflict.path, reason: reasonOf(conflict) } as const;
          found.push(file);
          const side = options.choose(file);
          isOpen ||= side === undefined;
          return side;
        },
        load: cache.read,
        hash: hashEngine().hash,
        emit({ digest, bytes }) {
          if (options.isDryRun !== true) writer.put(digestToBytes(digest), bytes, 'tree');
        },
      });
      // What has no pointer yet needs no place in the cache.
      if (isOpen) await writer.abandon();
      else await writer.finish();
      for (const conflict of found) decide(conflict);
      return isOpen ? ours : { type: 'dir', hash: tree.root, size: tree.bytes, files: tree.files };
    } catch (error) {
      await writer.abandon();
      throw error;
    }
  };
  const named = [base, ours, theirs].flatMap((pointer) =>
    pointer === undefined ? [] : [{ path: options.path, pointer }],
  );
  try {
    return options.isDryRun === true ? await merge() : await withTrees(workspace, named, options, merge);
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
    // Whoever takes one side as it is needs no lists.
    const side = decide({ kind: 'data', reason: `cannot be merged: ${error.message}` }) ?? 'ours';
    return versions[side] ?? ours;
  }
}

const ADDED_BOTH = 'both added it, not alike';
const CHANGED_BOTH = 'both changed it';

function reasonOf({ base, ours, theirs, folder, movedTo }: TreeConflict): string {
  if (folder !== undefined)
    return folder === 'ours' ? 'a folder in ours, a file in theirs' : 'a file in ours, a folder in theirs';
  if (ours !== undefined && theirs !== undefined) return base === undefined ? ADDED_BOTH : CHANGED_BOTH;
  const [changed, deleted] = ours === undefined ? ['theirs', 'ours'] : ['ours', 'theirs'];
  const where = movedTo === undefined ? '' : `, which has it as ${treePathToText(movedTo)}`;
  return `changed in ${changed}, deleted in ${deleted}${where}`;
}

function entryOf(path: RepoPath, { hash, size, exec }: Pointer): TreeEntry {
  return { path: treePathFromText(repoBasename(path)), kind: exec === true ? 'x' : 'f', size, digest: hash };
}

function isSame(a: Pointer | undefined, b: Pointer): boolean {
  return a !== undefined && a.type === b.type && a.hash === b.hash && (a.exec === true) === (b.exec === true);
}
