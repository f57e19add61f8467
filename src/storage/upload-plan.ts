import { setImmediate } from 'node:timers/promises';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { TreeEntry, TreeNode } from '../domain/tree.ts';
import { parseList, parsePage, parseRoot } from '../domain/tree-format.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { TreeCursor } from '../domain/tree-reader.ts';
import { openTree } from '../domain/tree-reader.ts';
import type { BlobLocation, LocalCache } from './local-cache.ts';
import type { Remote } from './remote.ts';

/** A file or directory to be pushed. */
export interface UploadRoot {
  readonly digest: Digest;
  readonly type: 'dir' | 'file';
  /** How messages call it. */
  readonly name: string;
  /** An earlier version: where the remote has it, what both share need not be looked up. */
  readonly base?: Digest | undefined;
}

/** Something that could not be sent. */
export interface UnsentBlob {
  readonly digest: Digest;
  readonly path: string;
}

/** A blob of the local cache that the remote does not have. */
export interface PendingBlob extends UnsentBlob {
  readonly location: BlobLocation;
}

/** What must be on the remote before its own row may be written: a root, list or page, or a root that is a file. */
export interface PendingNode extends UnsentBlob {
  /** Undefined when the remote has the object already, or it is a file. */
  readonly location: BlobLocation | undefined;
  /** The root to be noted in the index. */
  readonly root: UploadRoot | undefined;
  readonly blobs: Digest[];
  readonly children: PendingNode[];
  /** Something below could not be sent. */
  isIncomplete: boolean;
}

/** A piece of the work: blobs in path order, and the nodes that are complete once these and all before them are stored. */
export interface UploadBatch {
  readonly blobs: PendingBlob[];
  readonly nodes: PendingNode[];
}

const BATCH_BLOBS = 50_000;

/**
 * Walks the roots and yields what the remote does not have, descending only into what it does not have either. Each blob
 * and node comes once. `missing` receives what is neither there nor here.
 */
export async function* planUpload(options: {
  readonly remote: Remote;
  readonly cache: LocalCache;
  readonly roots: readonly UploadRoot[];
  /** Nodes to descend into although the remote has them. */
  readonly suspects: ReadonlySet<Digest>;
  readonly missing: UnsentBlob[];
  /** Called for each page, list or root whose bytes in the cache are not what its digest says. */
  readonly onDamaged: (object: UnsentBlob) => void;
  readonly signal?: AbortSignal | undefined;
}): AsyncGenerator<UploadBatch> {
  const { remote, cache, roots, suspects, missing, onDamaged, signal } = options;
  const visited = new Map<Digest, PendingNode>();
  const absent = new Set<Digest>();
  // The remote may not know the rows of the batch before this one yet.
  let previous = new Set<Digest>();
  let current = new Set<Digest>();
  let batch: UploadBatch = { blobs: [], nodes: [] };
  let hasYielded = false;

  function takeBatch(): UploadBatch {
    const taken = batch;
    hasYielded = true;
    batch = { blobs: [], nodes: [] };
    previous = current;
    current = new Set();
    return taken;
  }

  /** Notes the digest for sending; `node` waits for it. */
  function addBlob(digest: Digest, path: () => string, node: PendingNode): void {
    if (current.has(digest) || previous.has(digest)) {
      node.blobs.push(digest);
      return;
    }
    const location = absent.has(digest) ? undefined : cache.locate(digest);
    if (location === undefined) {
      node.isIncomplete = true;
      if (!absent.has(digest)) missing.push({ digest, path: path() });
      absent.add(digest);
      return;
    }
    node.blobs.push(digest);
    current.add(digest);
    batch.blobs.push({ digest, path: path(), location });
  }

  /** A node to be opened; undefined when it was met before, is on the remote, or is not in the cache. */
  function openNode(at: { digest: Digest; path: string; isStored: boolean; root?: UploadRoot; parent?: PendingNode }): PendingNode | undefined {
    const { digest, path, isStored, root, parent } = at;
    const known = visited.get(digest);
    if (known !== undefined) {
      parent?.children.push(known);
      return undefined;
    }
    if (isStored && !suspects.has(digest)) return undefined;
    const location = cache.locate(digest);
    const node: PendingNode = { digest, path, location: isStored ? undefined : location, root, blobs: [], children: [], isIncomplete: false };
    visited.set(digest, node);
    parent?.children.push(node);
    if (location !== undefined) return node;
    node.isIncomplete = !isStored;
    if (!isStored) missing.push({ digest, path });
    return undefined;
  }

  function readNode(node: PendingNode): Buffer | undefined {
    try {
      return cache.read(node.digest);
    } catch (error) {
      if (!(error instanceof MlvError) || error.kind !== 'corrupt') throw error;
      node.isIncomplete = true;
      onDamaged(node);
      return undefined;
    }
  }

  async function* visitRoot(root: UploadRoot, isStored: boolean): AsyncGenerator<UploadBatch> {
    if (root.type === 'file') {
      if (isStored) return;
      const node: PendingNode = { digest: root.digest, path: root.name, location: undefined, root, blobs: [], children: [], isIncomplete: false };
      addBlob(root.digest, () => root.name, node);
      batch.nodes.push(node);
      return;
    }
    const node = openNode({ digest: root.digest, path: root.name, isStored, root });
    if (node === undefined) return;
    const bytes = readNode(node);
    if (bytes === undefined) return;
    const { level, nodes } = parseRoot(bytes, root.digest);
    const base = root.base === undefined ? undefined : await openBase(root.base);
    yield* visitNodes({ nodes, level, isLast: true, parent: node, name: root.name, base });
    batch.nodes.push(node);
  }

  interface NodeList {
    readonly nodes: readonly TreeNode[];
    readonly level: number;
    readonly isLast: boolean;
    readonly parent: PendingNode;
    readonly name: string;
    readonly base: BaseTree | undefined;
  }

  async function* visitNodes({ nodes, level, isLast, parent, name, base }: NodeList): AsyncGenerator<UploadBatch> {
    const places = await remote.find(nodes.map(({ digest }) => digest), 'tree', signal);
    for (const [index, child] of nodes.entries()) {
      const node = openNode({ digest: child.digest, path: name, isStored: places[index] !== undefined, parent });
      if (node === undefined) continue;
      const bytes = readNode(node);
      if (bytes === undefined) continue;
      const expected = { node: child, isLast: isLast && index === nodes.length - 1 };
      if (level > 0) {
        yield* visitNodes({ nodes: parseList(bytes, level, expected), level: level - 1, isLast: expected.isLast, parent: node, name, base });
      } else {
        await visitEntries(parsePage(bytes, expected), { node, name, base });
      }
      batch.nodes.push(node);
      if (batch.blobs.length >= BATCH_BLOBS) yield takeBatch();
    }
  }

  async function visitEntries(entries: readonly TreeEntry[], at: { node: PendingNode; name: string; base: BaseTree | undefined }): Promise<void> {
    await setImmediate(); // lets what is under way go on
    signal?.throwIfAborted();
    const stored = at.base?.entriesUpTo(entries);
    const files = entries.filter(({ kind, digest }) => kind !== 'd' && stored?.has(digest) !== true);
    const places = await remote.find(files.map(({ digest }) => digest), 'blob', signal);
    for (const [index, { digest, path }] of files.entries()) {
      if (places[index] === undefined) addBlob(digest, () => `${at.name}/${treePathToText(path)}`, at.node);
    }
  }

  /** The earlier version, if the remote has it, and so all of it, and what of it is needed is in the cache. */
  async function openBase(base: Digest): Promise<BaseTree | undefined> {
    const [place] = suspects.size > 0 ? [] : await remote.find([base], 'tree', signal);
    return place === undefined ? undefined : createBaseTree(base, cache);
  }

  const stored = { dir: await findRoots('dir', 'tree'), file: await findRoots('file', 'blob') };

  async function isRootStored({ digest, type }: UploadRoot): Promise<boolean> {
    if (stored[type].has(digest) || type === 'dir' || !hasYielded) return stored[type].has(digest);
    const [place] = await remote.find([digest], 'blob', signal); // a directory may have brought it along meanwhile
    return place !== undefined;
  }

  async function findRoots(type: UploadRoot['type'], as: 'tree' | 'blob'): Promise<Set<Digest>> {
    const digests = [...new Set(roots.filter((root) => root.type === type).map(({ digest }) => digest))];
    const places = await remote.find(digests, as, signal);
    return new Set(digests.filter((_, index) => places[index] !== undefined));
  }

  for (const root of roots) yield* visitRoot(root, await isRootStored(root));
  if (batch.blobs.length > 0 || batch.nodes.length > 0) yield takeBatch();
}

/** Pages of a tree that the remote has are read beside those of its successor. */
interface BaseTree {
  /** Digests of its entries from the last call's end to the last of these paths, as far as its pages are at hand. */
  entriesUpTo(entries: readonly TreeEntry[]): Set<Digest>;
}

function createBaseTree(base: Digest, cache: LocalCache): BaseTree {
  let cursor: TreeCursor | undefined;
  return {
    entriesUpTo(entries) {
      const digests = new Set<Digest>();
      const first = entries[0]?.path ?? ('' as TreePath);
      const last = entries.at(-1)?.path ?? ('' as TreePath);
      try {
        cursor ??= openTree(base, (digest) => cache.read(digest));
        for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
          if (item.type === 'node') {
            if (item.node.lastPath < first) cursor.skip();
            else cursor.open();
          } else {
            if (item.entry.path > last) break;
            digests.add(item.entry.digest);
            cursor.skip();
          }
        }
      } catch (error) {
        if (!(error instanceof MlvError)) throw error;
        cursor = { peek: () => undefined, skip: () => {}, open: () => {} }; // not all of it is at hand: look everything up
      }
      return digests;
    },
  };
}
