/** A cluster in which features are off: it takes objects and silently leaves out those features' fields. */
import type { KubeObject } from './objects.ts';

/** Removes what is at these paths, written `jobs.spec.podReplacementPolicy` or `jobs.spec.template.spec.hostUsers`. */
export function dropFields(object: KubeObject, paths: readonly string[], resource: string): void {
  for (const path of paths) {
    const [kind, ...keys] = path.split('.');
    const last = keys.pop();
    if (kind !== resource || last === undefined) continue;
    let at: unknown = object;
    for (const key of keys) at = (at as Record<string, unknown> | undefined)?.[key];
    if (typeof at === 'object' && at !== null) Reflect.deleteProperty(at, last);
  }
}
