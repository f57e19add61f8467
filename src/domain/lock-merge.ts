/**
 * Merging `mlv.lock`: a YAML map with `version` and, below `stages`, what each stage last used and made. Imports `yaml`, which is
 * slow to load: reach this file through a dynamic import only.
 */
import type { Pair } from 'yaml';
import { isMap, isScalar } from 'yaml';
import { MlvError } from './errors.ts';
import type { YamlFile } from './yaml-document.ts';
import { keyOf, parseYamlFile } from './yaml-document.ts';

export interface LockMerge {
  readonly text: string;
  /** Stages that both sides changed, and not alike: they are recorded no more, and so are to run again. */
  readonly dropped: readonly string[];
}

/** A lock file in pieces; together in order they are its text. */
interface LockText {
  /** What comes before the line `stages:`. */
  readonly head: string;
  /** By name: the lines of a stage, the comments after it too. */
  readonly stages: ReadonlyMap<string, { readonly text: string; readonly value: string }>;
  /** What comes after the stages. */
  readonly tail: string;
  /** How far the names of the stages are indented; undefined without stages. */
  readonly indent: number | undefined;
}

const NOTHING: LockText = { head: '', stages: new Map(), tail: '', indent: undefined };

/**
 * Merges three versions stage by stage (`base` is undefined where there is no ancestor); the text of what nobody changed stays as it
 * is. Throws `lock-conflict`, `lock-invalid` for what is no lock file, and `lock-unmergeable` where all but the stages was changed on
 * both sides, or is written in different ways.
 */
export function mergeLocks(
  texts: { readonly base: string | undefined; readonly ours: string; readonly theirs: string },
  path: string,
): LockMerge {
  const base = texts.base === undefined ? NOTHING : readLock(texts.base, path);
  const [ours, theirs] = [readLock(texts.ours, path), readLock(texts.theirs, path)];
  const head = pick(base.head, ours.head, theirs.head);
  const tail = pick(base.tail, ours.tail, theirs.tail);
  const isAlike = ours.indent === undefined || theirs.indent === undefined || ours.indent === theirs.indent;
  if (head === undefined || tail === undefined || !isAlike) throw unmergeable(path);
  const dropped: string[] = [];
  const blocks: { readonly name: string; readonly text: string }[] = [];
  for (const name of namesOf(ours, theirs)) {
    const [before, here, there] = [base, ours, theirs].map(({ stages }) => stages.get(name));
    const side = pick(before?.value, here?.value, there?.value);
    if (side === undefined && here?.value !== before?.value && there?.value !== before?.value) dropped.push(name);
    else {
      const taken = side === here?.value ? here : there;
      if (taken !== undefined) blocks.push({ name, text: taken.text });
    }
  }
  const [eol] = /\r?\n/.exec(texts.ours) ?? ['\n'];
  const lines = blocks.map(({ text }) => (text.endsWith('\n') ? text : text + eol));
  const stages = blocks.length === 0 ? `stages: {}${eol}` : `stages:${eol}${lines.join('')}`;
  const text = head + stages + tail;
  // Pieces of texts that were each written strangely may not fit together.
  if (!isReadable(text, path)) throw unmergeable(path);
  return { text, dropped };
}

function isReadable(text: string, path: string): boolean {
  try {
    readLock(text, path);
    return true;
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return false;
  }
}

/** Ours in their order, those that only theirs has where they sort. */
function namesOf(ours: LockText, theirs: LockText): string[] {
  const names = [...ours.stages.keys()];
  for (const name of theirs.stages.keys()) {
    if (ours.stages.has(name)) continue;
    const next = names.findIndex((each) => each > name);
    names.splice(next < 0 ? names.length : next, 0, name);
  }
  return names;
}

/** What a three-way merge takes; undefined also where both sides changed it. */
function pick<T>(base: T, ours: T, theirs: T): T | undefined {
  if (ours === theirs || base === theirs) return ours;
  return base === ours ? theirs : undefined;
}

function readLock(text: string, path: string): LockText {
  const file = parseYamlFile(text, {
    path,
    kind: 'lock',
    hint: 'Take the version of one side with Git, or delete the file: stages without a record run again.',
  });
  const index = file.map.items.findIndex((pair) => keyOf(pair) === 'stages');
  const pair = file.map.items[index];
  if (pair === undefined || file.map.flow === true) throw file.invalid('"stages" is missing', file.map);
  const start = lineOf(text, startOf(pair, file));
  const following = file.map.items[index + 1];
  const end = following === undefined ? text.length : lineOf(text, startOf(following, file));
  const rest = { head: text.slice(0, start), tail: text.slice(end) };
  const { value } = pair;
  const isEmpty = isScalar(value) ? value.value === null : isMap(value) && value.items.length === 0;
  if (isEmpty) return { ...rest, stages: new Map(), indent: undefined };
  if (!isMap(value) || value.flow === true) throw file.invalid('"stages" must be a map, a line for each stage', value);
  const stages = new Map<string, { text: string; value: string }>();
  const starts = value.items.map((stage) => lineOf(text, startOf(stage, file)));
  const lined = new Set([start, ...starts]);
  if (lined.size !== starts.length + 1) throw file.invalid('"stages" must be a map, a line for each stage', value);
  // What is told before the first stage stays with it.
  starts[0] = text.indexOf('\n', start) + 1;
  for (const [at, stage] of value.items.entries()) {
    const name = keyOf(stage);
    const lines = text.slice(starts[at], starts[at + 1] ?? end);
    stages.set(name, { text: lines, value: JSON.stringify(value.get(name, true)?.toJS(file.document) ?? null) });
  }
  const [first] = value.items;
  return { ...rest, stages, indent: first && file.position(first.key).column };
}

function startOf(pair: Pair, file: YamlFile): number {
  const { key } = pair;
  if (!isScalar(key) || !key.range) throw file.invalid('a key is missing', key);
  return key.range[0];
}

/** Where the line starts that holds an offset. */
function lineOf(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

function unmergeable(path: string): MlvError {
  return new MlvError({
    code: 'lock-unmergeable',
    kind: 'conflict',
    message: `${path}: more than its stages was changed on both sides, or they are not written alike`,
    hint: 'Take the version of one side with Git; stages without a record run again.',
  });
}
