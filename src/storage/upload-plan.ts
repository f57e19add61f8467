import { setImmediate } from 'node:timers/promises';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { TreeEntry, TreeNode } from '../domain/tree.ts';
import { parseList, parsePage, parseRoot } from '../domain/tree-format.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { BlobLocation, LocalCache } from './local-cache.ts';
import type { Remote } from './remote.ts';
import type { BaseNodes } from './upload-base.ts';
import { baseBelow, baseEntries, openBase } from './upload-base.ts';

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
  const refused = cache.refused();
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
  function openNode(at: {
    digest: Digest;
    path: string;
    isStored: boolean;
    root?: UploadRoot;
    parent?: PendingNode;
  }): PendingNode | undefined {
    const { digest, path, isStored, root, parent } = at;
    const known = visited.get(digest);
    if (known !== undefined) {
      parent?.children.push(known);
      return undefined;
    }
    if (isStored && !suspects.has(digest)) return undefined;
    const location = cache.locate(digest);
    const node: PendingNode = {
      digest,
      path,
      location: isStored ? undefined : location,
      root,
      blobs: [],
      children: [],
      isIncomplete: false,
    };
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
      const node: PendingNode = {
        digest: root.digest,
        path: root.name,
        location: undefined,
        root,
        blobs: [],
        children: [],
        isIncomplete: false,
      };
      addBlob(root.digest, () => root.name, node);
      batch.nodes.push(node);
      return;
    }
    const node = openNode({ digest: root.digest, path: root.name, isStored, root });
    if (node === undefined) return;
    const bytes = readNode(node);
    if (bytes === undefined) return;
    const { level, nodes } = parseRoot(bytes, root.digest);
    yield* visitNodes({
      nodes,
      level,
      isLast: true,
      parent: node,
      name: root.name,
      base: await findBase(root),
      after: '',
    });
    batch.nodes.push(node);
  }

  /** The earlier version, if the remote has it: a root is there only with all that it names. */
  async function findBase({ base }: UploadRoot): Promise<BaseNodes | undefined> {
    if (base === undefined || suspects.size > 0) return undefined;
    const [place] = await remote.find([base], 'tree', signal);
    return place === undefined ? undefined : openBase(base, cache);
  }

  interface NodeList {
    readonly nodes: readonly TreeNode[];
    readonly level: number;
    readonly isLast: boolean;
    readonly parent: PendingNode;
    readonly name: string;
    readonly base: BaseNodes | undefined;
    /** The path that these nodes come after. */
    readonly after: string;
  }

  async function* visitNodes({ nodes, level, isLast, parent, name, ...at }: NodeList): AsyncGenerator<UploadBatch> {
    const base = at.base?.level === level ? at.base : undefined;
    const isStored = await findStored(
      nodes,
      base?.nodes.map(({ node }) => node.digest),
      'tree',
    );
    let { after } = at;
    for (const [index, child] of nodes.entries()) {
      const from = after;
      after = child.lastPath;
      const node = openNode({ digest: child.digest, path: name, isStored: isStored(child.digest), parent });
      const bytes = node === undefined ? undefined : readNode(node);
      if (node === undefined || bytes === undefined) continue;
      const expected = { node: child, isLast: isLast && index === nodes.length - 1 };
      if (level > 0) {
        const list = { nodes: parseList(bytes, level, expected), level: level - 1, isLast: expected.isLast };
        const below = base === undefined ? undefined : baseBelow(base, from, after, cache);
        yield* visitNodes({ ...list, parent: node, name, base: below, after: from });
      } else {
        await setImmediate(); // lets what is under way go on
        const stored = base === undefined ? undefined : baseEntries(base, from, after, cache);
        await visitEntries(parsePage(bytes, expected), { node, name, stored });
      }
      batch.nodes.push(node);
      if (batch.blobs.length >= BATCH_BLOBS) yield takeBatch();
    }
  }

  interface EntryList {
    readonly node: PendingNode;
    readonly name: string;
    readonly stored: ReadonlySet<Digest> | undefined;
  }

  async function visitEntries(entries: readonly TreeEntry[], { node, name, stored }: EntryList): Promise<void> {
    const files = entries.filter(({ kind }) => kind !== 'd');
    const isStored = await findStored(files, stored, 'blob');
    for (const { digest, path } of files) {
      if (!isStored(digest)) addBlob(digest, () => `${name}/${treePathToText(path)}`, node);
    }
  }

  /** Looks up all at once, but for what is `known` to be there. */
  async function findStored(
    items: readonly { readonly digest: Digest }[],
    known: Iterable<Digest> | undefined,
    as: 'tree' | 'blob',
  ): Promise<(digest: Digest) => boolean> {
    signal?.throwIfAborted();
    const stored = new Set(known);
    // What must not exist any more is never sent, and a directory is whole without it.
    if (as === 'blob' && refused.size > 0) for (const { digest } of items) if (refused.has(digest)) stored.add(digest);
    const unknown = [...new Set(items.map(({ digest }) => digest))].filter((digest) => !stored.has(digest));
    const places = await remote.find(unknown, as, signal);
    for (const [index, digest] of unknown.entries()) if (places[index] !== undefined) stored.add(digest);
    return (digest) => stored.has(digest);
  }

  const isDirStored = await findStored(
    roots.filter(({ type }) => type === 'dir'),
    undefined,
    'tree',
  );
  const isFileStored = await findStored(
    roots.filter(({ type }) => type === 'file'),
    undefined,
    'blob',
  );

  async function isRootStored(root: UploadRoot): Promise<boolean> {
    if (root.type === 'dir') return isDirStored(root.digest);
    // A directory may have brought it along meanwhile.
    return isFileStored(root.digest) || (hasYielded && (await findStored([root], undefined, 'blob'))(root.digest));
  }

  for (const root of roots) yield* visitRoot(root, await isRootStored(root));
  if (batch.blobs.length > 0 || batch.nodes.length > 0) yield takeBatch();
}
