import { MlvError } from './errors.ts';
import { otherVersion } from './format-version.ts';
import type { KubernetesProfile } from './kubernetes-profile.ts';
import { GPU_TYPE_SETTINGS, KUBERNETES_SETTINGS, kubernetesProfile } from './kubernetes-profile.ts';
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
  /** Profiles of clusters, by name. */
  readonly kubernetes: ReadonlyMap<string, KubernetesProfile>;
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
  const profiles = new Map<string, Map<string, SettingValue>>();
  for (const { key, value } of winners.values()) {
    const [group, name = '', ...field] = key.split('.');
    if (group === 'remotes') remotes.set(name, { ...remotes.get(name), [field.join('.')]: value });
    if (group === 'kubernetes') {
      const fields = profiles.get(name) ?? new Map<string, SettingValue>();
      profiles.set(name, fields.set(field.join('.'), value));
    }
  }
  // Each value was parsed by the table's own entry for its key.
  const values = Object.fromEntries(Object.keys(SETTINGS).map((key) => [key, winners.get(key)?.value]));
  return {
    values: values as unknown as SettingValues,
    remotes: new Map([...remotes].filter(([, remote]) => remote['url'] !== undefined)) as unknown as Map<
      string,
      RemoteSettings
    >,
    kubernetes: new Map([...profiles].map(([name, fields]) => [name, kubernetesProfile(name, fields)])),
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

/** Settings of which there is a set for each name, the first level being `group`. */
interface NamedSettings {
  readonly group: string;
  readonly what: string;
  readonly table: Readonly<Record<string, Setting<SettingValue>>>;
}

const NAMED: readonly NamedSettings[] = [
  { group: 'remotes', what: "a remote's name", table: REMOTE_SETTINGS },
  { group: 'kubernetes', what: 'the name of a profile', table: KUBERNETES_SETTINGS },
];
const GPU_TYPES: NamedSettings = { group: 'gpuTypes', what: 'the name of a type of GPU', table: GPU_TYPE_SETTINGS };

/** The settings among which a key is to be found, and how many of its levels lead there. */
function settingsAround(keys: readonly string[]): (NamedSettings & { readonly depth: number }) | undefined {
  if (keys[0] === 'kubernetes' && keys[2] === GPU_TYPES.group && keys.length > 3) return { ...GPU_TYPES, depth: 4 };
  const named = keys.length > 1 ? NAMED.find(({ group }) => group === keys[0]) : undefined;
  return named && { ...named, depth: 2 };
}

function findSetting(keys: readonly string[], place: Place): Setting<SettingValue> {
  const { table, depth } = settingsAround(keys) ?? { table: SETTINGS, depth: 0 };
  if (keys.length > depth) requireNames(keys.slice(0, depth), place);
  const field = keys.slice(depth).join('.');
  const setting = Object.hasOwn(table, field) ? table[field as keyof typeof table] : undefined;
  if (setting === undefined) throw unknown(keys, place);
  return setting;
}

/** Of `kubernetes.NAME.gpuTypes.TYPE` every second one. */
function requireNames(keys: readonly string[], place: Place): void {
  for (const [index, name] of keys.entries()) {
    if (index % 2 === 0 || isRemoteName(name)) continue;
    const what = settingsAround(keys.slice(0, index + 1))?.what ?? 'a name';
    throw refuse('config-value', `${JSON.stringify(name)} is not ${what}`, place, `A name is ${REMOTE_NAME_RULE}.`);
  }
}

function unknown(keys: readonly string[], place: Place): MlvError {
  const key = keys.join('.');
  const around = settingsAround(keys);
  const prefix = around === undefined ? '' : `${keys.slice(0, around.depth).join('.')}.`;
  const known = Object.keys(around?.table ?? SETTINGS);
  if (around?.group === 'kubernetes') known.push('gpuTypes.TYPE.FIELD');
  const near = nearestName(key.slice(prefix.length), known);
  // Names of secrets are settings of clusters, and may be misspelt as others.
  if (near === undefined && /secret|password|token|credential|access_?key/i.test(keys.at(-1) ?? '')) {
    const hint =
      "The S3 SDK finds them in the environment, ~/.aws or the machine's role; mlv config --local remotes.NAME.profile PROFILE chooses a profile.";
    return refuse('config-not-here', `mlv never stores credentials: ${key}`, place, hint);
  }
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
  if (keys.length <= 2 && NAMED.some(({ group }) => group === keys[0])) return;
  if (keys.length <= 4 && keys[0] === 'kubernetes' && keys[2] === GPU_TYPES.group) return;
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
