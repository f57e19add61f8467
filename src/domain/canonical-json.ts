import type { ParamValue } from './pipeline.ts';

/** What has a canonical text; maps for keys that come from people, `__proto__` too. */
export type Canonical = ParamValue | readonly Canonical[] | ReadonlyMap<string, Canonical>;

/**
 * The one text of a value: JSON without spaces, keys in the order of their code units. Numbers that JSON lacks are written as YAML does
 * (`.inf`, `-.inf`, `.nan`), so that no two values share a text; what holds none of them is JSON.
 */
export function canonicalJson(value: Canonical): string {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    if (Number.isNaN(value)) return '.nan';
    return value > 0 ? '.inf' : '-.inf';
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly Canonical[]).map(canonicalJson).join(',')}]`;
  const entries: [string, Canonical][] = value instanceof Map ? [...value] : Object.entries(value);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(',')}}`;
}
