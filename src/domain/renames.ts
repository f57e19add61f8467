import type { TreeEntry } from './tree.ts';

/** A place where something came or went. */
export interface Moved {
  /** As a whole, so that what is in several datasets can be told apart. */
  readonly path: string;
  readonly entry: TreeEntry;
}

/**
 * Which of the files that came were there before under another path: same content, same kind. Each that went is taken once; one with the
 * same name before others. Empty files and folders are everybody's, and so nobody's. Returns pairs by the path that came.
 */
export function findRenames<T extends Moved>(gone: readonly T[], came: readonly T[]): Map<string, T> {
  const keyOf = ({ digest, kind }: TreeEntry): string => `${kind} ${digest}`;
  const waiting = new Map<string, T[]>();
  for (const each of gone) {
    if (each.entry.size === 0) continue;
    const key = keyOf(each.entry);
    const list = waiting.get(key);
    if (list === undefined) waiting.set(key, [each]);
    else list.push(each);
  }
  const found = new Map<string, T>();
  const take = (each: T, from: T | undefined): void => {
    if (from === undefined) return;
    const list = waiting.get(keyOf(each.entry)) ?? [];
    list.splice(list.indexOf(from), 1);
    found.set(each.path, from);
  };
  const sources = (each: T): readonly T[] => waiting.get(keyOf(each.entry)) ?? [];
  // Only where few have the same content is it worth looking at names.
  for (const each of came) {
    const list = sources(each);
    if (list.length <= 100)
      take(
        each,
        list.find(({ path }) => baseName(path) === baseName(each.path)),
      );
  }
  for (const each of came) if (!found.has(each.path)) take(each, sources(each)[0]);
  return found;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
