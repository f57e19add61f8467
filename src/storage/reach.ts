import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { TreeNode } from '../domain/tree.ts';
import { parseList, parsePage, parseRoot, sumNodes } from '../domain/tree-format.ts';
import { treePathToText } from '../domain/tree-path.ts';
import type { DownloadRoot } from './download-plan.ts';
import { isWanted, overlaps } from './download-plan.ts';

/** A version of a tracked path, or parts of it. */
export interface ReachRoot extends DownloadRoot {
  /** As its pointer counts them. */
  readonly files: number;
}

/** Something that a version of a tracked path names. */
export interface Reached {
  readonly digest: Digest;
  readonly kind: 'tree' | 'blob';
  /** For people. */
  readonly path: string;
  /** Files that it stands for. */
  readonly files: number;
}

export interface ReachOptions {
  /** Bytes of a tree object; undefined where they are not to be had: what it names is passed over. */
  readonly read: (digest: Digest) => Buffer | undefined;
  /** Called for what does not have the form of a tree. */
  readonly onInvalid: (error: MlvError, digest: Digest) => void;
  /** Tree objects that need not be looked into again; added to. */
  readonly seen: Set<Digest>;
}

/** Everything that a version names, objects before what they name. */
export function* reach(root: ReachRoot, options: ReachOptions): Generator<Reached> {
  const { digest, type, name, size, files } = root;
  if (type === 'file') {
    yield { digest, kind: 'blob', path: name, files: 1 };
    return;
  }
  yield { digest, kind: 'tree', path: name, files };
  const parsed = parse(digest, options, (bytes) => {
    const found = parseRoot(bytes, digest);
    const sums = sumNodes(found.nodes);
    if (sums.bytes !== size || sums.files !== files) options.onInvalid(wrongSums(name, sums), digest);
    return found;
  });
  if (parsed !== undefined) yield* reachNodes(root, { ...parsed, isLast: true, after: '' }, options);
}

interface NodeList {
  readonly nodes: readonly TreeNode[];
  readonly level: number;
  readonly isLast: boolean;
  readonly after: string;
}

function* reachNodes(root: ReachRoot, list: NodeList, options: ReachOptions): Generator<Reached> {
  let after = list.after;
  for (const [index, node] of list.nodes.entries()) {
    const before = after;
    after = node.lastPath;
    if (!overlaps(root, before, node.lastPath)) continue;
    if (root.below === undefined) {
      if (options.seen.has(node.digest)) continue;
      options.seen.add(node.digest);
    }
    yield { digest: node.digest, kind: 'tree', path: root.name, files: node.files };
    const expected = { node, isLast: list.isLast && index === list.nodes.length - 1 };
    if (list.level > 0) {
      const nodes = parse(node.digest, options, (bytes) => parseList(bytes, list.level, expected));
      const below = { level: list.level - 1, isLast: expected.isLast, after: before };
      if (nodes !== undefined) yield* reachNodes(root, { ...below, nodes }, options);
      continue;
    }
    for (const entry of parse(node.digest, options, (bytes) => parsePage(bytes, expected)) ?? []) {
      if (entry.kind === 'd' || !isWanted(root, entry.path)) continue;
      yield { digest: entry.digest, kind: 'blob', path: `${root.name}/${treePathToText(entry.path)}`, files: 1 };
    }
  }
}

function parse<T>(digest: Digest, { read, onInvalid }: ReachOptions, as: (bytes: Buffer) => T): T | undefined {
  const bytes = read(digest);
  if (bytes === undefined) return undefined;
  try {
    return as(bytes);
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    onInvalid(error, digest);
    return undefined;
  }
}

function wrongSums(name: string, sums: { files: number; bytes: number }): MlvError {
  return new MlvError({
    code: 'pointer-sums',
    kind: 'corrupt',
    message: `the pointer of ${name} does not fit its tree, which has ${sums.files} files and ${sums.bytes} bytes`,
    hint: 'Take the pointer back from Git: git restore PATH.mlv',
  });
}
