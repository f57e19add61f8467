import type { Digest } from '../domain/digest.ts';
import type { TreeEntry, TreeNode } from '../domain/tree.ts';
import { parseList, parsePage, parseRoot } from '../domain/tree-format.ts';
import { isBelowLevel } from '../domain/tree-level.ts';
import type { TreePath } from '../domain/tree-path.ts';
import type { LocalCache } from './local-cache.ts';

/** A file or directory to be fetched. */
export interface DownloadRoot {
  readonly digest: Digest;
  readonly type: 'dir' | 'file';
  /** Bytes in all. */
  readonly size: number;
  /** How messages call it. */
  readonly name: string;
  /** Only these paths and what is inside them; everything when undefined. */
  readonly below?: readonly TreePath[] | undefined;
  /** Of a folder's tree, only the pages that tell what is directly in this folder of it (undefined: at its top). */
  readonly level?: { readonly folder: TreePath | undefined } | undefined;
}

/** A page that can hold wanted entries. */
export interface WantedPage {
  readonly root: DownloadRoot;
  readonly node: TreeNode;
  readonly isLast: boolean;
}

/** Gets objects into the cache where they are not there yet; `path` is for messages. */
export type EnsureObjects = (objects: readonly { readonly digest: Digest; readonly path: string }[]) => Promise<void>;

/** A list or page, and the path that everything in it comes after. */
interface PlacedNode extends WantedPage {
  readonly level: number;
  readonly after: string;
}

/**
 * The pages of the roots that can hold what is wanted, fetched level by level. What could not be fetched is left out: `ensure`
 * keeps account of it.
 */
export async function fetchPages(
  roots: readonly DownloadRoot[],
  cache: LocalCache,
  ensure: EnsureObjects,
): Promise<WantedPage[]> {
  await ensure(roots.map(({ digest, name }) => ({ digest, path: name })));
  const pages: WantedPage[] = [];
  let lists: PlacedNode[] = [];
  const take = (
    root: DownloadRoot,
    found: { nodes: readonly TreeNode[]; level: number; isLast: boolean; after: string },
  ): void => {
    let after = found.after;
    for (const [index, node] of found.nodes.entries()) {
      const wanted = { root, node, isLast: found.isLast && index === found.nodes.length - 1 };
      if (overlaps(root, after, node.lastPath)) {
        if (found.level === 0) pages.push(wanted);
        else lists.push({ ...wanted, level: found.level, after });
      }
      after = node.lastPath;
    }
  };
  for (const root of roots) {
    if (cache.has(root.digest))
      take(root, { ...parseRoot(cache.read(root.digest), root.digest), isLast: true, after: '' });
  }
  while (lists.length > 0) {
    const level = lists;
    lists = [];
    await ensure(level.map(({ root, node }) => ({ digest: node.digest, path: root.name })));
    for (const list of level) {
      if (!cache.has(list.node.digest)) continue;
      const nodes = parseList(cache.read(list.node.digest), list.level, list);
      take(list.root, { nodes, level: list.level - 1, isLast: list.isLast, after: list.after });
    }
  }
  await ensure(pages.map(({ root, node }) => ({ digest: node.digest, path: root.name })));
  return pages.filter(({ node }) => cache.has(node.digest));
}

/**
 * Gets into the cache those objects of several versions of one directory that not all of them have at the same place: what is read
 * to compare them. Level by level, as `fetchPages`; what could not be fetched is left out.
 */
export async function fetchDifferences(
  roots: readonly DownloadRoot[],
  cache: Pick<LocalCache, 'has' | 'read'>,
  ensure: EnsureObjects,
): Promise<void> {
  const distinct = [...new Map(roots.map((root) => [root.digest, root])).values()];
  if (distinct.length < 2) return;
  await ensure(distinct.map(({ digest, name }) => ({ digest, path: name })));
  let open: PlacedNode[] = [];
  for (const root of distinct) {
    if (!cache.has(root.digest)) continue;
    const { level, nodes } = parseRoot(cache.read(root.digest), root.digest);
    open.push(...placed(root, { nodes, level, isLast: true, after: '' }));
  }
  for (let level = Math.max(-1, ...open.map((each) => each.level)); level >= 0; level--) {
    const trees = new Map<string, number>();
    const keyOf = ({ after, node }: PlacedNode): string => `${node.digest} ${after}`;
    const here = open.filter((each) => each.level === level);
    for (const each of here) trees.set(keyOf(each), (trees.get(keyOf(each)) ?? 0) + 1);
    const differing = here.filter((each) => (trees.get(keyOf(each)) ?? 0) < distinct.length);
    await ensure(differing.map(({ root, node }) => ({ digest: node.digest, path: root.name })));
    open = open.filter((each) => each.level < level);
    if (level === 0) return;
    for (const list of differing) {
      if (!cache.has(list.node.digest)) continue;
      const nodes = parseList(cache.read(list.node.digest), level, list);
      open.push(...placed(list.root, { nodes, level: level - 1, isLast: list.isLast, after: list.after }));
    }
  }
}

function placed(
  root: DownloadRoot,
  { nodes, level, isLast, after }: { nodes: readonly TreeNode[]; level: number; isLast: boolean; after: string },
): PlacedNode[] {
  return nodes.map((node, index) => ({
    root,
    node,
    level,
    isLast: isLast && index === nodes.length - 1,
    after: nodes[index - 1]?.lastPath ?? after,
  }));
}

/** The pages of directories, as far as their lists are in the cache. */
export async function pagesOf(roots: readonly Digest[], cache: LocalCache): Promise<ReadonlySet<Digest>> {
  const whole = roots.map((digest) => ({ digest, type: 'dir', size: 0, name: digest }) as const);
  const pages = await fetchPages(whole, cache, () => Promise.resolve());
  return new Set(pages.map(({ node }) => node.digest));
}

/** The wanted entries of a page that have content. */
export function wantedEntries(page: WantedPage, cache: LocalCache): TreeEntry[] {
  return parsePage(cache.read(page.node.digest), page).filter(
    ({ kind, path }) => kind !== 'd' && isWanted(page.root, path),
  );
}

/** True for a path that is wanted. */
export function isWanted({ below }: DownloadRoot, path: TreePath): boolean {
  return below === undefined || below.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

/** True when paths after `after`, up to `last`, can be wanted. */
export function overlaps({ below, level }: DownloadRoot, after: string, last: TreePath): boolean {
  if (level !== undefined && isBelowLevel(level.folder, after, last)) return false;
  // '0' follows '/': what is inside a folder comes before `folder0`.
  return below === undefined || below.some((folder) => last >= folder && after < `${folder}0`);
}
