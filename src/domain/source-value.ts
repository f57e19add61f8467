/** Values of a pipeline file that were checked by its schema, as what they mean. */
import type { SourceEntry, SourceNode } from './pipeline-source.ts';
import { scalarText } from './template-text.ts';

export function textOf(node: SourceNode): string {
  return node.type === 'scalar' ? scalarText(node) : '';
}

export function amountOf(node: SourceNode, parse: (text: string) => number): number {
  return node.type === 'scalar' && typeof node.value === 'number' ? node.value : parse(textOf(node));
}

export function flagOf(node: SourceNode | undefined, otherwise: boolean): boolean {
  return node?.type === 'scalar' && typeof node.value === 'boolean' ? node.value : otherwise;
}

/** A list's items; of anything else that one thing. */
export function listOf(node: SourceNode | undefined): readonly SourceNode[] {
  if (node === undefined) return [];
  return node.type === 'list' ? node.items : [node];
}

export function entriesOf(node: SourceNode | undefined): [string, SourceEntry][] {
  return node?.type === 'map' ? [...node.entries] : [];
}

export function entryOf(node: SourceNode | undefined, key: string): SourceEntry | undefined {
  return node?.type === 'map' ? node.entries.get(key) : undefined;
}

export function optional<T>(node: SourceNode | undefined, read: (node: SourceNode) => T): T | undefined {
  return node === undefined ? undefined : read(node);
}
