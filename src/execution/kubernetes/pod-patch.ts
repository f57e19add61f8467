import type { ParamValue, PodPatch } from '../../domain/pipeline.ts';
import type { PodTemplate } from './objects.ts';

/** By what things in lists are known, where it is not their name: a volume may be mounted twice. */
const KEYS: Readonly<Record<string, string>> = { volumeMounts: 'mountPath' };

/**
 * A pod's template as the user wants it, by rules like those of Kubernetes' own strategic merge patch: maps merge key by key, null takes a key
 * out; lists merge thing by thing where all things of both have names, new ones come last; other lists are replaced.
 */
export function patchPod(template: PodTemplate, patch: PodPatch): PodTemplate {
  return merge(template as unknown as ParamValue, patch, '') as unknown as PodTemplate;
}

function merge(value: ParamValue | undefined, patch: ParamValue, field: string): ParamValue {
  if (isList(patch)) return mergeLists(isList(value) ? value : [], patch, KEYS[field] ?? 'name');
  if (!isMap(patch)) return patch;
  const entries = new Map(isMap(value) ? Object.entries(value) : []);
  for (const [key, each] of Object.entries(patch)) {
    if (each === null) entries.delete(key);
    else entries.set(key, merge(entries.get(key), each, key));
  }
  return Object.fromEntries(entries);
}

function mergeLists(items: readonly ParamValue[], patches: readonly ParamValue[], key: string): ParamValue {
  const nameOf = (item: ParamValue): ParamValue | undefined => (isMap(item) ? item[key] : undefined);
  const areNamed = (list: readonly ParamValue[]): boolean => list.every((item) => typeof nameOf(item) === 'string');
  // What is not there to be patched has no keys to be taken out.
  if (!areNamed(patches)) return patches.map((item) => merge(undefined, item, ''));
  const merged = new Map<ParamValue | undefined, ParamValue>();
  for (const item of [...(areNamed(items) ? items : []), ...patches]) {
    merged.set(nameOf(item), merge(merged.get(nameOf(item)), item, ''));
  }
  return [...merged.values()];
}

function isList(value: ParamValue | undefined): value is readonly ParamValue[] {
  return Array.isArray(value);
}

function isMap(value: ParamValue | undefined): value is PodPatch {
  return typeof value === 'object' && value !== null && !isList(value);
}
