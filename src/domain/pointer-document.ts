/** Pointers in any form that people give them. Imports `yaml`, which is slow to load: reach this file through a dynamic import only. */
import type { Pair } from 'yaml';
import { isNode, isScalar } from 'yaml';
import type { Digest } from './digest.ts';
import { formatDigest, isDigest } from './digest.ts';
import { MlvError } from './errors.ts';
import type { Pointer } from './pointer.ts';
import { MAX_POINTER_BYTES, POINTER_VERSION } from './pointer.ts';
import { otherVersion } from './format-version.ts';
import { isRemoteName } from './remote-name.ts';
import type { YamlFile } from './yaml-document.ts';
import { formatYamlFile, keyOf, parseYamlFile, scalarText } from './yaml-document.ts';

/** What to change in a pointer; undefined removes the field. */
export type PointerChanges = { readonly [K in Exclude<keyof Pointer, 'version'>]?: Pointer[K] | undefined };

const FIELDS = [
  'version',
  'type',
  'hash',
  'size',
  'files',
  'exec',
  'remote',
  'source',
  'desc',
  'labels',
  'meta',
] as const;
const DECIMAL = /^(?:0|[1-9]\d*)$/;

/**
 * Parses a pointer. `path` is named in errors. Unknown fields are passed over. Throws `pointer-conflict` (Git's conflict
 * markers), `pointer-version` (made by a later mlv) or `pointer-invalid` with line and column.
 */
export function parsePointer(text: string, path: string): Pointer {
  return readFields(openPointer(text, path), path);
}

/**
 * The text with these fields changed, everything else kept: comments, order, unknown fields. Exactly the same text when
 * nothing changes. Throws what `parsePointer` throws.
 */
export function updatePointer(text: string, changes: PointerChanges, path: string): string {
  const file = openPointer(text, path);
  const before = readFields(file, path);
  let changed = false;
  for (const key of FIELDS) {
    if (key === 'version' || !Object.hasOwn(changes, key)) continue;
    const value = changes[key];
    if (JSON.stringify(value) === JSON.stringify(before[key])) continue;
    changed = true;
    if (value === undefined) file.map.delete(key);
    else setField(file, key, key === 'hash' ? formatDigest(value as Digest) : value);
  }
  return changed ? formatYamlFile(file.document, text) : text;
}

/** Parses it as YAML, no further. Throws `pointer-conflict`, `pointer-invalid`. */
export function openPointer(text: string, path: string): YamlFile {
  if (text.length > MAX_POINTER_BYTES) {
    throw new MlvError({
      code: 'pointer-invalid',
      kind: 'corrupt',
      message: `${path}: larger than 256 KiB, which no pointer is`,
    });
  }
  return parseYamlFile(text, {
    path,
    kind: 'pointer',
    hint: 'Restore it with Git, or delete it and "mlv add" the data again.',
    conflictHint:
      '"mlv status" lists what is in conflict, "mlv checkout --ours PATH" or "--theirs" chooses a side, for all or file by file.',
  });
}

function readFields(file: YamlFile, path: string): Pointer {
  const pairs = new Map(file.map.items.map((pair) => [keyOf(pair), pair]));
  const { invalid } = file;

  function scalar<T>(
    key: string,
    expected: string,
    parse: (text: string, value: unknown) => T | undefined,
  ): T | undefined {
    const pair = pairs.get(key);
    if (pair === undefined) return undefined;
    const parsed = isScalar(pair.value) ? parse(scalarText(pair.value), pair.value.value) : undefined;
    if (parsed === undefined) throw invalid(`"${key}" must be ${expected}`, at(pair));
    return parsed;
  }

  function required<T>(key: string, value: T | undefined): T {
    if (value === undefined) throw invalid(`"${key}" is missing`, file.map);
    return value;
  }

  function only(key: string, type: string): void {
    if (pairs.has(key)) throw invalid(`"${key}" belongs to a ${type}`, pairs.get(key)?.key);
  }

  function plain(key: string): unknown {
    return file.map.get(key, true)?.toJS(file.document);
  }

  const version = required('version', scalar('version', 'a number', count));
  if (version !== POINTER_VERSION) {
    const { line, column } = file.position(at(pairs.get('version')));
    throw otherVersion('pointer', `${path}:${line}:${column}`, { version, reads: POINTER_VERSION });
  }
  const type = required(
    'type',
    scalar('type', '"file" or "dir"', (text) => (text === 'file' || text === 'dir' ? text : undefined)),
  );
  const hash = required('hash', scalar('hash', '"b3:" and 64 digits 0-9a-f', digest));
  const size = required('size', scalar('size', 'a number of bytes', count));
  const files =
    type === 'dir' ? required('files', scalar('files', 'a number of files', count)) : only('files', 'directory');
  const exec =
    type === 'file'
      ? scalar('exec', 'true or false', (_, value) => (typeof value === 'boolean' ? value : undefined))
      : only('exec', 'file');
  const remote = scalar('remote', "a remote's name", (text) => (isRemoteName(text) ? text : undefined));
  const desc = scalar('desc', 'text', (text, value) => (value === null ? undefined : text));
  const labels = pairs.has('labels') ? plain('labels') : undefined;
  if (pairs.has('labels') && !isTextList(labels))
    throw invalid('"labels" must be a list of words', at(pairs.get('labels')));

  return {
    version: POINTER_VERSION,
    type,
    hash,
    size,
    ...(files !== undefined && { files }),
    ...(exec === true && { exec }),
    ...(remote !== undefined && { remote }),
    ...(desc !== undefined && { desc }),
    ...(isTextList(labels) && { labels }),
    ...(pairs.has('meta') && { meta: plain('meta') }),
    ...(pairs.has('source') && { source: plain('source') }),
  };
}

function setField(file: YamlFile, key: (typeof FIELDS)[number], value: unknown): void {
  if (file.map.has(key)) {
    file.map.set(key, value);
    return;
  }
  const before: readonly string[] = FIELDS.slice(0, FIELDS.indexOf(key));
  const index = file.map.items.findLastIndex((pair) => before.includes(keyOf(pair) ?? ''));
  file.map.items.splice(index + 1, 0, file.document.createPair(key, value));
}

function count(text: string, value: unknown): number | undefined {
  return typeof value === 'number' && DECIMAL.test(text) && Number.isSafeInteger(value) ? value : undefined;
}

function digest(text: string): Digest | undefined {
  const hex = text.startsWith('b3:') ? text.slice(3) : '';
  return isDigest(hex) ? hex : undefined;
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** Where to point at in an error about an entry: its value if there is one. */
function at(pair: Pair | undefined): unknown {
  return isNode(pair?.value) ? pair.value : pair?.key;
}
