/** Values as text within text, as DVC (and so Python) writes them: commands made from the same parameters are the same. */
import type { SourceMap, SourceNode, SourceScalar } from './pipeline-source.ts';

/** Characters that no shell gives a meaning to (Python's `shlex.quote`). */
const SAFE = /^[\w@%+=:,./-]+$/;

/** What `${name}` puts into text. */
export function scalarText({ value, isFloat }: SourceScalar): string {
  if (value === null) return 'None';
  return typeof value === 'number' ? numberText(value, isFloat === true) : String(value);
}

/**
 * What `${name}` puts into a command where the name means a map: `--key value` of each entry, those of maps in it with dotted keys; `--key` for
 * true, nothing for false; `--key a b` for a list. Undefined for a list that holds maps or lists.
 */
export function flagsText(map: SourceMap): string | undefined {
  const words: string[] = [];
  for (const [key, node] of flatEntries(map, '')) {
    const flag = `--${key}`;
    if (node.type === 'list') {
      if (node.items.length > 0) words.push(flag);
      for (const item of node.items) {
        if (item.type !== 'scalar') return undefined;
        words.push(itemText(item));
      }
    } else if (node.type === 'scalar' && typeof node.value === 'boolean') {
      if (node.value) words.push(flag);
    } else if (node.type === 'scalar') {
      words.push(flag, typeof node.value === 'string' ? shellQuote(node.value) : scalarText(node));
    }
  }
  return words.join(' ');
}

function* flatEntries(map: SourceMap, prefix: string): Generator<[string, SourceNode]> {
  for (const [key, { value }] of map.entries) {
    if (value.type === 'map') yield* flatEntries(value, `${prefix}${key}.`);
    else yield [`${prefix}${key}`, value];
  }
}

function itemText(item: SourceScalar): string {
  const { value } = item;
  if (typeof value === 'string') return shellQuote(value);
  // Python's own names for these, where DVC forgets its.
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return scalarText(item);
}

/** A word that a shell takes for this text. */
export function shellQuote(text: string): string {
  return SAFE.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

/** Python's `repr` of a number. */
function numberText(value: number, isFloat: boolean): string {
  if (!isFloat && Number.isSafeInteger(value)) return String(value);
  const [digits = '', power = '0'] = value.toExponential().split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = String(value);
  return text.includes('.') ? text : `${text}.0`;
}
