/**
 * What a disk may hold after the power failed: a model, stricter than any one file system, in the spirit of ALICE (Pillai et al.,
 * "All File Systems Are Not Created Equal", OSDI 2014).
 *
 * - What is in a file (bytes, length, mode, times) is safe once that file was flushed after it was written. Of what came later
 *   nothing may be there, or a beginning, any of the writes without the others, or the length with zeros; whatever its name is by then.
 * - A name (created, renamed, removed) is safe once the folder that it is in was flushed after that. Flushing a file makes no name
 *   safe, its own neither; flushing a folder makes neither the names of folders in it that hold something safe, nor its own.
 * - In one folder, changes of names come to the disk in the order in which they were made; between folders in any order. A rename
 *   is one change, of both folders: it is there or not, never half. Nor is a folder removed before what was in it.
 * - A flush covers what was done before it began, and is worth nothing before it has returned.
 * - What Git (a program of its own) has written is safe when it ends.
 */
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Change } from './journal.ts';

export interface Node {
  readonly id: number;
  readonly kind: 'file' | 'folder' | 'link';
  /** Mode of a new one; of one that was there before it is the original's. */
  readonly mode: number;
  /** Of a link. */
  readonly target?: string;
  /** The file that it was before anything was recorded. */
  readonly original?: string;
  /** Of a folder: what was in it then. */
  readonly before: ReadonlyMap<string, Node>;
  /** Of a folder: what is in it now, for every program. */
  readonly entries: Map<string, Node>;
  readonly edits: Edit[];
  /** How many of the edits are safe. */
  safeEdits: number;
}

export type Edit =
  | { readonly edit: 'write'; readonly at: number; readonly bytes: Buffer }
  | { readonly edit: 'truncate'; readonly size: number }
  | { readonly edit: 'mode'; readonly mode: number }
  | { readonly edit: 'times'; readonly time: number };

/** One change of names, in one folder or two. */
export interface Naming {
  readonly number: number;
  readonly sets: readonly { readonly folder: Node; readonly name: string; readonly node: Node | undefined }[];
  /** Those in which nothing later may be there without it, and which must have had all before it. */
  readonly folders: readonly Node[];
  isSafe: boolean;
}

export interface Disk {
  readonly root: Node;
  readonly nodes: readonly Node[];
  readonly namings: readonly Naming[];
  /** Those of one folder, in order. */
  namingsOf(folder: Node): readonly Naming[];
  /** What every program finds at a path. */
  find(path: string): Node | undefined;
  apply(change: Change): void;
}

/** The disk as it is before anything is done: a folder, all of it safe. */
export function openDisk(folder: string): Disk {
  const nodes: Node[] = [];
  const namings: Naming[] = [];
  const open = new Map<string, Node>();
  const flushes = new Map<string, () => void>();
  /** The namings of each folder, in order. */
  const chains = new Map<Node, Naming[]>();

  function add(node: Partial<Node> & Pick<Node, 'kind' | 'mode'>): Node {
    const entries = new Map(node.before);
    const added = { before: new Map(), ...node, entries, id: nodes.length, edits: [], safeEdits: 0 };
    nodes.push(added);
    return added;
  }

  function load(path: string): Node {
    const stats = lstatSync(path);
    const mode = stats.mode & 0o7777;
    if (stats.isSymbolicLink()) return add({ kind: 'link', mode, target: readlinkSync(path) });
    if (!stats.isDirectory()) return add({ kind: 'file', mode, original: path });
    const before = new Map(readdirSync(path).map((entry) => [entry, load(join(path, entry))]));
    return add({ kind: 'folder', mode, original: path, before });
  }

  const root = load(folder);

  function find(path: string): Node | undefined {
    let node: Node | undefined = root;
    for (const segment of path === '' ? [] : path.split('/')) node = node?.entries.get(segment);
    return node;
  }

  function at(path: string): Node {
    const node = find(path);
    if (node === undefined) throw new Error(`${path} is not known to the model`);
    return node;
  }

  function place(path: string): { folder: Node; name: string } {
    const end = path.lastIndexOf('/');
    return { folder: end < 0 ? root : at(path.slice(0, end)), name: path.slice(end + 1) };
  }

  function name(sets: Naming['sets'], emptied: readonly Node[] = []): Naming {
    for (const { folder: each, name: entry, node } of sets) {
      if (node === undefined) each.entries.delete(entry);
      else each.entries.set(entry, node);
    }
    const folders = [...new Set([...sets.map((set) => set.folder), ...emptied])];
    const naming = { number: namings.length, sets, folders, isSafe: false };
    namings.push(naming);
    for (const each of folders) {
      const chain = chains.get(each);
      if (chain === undefined) chains.set(each, [naming]);
      else chain.push(naming);
    }
    return naming;
  }

  function makeSafe(naming: Naming): void {
    if (naming.isSafe) return;
    naming.isSafe = true;
    for (const each of naming.folders)
      for (const earlier of chains.get(each) ?? []) if (earlier.number < naming.number) makeSafe(earlier);
  }

  /** Takes note of what a flush that begins now will make safe. */
  function cover(node: Node): () => void {
    const edits = node.edits.length;
    const last = chains.get(node)?.at(-1);
    return () => {
      node.safeEdits = Math.max(node.safeEdits, edits);
      if (last !== undefined) makeSafe(last);
    };
  }

  function target({ id, path }: { id?: string; path?: string }): Node {
    const node = id === undefined ? undefined : open.get(id);
    return node ?? at(path ?? `file ${id}`);
  }

  function applyGit(change: Extract<Change, { o: 'git' }>): void {
    const { kind, mode = 0o644 } = change;
    const there = find(change.path);
    if (kind === 'gone' ? there === undefined : kind === 'folder' && there !== undefined) return;
    const node = kind === 'gone' ? undefined : add({ kind, mode });
    if (kind === 'file') node?.edits.push({ edit: 'write', at: 0, bytes: change.bytes });
    if (node !== undefined) node.safeEdits = node.edits.length;
    makeSafe(name([{ ...place(change.path), node }]));
  }

  function apply(change: Change): void {
    switch (change.o) {
      case 'open': {
        const node = change.isNew ? add({ kind: 'file', mode: change.mode ?? 0o644 }) : at(change.path);
        open.set(change.id, node);
        if (change.isNew) name([{ ...place(change.path), node }]);
        if (change.truncates) node.edits.push({ edit: 'truncate', size: 0 });
        return;
      }
      case 'write':
        target(change).edits.push({ edit: 'write', at: change.at, bytes: change.bytes });
        return;
      case 'truncate':
        target(change).edits.push({ edit: 'truncate', size: change.size });
        return;
      case 'mode':
        target(change).edits.push({ edit: 'mode', mode: change.mode });
        return;
      case 'times':
        target(change).edits.push({ edit: 'times', time: change.time });
        return;
      case 'flush':
        if (change.flush === undefined) cover(target(change))();
        else flushes.set(change.flush, cover(target(change)));
        return;
      case 'flushed':
        flushes.get(change.flush)?.();
        return;
      case 'rename': {
        const node = at(change.path);
        name([
          { ...place(change.path), node: undefined },
          { ...place(change.to), node },
        ]);
        return;
      }
      case 'link':
        name([{ ...place(change.to), node: at(change.path) }]);
        return;
      case 'symlink':
        name([{ ...place(change.path), node: add({ kind: 'link', mode: 0o777, target: change.target }) }]);
        return;
      case 'mkdir':
        name([{ ...place(change.path), node: add({ kind: 'folder', mode: change.mode }) }]);
        return;
      case 'unlink':
        name([{ ...place(change.path), node: undefined }]);
        return;
      case 'rmdir':
        name([{ ...place(change.path), node: undefined }], [at(change.path)]);
        return;
      case 'git':
        applyGit(change);
        return;
      default:
        change satisfies never;
    }
  }

  return { root, nodes, namings, namingsOf: (node) => chains.get(node) ?? [], find, apply };
}
