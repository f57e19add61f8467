import type { ParamValue } from './pipeline.ts';

/** What a dotted key names: `train.lr`, `layers[0].size` or `layers.0.size`. Undefined where there is no such thing. */
export function paramAt(value: ParamValue, key: string): ParamValue | undefined {
  let found: ParamValue | undefined = value;
  // A name with dots in it is taken as it is where there is one.
  if (isMap(value) && Object.hasOwn(value, key)) return value[key];
  for (const step of key.replaceAll('[', '.').replaceAll(']', '').split('.')) found = stepInto(found, step);
  return found;
}

/** The values that are no maps, by dotted keys; an empty map is one of them. Lists stay whole. */
export function flattenParams(value: ParamValue): Map<string, ParamValue> {
  const flat = new Map<string, ParamValue>();
  const pending: [string, ParamValue][] = [['', value]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [key, at] = next;
    const entries = isMap(at) ? Object.entries(at) : [];
    if (entries.length === 0) flat.set(key, at);
    for (const [name, each] of entries.toReversed()) pending.push([key === '' ? name : `${key}.${name}`, each]);
  }
  return flat;
}

function stepInto(value: ParamValue | undefined, step: string): ParamValue | undefined {
  if (value === undefined || value === null || typeof value !== 'object') return undefined;
  if (isMap(value)) return Object.hasOwn(value, step) ? value[step] : undefined;
  return /^\d{1,9}$/.test(step) ? value[Number(step)] : undefined;
}

function isMap(value: ParamValue): value is { readonly [key: string]: ParamValue } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
