import { MlvError } from './errors.ts';
import { otherVersion } from './format-version.ts';
import { nearestName } from './nearest-name.ts';
import { isRemoteName, REMOTE_NAME_RULE } from './remote-name.ts';
import type { RemoteSettings, Scope, Setting, SettingValue, SettingValues } from './setting-table.ts';
import { REMOTE_SETTINGS, SCOPES, SETTINGS } from './setting-table.ts';

/** Of the files; final. */
export const SETTINGS_VERSION = 1;

/** One setting as one place gives it. */
export interface SettingEntry {
  /** `cache.dir`, `remotes.origin.url`. */
  readonly key: string;
  readonly value: SettingValue;
  readonly scope: Scope;
  /** For people: a file and line, a variable, a flag. */
  readonly origin: string;
}

/** What one place says. */
export type SettingsLayer = readonly SettingEntry[];

/** What holds, after every place was heard. */
export interface Settings {
  readonly values: SettingValues;
  /** Those that have a URL, by name. */
  readonly remotes: ReadonlyMap<string, RemoteSettings>;
  /** Everything that is set or has a default, sorted by key, with the place it comes from. */
  readonly entries: readonly SettingEntry[];
}

/** A setting as a file has it. */
export interface FileEntry {
  /** `['cache', 'dir']` */
  readonly keys: readonly string[];
  /** A scalar as it was written, without quotes; the items of a list; undefined where nothing stands after the key. */
  readonly value: string | readonly string[] | undefined;
  readonly line: number;
  readonly column: number;
}

interface Place {
  readonly scope: Scope;
  readonly origin: string;
  /** `file:line:column: ` or nothing: what errors start with. */
  readonly prefix: string;
}

/**
 * Parses the value of one setting from text, lists separated by commas. Throws `config-unknown`, `config-value`,
 * `config-not-here` (with the place where it belongs), or what `parseRemoteUrl` throws.
 */
export function parseSetting(
  key: string,
  text: string,
  place: { readonly scope: Scope; readonly origin: string },
): SettingEntry {
  return interpret(key.split('.'), text, {
    ...place,
    prefix: place.scope === 'environment' ? `${place.origin}: ` : '',
  });
}

/** The settings among environment variables: `cache.packBelow` is `MLV_CACHE_PACK_BELOW`. Empty ones count as not set. */
export function settingsFromEnvironment(environment: Readonly<Record<string, string | undefined>>): SettingsLayer {
  const entries: SettingEntry[] = [];
  for (const key of Object.keys(SETTINGS)) {
    const origin = environmentName(key);
    const text = environment[origin];
    if (text !== undefined && text !== '') entries.push(parseSetting(key, text, { scope: 'environment', origin }));
  }
  return entries;
}

/** The variable that sets a setting. */
function environmentName(key: string): string {
  return `MLV_${key.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`;
}

/** Interprets what was read from a settings file; `path` is for errors and origins. Throws what `parseSetting` throws, with line and column. */
export function settingsFromFile(file: readonly FileEntry[], scope: Scope, path: string): SettingsLayer {
  const entries: SettingEntry[] = [];
  for (const { keys, value, line, column } of file) {
    const place: Place = { scope, origin: `${path}:${line}`, prefix: `${path}:${line}:${column}: ` };
    if (keys.length === 1 && keys[0] === 'version') requireNumber(value, place);
    else if (value === undefined) requireGroup(keys, place);
    else entries.push(interpret(keys, value, place));
  }
  return entries;
}

/** What holds when the layers are laid over each other, whatever order they come in. */
export function resolveSettings(layers: readonly SettingsLayer[]): Settings {
  const rank = (entry: SettingEntry): number => SCOPES.indexOf(entry.scope);
  const winners = new Map<string, SettingEntry>();
  for (const [key, setting] of Object.entries(SETTINGS)) {
    if (setting.default !== undefined)
      winners.set(key, { key, value: setting.default, scope: 'default', origin: 'default' });
  }
  for (const entry of layers.flat().toSorted((a, b) => rank(a) - rank(b))) winners.set(entry.key, entry);

  const remotes = new Map<string, Partial<Record<string, SettingValue>>>();
  for (const { key, value } of winners.values()) {
    const [group, name = '', field = ''] = key.split('.');
    if (group === 'remotes') remotes.set(name, { ...remotes.get(name), [field]: value });
  }
  // Each value was parsed by the table's own entry for its key.
  const values = Object.fromEntries(Object.keys(SETTINGS).map((key) => [key, winners.get(key)?.value]));
  return {
    values: values as unknown as SettingValues,
    remotes: new Map([...remotes].filter(([, remote]) => remote['url'] !== undefined)) as unknown as Map<
      string,
      RemoteSettings
    >,
    entries: [...winners.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1)),
  };
}

function interpret(keys: readonly string[], value: string | readonly string[], place: Place): SettingEntry {
  const key = keys.join('.');
  const setting = findSetting(keys, place);
  if (place.scope === 'tracked' && !setting.tracked) throw notHere(key, value, place);
  const text = typeof value === 'string' ? value : setting.list && value.join(',');
  const parsed = text === undefined ? undefined : located(place, () => setting.parse(text, place.scope));
  if (parsed === undefined) {
    const quoted = typeof value === 'string' ? JSON.stringify(value) : 'a list';
    throw refuse('config-value', `${key} must be ${setting.expected}, not ${quoted}`, place);
  }
  return { key, value: parsed, scope: place.scope, origin: place.origin };
}

function findSetting(keys: readonly string[], place: Place): Setting<SettingValue> {
  const [group = '', name = '', field = ''] = keys;
  if (group === 'remotes' && keys.length === 3) {
    if (!isRemoteName(name))
      throw refuse(
        'config-value',
        `${JSON.stringify(name)} is not a remote's name`,
        place,
        `A name is ${REMOTE_NAME_RULE}.`,
      );
    if (Object.hasOwn(REMOTE_SETTINGS, field)) return REMOTE_SETTINGS[field as keyof RemoteSettings];
  } else {
    const key = keys.join('.');
    if (Object.hasOwn(SETTINGS, key)) return SETTINGS[key as keyof SettingValues];
  }
  throw unknown(keys, place);
}

function unknown(keys: readonly string[], place: Place): MlvError {
  const key = keys.join('.');
  if (/secret|password|token|credential|access_?key/i.test(keys.at(-1) ?? '')) {
    const hint =
      "The S3 SDK finds them in the environment, ~/.aws or the machine's role; mlv config --local remotes.NAME.profile PROFILE chooses a profile.";
    return refuse('config-not-here', `mlv never stores credentials: ${key}`, place, hint);
  }
  const inRemote = keys[0] === 'remotes' && keys.length > 1;
  const prefix = inRemote ? `remotes.${keys[1]}.` : '';
  const known = Object.keys(inRemote ? REMOTE_SETTINGS : SETTINGS);
  const near = nearestName(key.slice(prefix.length), known);
  const hint =
    near === undefined
      ? `Settings are ${known.map((name) => prefix + name).join(', ')}.`
      : `Did you mean ${prefix}${near}?`;
  return refuse('config-unknown', `no setting is called ${JSON.stringify(key)}`, place, hint);
}

function notHere(key: string, value: string | readonly string[], place: Place): MlvError {
  const text = typeof value === 'string' ? value : value.join(',');
  const argument = /^[\w./:@,~+-]+$/.test(text) ? text : 'VALUE';
  const hint = `Set it for this clone: mlv config --local ${key} ${argument} (or with --user, for all your clones).`;
  return refuse('config-not-here', `${key} cannot be set for everyone who clones`, place, hint);
}

function requireNumber(value: FileEntry['value'], place: Place): void {
  if (typeof value !== 'string' || !/^(?:0|[1-9]\d{0,8})$/.test(value))
    throw refuse('config-value', 'version must be a number', place);
  if (Number(value) === SETTINGS_VERSION) return;
  throw otherVersion('config', place.origin, { version: Number(value), reads: SETTINGS_VERSION });
}

/** `remotes:` with all its lines commented out says nothing, and is no error. */
function requireGroup(keys: readonly string[], place: Place): void {
  const key = keys.join('.');
  if (key === 'remotes' || (keys.length === 2 && keys[0] === 'remotes')) return;
  if (Object.keys(SETTINGS).some((known) => known.startsWith(`${key}.`))) return;
  findSetting(keys, place);
  throw refuse('config-value', `${key} has no value`, place);
}

function located<T>(place: Place, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    const { code, kind, message, hint } = error;
    throw new MlvError({
      code,
      kind,
      message: place.prefix + message,
      ...(hint !== undefined && { hint }),
      cause: error,
    });
  }
}

function refuse(code: string, message: string, place: Place, hint?: string): MlvError {
  const kind = code === 'config-not-here' ? 'refused' : 'usage';
  return new MlvError({ code, kind, message: place.prefix + message, ...(hint !== undefined && { hint }) });
}
