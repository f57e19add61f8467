import { collisionKey } from './path-rules.ts';

/**
 * Groups of paths that are one file, or share one folder, on a disk that ignores case or normalisation; each group sorted. Paths
 * come in any order.
 */
export function findCollisions(paths: Iterable<string>): string[][] {
  const names = new Map<string, Set<string>>();
  for (const path of paths) {
    for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
      const part = end < 0 ? path : path.slice(0, end);
      const key = collisionKey(part);
      const seen = names.get(key);
      if (seen === undefined) names.set(key, new Set([part]));
      else seen.add(part);
      if (end < 0) break;
    }
  }
  return [...names.values()].filter((group) => group.size > 1).map((group) => [...group].sort());
}
