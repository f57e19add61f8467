/**
 * Merging what a pointer says beside which data it names. Imports `yaml`, which is slow to load: reach this file through a
 * dynamic import only.
 */
import type { Document, Pair } from 'yaml';
import { isMap, isNode } from 'yaml';
import { openPointer } from './pointer-document.ts';
import type { MergeSide } from './tree-merge.ts';
import type { YamlFile } from './yaml-document.ts';
import { formatYamlFile, keyOf } from './yaml-document.ts';

/** What tells which data it is: merged by looking at that. */
const DATA_KEYS: readonly string[] = ['type', 'hash', 'size', 'files', 'exec'];

/**
 * Merges the texts of three pointers key by key (`base` is undefined where there is no ancestor), comments with the key they
 * belong to; what they say of which data it is stays ours. `choose` tells what to take of a key that both sides changed, and not
 * alike. Throws `pointer-conflict`, `pointer-invalid`, for any of them.
 */
export function mergePointerTexts(
  texts: { readonly base: string | undefined; readonly ours: string; readonly theirs: string },
  { path, choose }: { readonly path: string; readonly choose: (key: string) => MergeSide },
): string {
  const base = texts.base === undefined ? undefined : openPointer(texts.base, path);
  const ours = openPointer(texts.ours, path);
  const theirs = openPointer(texts.theirs, path);
  let isChanged = false;
  const order = [ours, theirs, ...(base === undefined ? [] : [base])].flatMap(({ map }) => map.items.map(keyOf));
  for (const key of new Set(order)) {
    if (DATA_KEYS.includes(key)) continue;
    const found = { base: pairOf(base, key), ours: pairOf(ours, key), theirs: pairOf(theirs, key) };
    const [before, here, there] = [base, ours, theirs].map((file) => textOf(file, pairOf(file, key)));
    let taken: MergeSide = 'ours';
    if (here !== there && before !== there) {
      if (before === here) taken = 'theirs';
      else if (valueOf(ours, found.ours) !== valueOf(theirs, found.theirs)) taken = choose(key);
    }
    if (taken === 'ours') continue;
    isChanged = true;
    setPair(ours, theirs, { key, pair: found[taken] });
  }
  for (const part of ['document', 'map'] as const) {
    for (const place of ['commentBefore', 'comment'] as const) {
      const there = theirs[part][place] ?? null;
      if (base?.[part][place] !== ours[part][place] || there === (ours[part][place] ?? null)) continue;
      isChanged = true;
      ours[part][place] = there;
    }
  }
  return isChanged ? formatYamlFile(ours.document, texts.ours) : texts.ours;
}

function pairOf(file: YamlFile | undefined, key: string): Pair | undefined {
  return file?.map.items.find((pair) => keyOf(pair) === key);
}

/** What a key says, with its comments; undefined for one that is not there. */
function textOf(file: YamlFile | undefined, pair: Pair | undefined): string | undefined {
  if (file === undefined || pair === undefined) return undefined;
  const alone: Document = file.document.clone();
  alone.commentBefore = alone.comment = null;
  if (isMap(alone.contents)) {
    alone.contents.commentBefore = alone.contents.comment = null;
    alone.contents.items = alone.contents.items.filter((each) => keyOf(each) === keyOf(pair));
  }
  return alone.toString({ lineWidth: 0 }).trim();
}

function valueOf(file: YamlFile, pair: Pair | undefined): string | undefined {
  return pair === undefined ? undefined : JSON.stringify(isNode(pair.value) ? pair.value.toJS(file.document) : null);
}

/** Puts a key into our pointer, after the key that it follows in theirs; or takes it out. */
function setPair(
  { map }: YamlFile,
  theirs: YamlFile,
  { key, pair }: { readonly key: string; readonly pair: Pair | undefined },
): void {
  const index = map.items.findIndex((each) => keyOf(each) === key);
  if (pair === undefined) {
    if (index >= 0) map.items.splice(index, 1);
  } else if (index >= 0) map.items[index] = pair;
  else {
    const keys = theirs.map.items.map(keyOf);
    const before = keys.slice(0, Math.max(0, keys.indexOf(key)));
    map.items.splice(map.items.findLastIndex((each) => before.includes(keyOf(each))) + 1, 0, pair);
  }
}
