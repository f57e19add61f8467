/** Parameters and metrics as single values under dotted keys, and what differs between two versions of them. */
import type { ParamValue } from './pipeline.ts';

/** A value that is compared whole: what has no parts, a list, or a map with nothing in it. */
export type Leaf = null | boolean | number | string | readonly ParamValue[] | Readonly<Record<string, never>>;

/** By dotted key; '' is a file that is one value. */
export type Leaves = ReadonlyMap<string, Leaf>;

/** One key that at least one side has. */
export interface ValueChange {
  readonly key: string;
  /** Undefined where that side has no such key. */
  readonly old?: Leaf;
  readonly new?: Leaf;
  /** New less old, of two numbers that differ. */
  readonly change?: number;
}

/**
 * Takes maps apart to dotted keys, sorted, all below the key `at`. A name that itself has a dot, or is empty, stands in quotes: `"a.b".c`.
 * Lists stay whole.
 */
export function flattenValue(value: ParamValue, at = ''): Leaves {
  const leaves: [string, Leaf][] = [];
  const collect = (key: string, found: ParamValue): void => {
    if (!isMap(found)) leaves.push([key, found]);
    else if (Object.keys(found).length === 0) leaves.push([key, {}]);
    else for (const [name, part] of Object.entries(found)) collect(joinKey(key, name), part);
  };
  collect(at, value);
  return new Map(leaves.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What became of every key that either side has, sorted; with `all`, also of those that are the same. */
export function compareLeaves(before: Leaves, after: Leaves, { all = false } = {}): ValueChange[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  return keys.flatMap((key) => {
    const old = before.get(key);
    const now = after.get(key);
    const isSame = old !== undefined && now !== undefined && isSameValue(old, now);
    if (isSame && !all) return [];
    const isNumeric = typeof old === 'number' && typeof now === 'number' && !isSame;
    return [
      {
        key,
        ...(old !== undefined && { old }),
        ...(now !== undefined && { new: now }),
        ...(isNumeric && { change: now - old }),
      },
    ];
  });
}

/** A value in one line, as people read it. Integers are whole; of other numbers `precision` digits count. */
export function formatLeaf(value: Leaf, precision: number): string {
  if (typeof value === 'number') return formatNumber(value, precision);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * A number with so many significant digits, and never fewer than it has before the point: what is cut off is only ever a fraction.
 * `0.91235`, `123457`, `1.2e-7`.
 */
export function formatNumber(value: number, precision: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Number.isInteger(value)) return String(value);
  const before = Math.max(0, Math.floor(Math.log10(Math.abs(value))) + 1);
  return String(Number(value.toPrecision(Math.min(100, Math.max(precision, before, 1)))));
}

function joinKey(at: string, name: string): string {
  const quoted = name === '' || name.startsWith('"') || name.includes('.') ? JSON.stringify(name) : name;
  return at === '' ? quoted : `${at}.${quoted}`;
}

function isMap(value: ParamValue): value is { readonly [key: string]: ParamValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `1` is `1.0` and never `"1"`; nothing in a map has an order. */
function isSameValue(a: ParamValue, b: ParamValue): boolean {
  // What is not a number is no other one either: a loss that is `nan` in both did not change.
  if (typeof a === 'number' && typeof b === 'number') return a === b || (Number.isNaN(a) && Number.isNaN(b));
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item: ParamValue, index) => isSameValue(item, b[index] as ParamValue));
  if (isMap(a) && isMap(b)) {
    const names = Object.keys(a);
    return (
      names.length === Object.keys(b).length &&
      names.every((name) => Object.hasOwn(b, name) && isSameValue(a[name] as ParamValue, b[name] as ParamValue))
    );
  }
  return a === b;
}
