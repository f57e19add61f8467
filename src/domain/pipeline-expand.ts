/** The stages that a stage of `foreach` or `matrix` stands for: what each is called, and what is its own. */
import type { PipelineSource, SourceEntry, SourceMap, SourceNode } from './pipeline-source.ts';
import { kindOf, pipelineError } from './pipeline-source.ts';
import { type Resolving, spend, VALUE_COST } from './template.ts';
import { scalarText } from './template-text.ts';

/** More in one file are a mistake. */
export const MAX_STAGES = 100_000;

/** One of the stages. */
export interface Variant {
  /** What comes behind the `@`. */
  readonly key: string;
  /** What `item` and `key` mean in it. */
  readonly names: ReadonlyMap<string, SourceNode>;
}

/** For each of a list or map, which is resolved. Of two with one key the later one counts, as for DVC. Throws `pipeline-invalid`. */
export function foreachVariants(node: SourceNode, source: PipelineSource): Variant[] {
  const variants = new Map<string, Variant>();
  if (node.type === 'map') {
    for (const [key, { value }] of node.entries) {
      const names = new Map([
        ['item', value],
        ['key', textNode(key, node.at)],
      ]);
      variants.set(key, { key, names });
    }
  } else if (node.type === 'list') {
    const isPlain = node.items.every((item) => item.type === 'scalar');
    for (const [index, item] of node.items.entries()) {
      const key = isPlain && item.type === 'scalar' ? scalarText(item) : String(index);
      variants.set(key, { key, names: new Map([['item', item]]) });
    }
  } else {
    throw pipelineError(source, node.at, {
      message: `"foreach" must be a list or a map, not ${kindOf(node)}`,
      hint: 'A stage is made for each of its values.',
    });
  }
  return [...variants.values()];
}

/** For each combination of the lists of a map, which is resolved. Throws `pipeline-invalid`, `pipeline-too-large`. */
export function matrixVariants(node: SourceMap, resolving: Resolving): Variant[] {
  const { source } = resolving;
  const axes: (readonly [string, readonly SourceNode[]])[] = [];
  let count = 1;
  for (const [name, { at, value }] of node.entries) {
    if (value.type !== 'list') {
      throw pipelineError(source, at, {
        message: `"${name}" of a matrix must be a list, not ${kindOf(value)}`,
        hint: 'A stage is made for each combination of the values of the lists.',
      });
    }
    axes.push([name, value.items]);
    count *= value.items.length;
    if (count > MAX_STAGES) {
      throw pipelineError(source, node.at, {
        code: 'pipeline-too-large',
        message: `this matrix makes more than ${MAX_STAGES} stages`,
        hint: 'Shorten its lists, or let the command go through some of them itself.',
      });
    }
  }
  const variants = new Map<string, Variant>();
  for (let index = 0; index < count; index += 1) {
    const entries = new Map<string, SourceEntry>();
    const words: string[] = [];
    // The last list changes fastest.
    let rest = index;
    let block = count;
    for (const [name, items] of axes) {
      block /= items.length;
      const place = Math.floor(rest / block);
      rest %= block;
      const item = items[place];
      if (item === undefined) continue;
      entries.set(name, { at: node.at, value: item });
      words.push(item.type === 'scalar' ? scalarText(item) : `${name}${place}`);
    }
    const key = words.join('-');
    spend(resolving, key.length + VALUE_COST * axes.length, node.at);
    const names = new Map<string, SourceNode>([
      ['item', { type: 'map', at: node.at, entries }],
      ['key', textNode(key, node.at)],
    ]);
    variants.set(key, { key, names });
  }
  return [...variants.values()];
}

function textNode(value: string, at: number): SourceNode {
  return { type: 'scalar', at, value };
}
