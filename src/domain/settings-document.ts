/** Settings files in any form that people give them. Imports `yaml`, which is slow to load: reach this file through a dynamic import only. */
import type { Document, Node, Pair, YAMLMap } from 'yaml';
import { isMap, isScalar, isSeq } from 'yaml';
import { MlvError } from './errors.ts';
import type { Scope, SettingValue } from './setting-table.ts';
import { MAX_SETTINGS_BYTES, parsePlainEntries } from './settings-file.ts';
import type { FileEntry, SettingsLayer } from './settings.ts';
import { parseSetting, SETTINGS_VERSION, settingsFromFile } from './settings.ts';
import type { YamlFile } from './yaml-document.ts';
import { formatYamlFile, keyOf, parseYamlFile, scalarText } from './yaml-document.ts';

/** Parses a settings file; `path` is for errors and origins. Throws `config-conflict`, `config-invalid`, and what `settingsFromFile` throws. */
export function parseSettings(text: string, scope: Scope, path: string): SettingsLayer {
  return settingsFromFile(parseEntries(text, path), scope, path);
}

/** The file's settings, not yet interpreted. */
export function parseEntries(text: string, path: string): FileEntry[] {
  const file = openSettings(text, path);
  const entries: FileEntry[] = [];

  function walk(map: YAMLMap, parents: readonly string[]): void {
    for (const pair of map.items) {
      const keys = [...parents, keyOf(pair)];
      const place = { keys, ...file.position(pair.key) };
      if (isMap(pair.value)) walk(pair.value, keys);
      else entries.push({ ...place, value: valueOf(pair, file) });
    }
  }

  walk(file.map, []);
  return entries;
}

/**
 * The text of a settings file with one setting changed, everything else kept, or with it removed where `value` is
 * undefined (a whole remote or profile too: `remotes.NAME`, `kubernetes.NAME`). An empty text becomes a new file. Exactly the same text when nothing
 * changes. Throws what `parseSetting` and `parseSettings` throw.
 */
export function editSettings(
  text: string,
  key: string,
  value: string | undefined,
  place: { readonly scope: Scope; readonly path: string },
): string {
  const { scope, path } = place;
  const base = parsePlainEntries(text)?.length === 0 ? `${text}version: ${SETTINGS_VERSION}\n` : text;
  const file = openSettings(base, path);
  const keys = key.split('.');
  if (value === undefined) {
    if (!file.document.hasIn(keys)) return text;
    remove(file.document, keys);
  } else {
    const { value: parsed } = parseSetting(key, value, { scope, origin: path });
    const before = parseEntries(base, path).find((entry) => entry.keys.join('.') === key)?.value;
    if (String(before) === value) return text;
    set(file, keys, written(value, parsed));
  }
  return formatYamlFile(file.document, text);
}

function openSettings(text: string, path: string): YamlFile {
  if (text.length > MAX_SETTINGS_BYTES) {
    throw new MlvError({
      code: 'config-invalid',
      kind: 'corrupt',
      message: `${path}: larger than 256 KiB, which no settings file is`,
    });
  }
  return parseYamlFile(text, { path, kind: 'config', hint: 'Correct it in an editor.' });
}

function valueOf(pair: Pair, file: YamlFile): string | string[] | undefined {
  const { value } = pair;
  if (value === null) return undefined;
  if (isScalar(value)) return value.value === null ? undefined : scalarText(value);
  if (!isSeq(value)) throw file.invalid('not a value that a setting can have', value);
  return value.items.map((item) => {
    if (!isScalar(item)) throw file.invalid('not a value that a list of words can have', item);
    return scalarText(item);
  });
}

/** Numbers and words are written as they were given: `16KiB` stays. */
function written(text: string, parsed: SettingValue): SettingValue {
  return typeof parsed === 'number' && Number(text) !== parsed ? text : parsed;
}

function set(file: YamlFile, keys: readonly string[], value: SettingValue): void {
  const { document } = file;
  let map: YAMLMap = file.map;
  for (const [index, key] of keys.slice(0, -1).entries()) {
    let child: unknown = map.get(key, true);
    if (isScalar(child) && child.value === null) child = undefined;
    if (child === undefined || child === null) {
      child = document.createNode({});
      map.set(key, child);
    }
    if (!isMap(child)) throw file.invalid(`${keys.slice(0, index + 1).join('.')} is not a map`, child);
    map = child;
  }
  const node: Node = document.createNode(value, { flow: true });
  const last = keys.at(-1) ?? '';
  map.set(last, isScalar(node) ? node.value : node);
}

/** Removes an entry, and maps that become empty by it. */
function remove(document: Document, keys: readonly string[]): void {
  document.deleteIn(keys);
  const parents = keys.slice(0, -1);
  if (parents.length === 0) return;
  const parent = document.getIn(parents);
  if (isMap(parent) && parent.items.length === 0) remove(document, parents);
}
