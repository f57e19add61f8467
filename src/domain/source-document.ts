/** YAML nodes as values with their places. Imports `yaml`, which is slow to load: reach this file through a dynamic import only. */
import type { Alias, Document, Node, Pair } from 'yaml';
import { isAlias, isMap, isScalar, isSeq, visit } from 'yaml';
import type { SourceEntry, SourceNode, SourceScalar } from './pipeline-source.ts';
import { keyOf } from './yaml-document.ts';

/** Values, aliases followed, that one document may come to; levels in each other. */
const MAX_VALUES = 1_000_000;
const MAX_DEPTH = 100;

/** Aliases are followed, `<<` merges. Undefined for what grows by them beyond all bounds. */
export function nodeOfDocument(document: Document): SourceNode | undefined {
  let left = MAX_VALUES;
  let isTooLarge = false;
  const targets = aliasTargets(document);

  function convert(node: unknown, depth: number): SourceNode {
    left -= 1;
    if (left < 0 || depth > MAX_DEPTH) isTooLarge = true;
    if (isTooLarge) return { type: 'scalar', at: 0, value: null };
    if (isAlias(node)) return convert(targets.get(node), depth + 1);
    if (isSeq(node))
      return { type: 'list', at: node.range?.[0] ?? 0, items: node.items.map((item) => convert(item, depth + 1)) };
    if (isMap(node)) {
      const entries = new Map<string, SourceEntry>();
      for (const pair of node.items) addPair(entries, pair, depth);
      return { type: 'map', at: node.range?.[0] ?? 0, entries };
    }
    return scalarOf(node);
  }

  function addPair(entries: Map<string, SourceEntry>, pair: Pair, depth: number): void {
    const value = convert(pair.value, depth + 1);
    const isMerge = isScalar(pair.key) && pair.key.type === 'PLAIN' && pair.key.source === '<<';
    if (!isMerge) {
      entries.set(keyOf(pair), { at: isScalar(pair.key) ? (pair.key.range?.[0] ?? 0) : 0, value });
      return;
    }
    for (const merged of value.type === 'list' ? value.items : [value]) {
      if (merged.type !== 'map') continue;
      for (const [key, entry] of merged.entries) if (!entries.has(key)) entries.set(key, entry);
    }
  }

  const node = convert(document.contents, 0);
  return isTooLarge ? undefined : node;
}

/** What each alias stands for: the package looks through the document for each. */
function aliasTargets(document: Document): ReadonlyMap<Alias, Node | undefined> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node | undefined>();
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) targets.set(node, anchors.get(node.source));
      else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

function scalarOf(node: unknown): SourceScalar {
  if (!isScalar(node)) return { type: 'scalar', at: 0, value: null };
  const at = node.range?.[0] ?? 0;
  const { value, source = '' } = node;
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return { type: 'scalar', at, value: 'nan' };
    if (!Number.isFinite(value)) return { type: 'scalar', at, value: value > 0 ? 'inf' : '-inf' };
    // So large that a number would be another one.
    if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[-+]?\d+$/.test(source))
      return { type: 'scalar', at, value: source };
    // Hexadecimal digits are no exponent.
    const isFloat = /[.eE]/.test(source) && !/^[-+]?0x/.test(source);
    return { type: 'scalar', at, value, ...(isFloat && { isFloat }) };
  }
  const isPlain = value === null || typeof value === 'boolean' || typeof value === 'string';
  return { type: 'scalar', at, value: isPlain ? value : source };
}
