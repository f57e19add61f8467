import type { FileEntry, SettingsLayer } from './settings.ts';
import { settingsFromFile } from './settings.ts';
import type { Scope } from './setting-table.ts';

/** A larger settings file is refused unread. */
export const MAX_SETTINGS_BYTES = 256 * 1024;

const BLANK = /^ *(?:#[ -~]*)?$/;
/** YAML has no keys of more than 1,024 characters; the full parser says so. */
const LINE = /^( *)([A-Za-z0-9][\w-]{0,1000}):(?: +([^ #].*?))?(?: +#[ -~]*)? *$/;
/** Read alike by every YAML parser, and not empty: words for nothing are left to the full parser. */
const PLAIN_VALUE = /^(?!(?:~|null)$)[A-Za-z0-9./~](?:[\w./:@%+=~-]*[\w./@%+=~-])?$/i;
const PLAIN_LIST = /^\[([A-Za-z](?:[\w./:=-]*\w)?(?:, *[A-Za-z](?:[\w./:=-]*\w)?)*)\]$/;
const INDENT = 2;

/**
 * Reads settings from the simple YAML that mlv itself writes: maps indented by two, plain words, comments. Undefined for
 * any other text, which `settings-document.ts` reads, imported only then because `yaml` is slow to load.
 * Throws what `settingsFromFile` throws.
 */
export function parsePlainSettings(text: string, scope: Scope, path: string): SettingsLayer | undefined {
  const entries = parsePlainEntries(text);
  return entries && settingsFromFile(entries, scope, path);
}

/** The file's settings, not yet interpreted, or undefined where it is not of the simple form. */
export function parsePlainEntries(text: string): FileEntry[] | undefined {
  if (text.length > MAX_SETTINGS_BYTES) return undefined;
  const entries: FileEntry[] = [];
  const seen = new Set<string>();
  let parents: readonly string[] = [];
  /** The last key opened a map, whose first entry is still to come. */
  let opened: FileEntry | undefined;

  for (const [index, lineText] of text.split('\n').entries()) {
    if (BLANK.test(lineText)) continue;
    const match = LINE.exec(lineText);
    if (match === null) return undefined;
    const [, indent = '', key = '', value] = match;
    const depth = indent.length / INDENT;
    if (!Number.isInteger(depth) || depth > parents.length) return undefined;
    if (opened !== undefined && depth < parents.length) entries.push(opened);
    const keys = [...parents.slice(0, depth), key];
    const name = keys.join('.');
    if (seen.has(name)) return undefined;
    seen.add(name);
    const place = { keys, line: index + 1, column: indent.length + 1 };
    if (value === undefined) {
      opened = { ...place, value: undefined };
      parents = keys;
      continue;
    }
    const parsed = parseValue(value);
    if (parsed === undefined) return undefined;
    entries.push({ ...place, value: parsed });
    opened = undefined;
    parents = keys.slice(0, -1);
  }
  if (opened !== undefined) entries.push(opened);
  return entries;
}

function parseValue(value: string): string | string[] | undefined {
  if (PLAIN_VALUE.test(value)) return value;
  return PLAIN_LIST.exec(value)?.[1]?.split(/, */);
}
