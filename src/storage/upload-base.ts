import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { TreeNode } from '../domain/tree.ts';
import { parseList, parsePage, parseRoot } from '../domain/tree-format.ts';
import type { LocalCache } from './local-cache.ts';

/**
 * Some nodes of one level of a tree that the remote has, and so all that they name. What a later version of the tree shares
 * with them need not be looked up.
 */
export interface BaseNodes {
  readonly level: number;
  readonly nodes: readonly { readonly node: TreeNode; readonly isLast: boolean }[];
}

/** The nodes that a root names; undefined when they are not in the cache. */
export function openBase(root: Digest, cache: LocalCache): BaseNodes | undefined {
  return ifInCache(() => {
    const { level, nodes } = parseRoot(cache.read(root), root);
    return { level, nodes: nodes.map((node, index) => ({ node, isLast: index === nodes.length - 1 })) };
  });
}

/** The nodes one level down that can hold paths after `after`, up to `last`; undefined when they are not in the cache. */
export function baseBelow(base: BaseNodes, after: string, last: string, cache: LocalCache): BaseNodes | undefined {
  return ifInCache(() => ({
    level: base.level - 1,
    nodes: overlapping(base, after, last).flatMap((expected) => {
      const nodes = parseList(cache.read(expected.node.digest), base.level, expected);
      return nodes.map((node, index) => ({ node, isLast: expected.isLast && index === nodes.length - 1 }));
    }),
  }));
}

/** What pages name in that range, and around it; undefined when they are not in the cache. */
export function baseEntries(base: BaseNodes, after: string, last: string, cache: LocalCache): Set<Digest> | undefined {
  return ifInCache(() => {
    const pages = overlapping(base, after, last);
    return new Set(pages.flatMap((page) => parsePage(cache.read(page.node.digest), page).map(({ digest }) => digest)));
  });
}

function overlapping({ nodes }: BaseNodes, after: string, last: string): BaseNodes['nodes'] {
  return nodes.filter(({ node }, index) => node.lastPath > after && (nodes[index - 1]?.node.lastPath ?? '') < last);
}

function ifInCache<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return undefined;
  }
}
