import { relative, resolve, sep } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { nearestName } from '../domain/nearest-name.ts';
import type { RemoteSettings } from '../domain/setting-table.ts';
import type { SettingEntry, Settings } from '../domain/settings.ts';
import { parseRemoteUrl } from '../domain/remote-url.ts';
import type { ChangeResult } from './config.ts';
import { changeSettings } from './config.ts';
import type { FileScope, OpenOptions } from './open.ts';
import { findProject, readSettings, readSettingsFile } from './open.ts';

export interface Remote extends RemoteSettings {
  readonly name: string;
  readonly isDefault: boolean;
  /** The file and line that gives its URL. */
  readonly origin: string;
}

interface RemoteOptions extends OpenOptions {
  readonly name: string;
  /** For this clone alone. */
  readonly local?: boolean;
}

/** All remotes, sorted by name. */
export async function listRemotes(options: OpenOptions): Promise<Remote[]> {
  const settings = await projectSettings(options);
  const names = [...settings.remotes.keys()].sort();
  return names.flatMap((name) => {
    const remote = settings.remotes.get(name);
    const origin = urlEntry(settings, name)?.origin ?? '';
    return remote === undefined ? [] : [{ name, ...remote, isDefault: settings.values.remote === name, origin }];
  });
}

/**
 * Names a remote; nothing is asked of it. A folder that is given relative to `cwd` is kept relative to the project. Throws
 * `remote-exists`, `remote-inside-project`, and what `parseSetting` throws.
 */
export async function addRemote(
  options: RemoteOptions & { readonly url: string; readonly isDefault?: boolean },
): Promise<ChangeResult & { readonly url: string }> {
  const { name, isDefault = false } = options;
  const existing = (await projectSettings(options)).remotes.get(name);
  if (existing !== undefined) throw remoteExists(name, existing.url);
  const url = urlFromProject(options, options.url);
  const changes = [[`remotes.${name}.url`, url] as const, ...(isDefault ? [['remote', name] as const] : [])];
  return { ...(await changeSettings({ ...options, scope: scopeOf(options), changes })), url };
}

/** Changes one setting of a remote, or removes it when `value` is undefined. Throws `remote-unknown`, and what `changeSettings` throws. */
export async function modifyRemote(
  options: RemoteOptions & { readonly key: string; readonly value: string | undefined },
): Promise<ChangeResult> {
  const { name, key, local } = options;
  const settings = await projectSettings(options);
  requireRemote(settings, name);
  const value = key === 'url' && options.value !== undefined ? urlFromProject(options, options.value) : options.value;
  // A remote's settings stand together.
  const home = urlEntry(settings, name)?.scope;
  const scope: FileScope = local || home === 'clone' ? 'clone' : home === 'user' ? 'user' : 'tracked';
  return changeSettings({ ...options, scope, changes: [[`remotes.${name}.${key}`, value]] });
}

/** Forgets a remote, in the files of the project that name it. What it holds stays there. Throws `remote-unknown`, `remote-elsewhere`. */
export async function removeRemote(options: RemoteOptions): Promise<ChangeResult[]> {
  const { name, local = false } = options;
  const folders = findProject(options.cwd, options.environment);
  requireRemote(await readSettings(folders, options.environment), name);
  const results: ChangeResult[] = [];
  for (const scope of local ? (['clone'] as const) : (['clone', 'tracked'] as const)) {
    const entries = await readSettingsFile(folders.settingsFiles[scope], scope);
    const changes: (readonly [string, undefined])[] = [];
    if (entries.some(({ key }) => key.startsWith(`remotes.${name}.`))) changes.push([`remotes.${name}`, undefined]);
    if (entries.some(({ key, value }) => key === 'remote' && value === name)) changes.push(['remote', undefined]);
    if (changes.length > 0) results.push(await changeSettings({ ...options, scope, changes }));
  }
  if (results.length === 0) throw remoteElsewhere(name, folders.settingsFiles.user, local);
  return results;
}

/** Makes a remote the default one. Throws `remote-unknown`. */
export async function setDefaultRemote(options: RemoteOptions): Promise<ChangeResult> {
  requireRemote(await projectSettings(options), options.name);
  return changeSettings({ ...options, scope: scopeOf(options), changes: [['remote', options.name]] });
}

/** The remote of this name. Throws `remote-unknown`. */
function requireRemote(settings: Settings, name: string): RemoteSettings {
  const remote = settings.remotes.get(name);
  if (remote !== undefined) return remote;
  const names = [...settings.remotes.keys()];
  const near = nearestName(name, names);
  const others =
    names.length === 0
      ? 'mlv remote add NAME URL makes one'
      : `There ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`;
  throw new MlvError({
    code: 'remote-unknown',
    kind: 'missing',
    message: `no remote is called ${JSON.stringify(name)}`,
    hint: near === undefined ? others : `Did you mean ${near}?`,
  });
}

function urlFromProject({ cwd, environment }: OpenOptions, text: string): string {
  const url = parseRemoteUrl(text);
  if (url.kind !== 'folder' || url.base !== 'repository') return text;
  const { root } = findProject(cwd, environment);
  const path = relative(root, resolve(cwd, url.path)).split(sep).join('/');
  if (path.startsWith('..')) return path;
  throw new MlvError({
    code: 'remote-inside-project',
    kind: 'refused',
    message: `${text} is inside the project ${root}, where Git would see the data and a clone would not have it`,
    hint: 'Choose a folder outside: ../store, /mnt/store, ~/store',
  });
}

async function projectSettings({ cwd, environment }: OpenOptions): Promise<Settings> {
  return readSettings(findProject(cwd, environment), environment);
}

function urlEntry(settings: Settings, name: string): SettingEntry | undefined {
  return settings.entries.find(({ key }) => key === `remotes.${name}.url`);
}

function scopeOf({ local = false }: RemoteOptions): FileScope {
  return local ? 'clone' : 'tracked';
}

function remoteExists(name: string, url: string): MlvError {
  return new MlvError({
    code: 'remote-exists',
    kind: 'refused',
    message: `there is a remote ${name} already: ${url}`,
    hint: `mlv remote modify ${name} url URL changes where it is`,
  });
}

function remoteElsewhere(name: string, userFile: string, local: boolean): MlvError {
  return new MlvError({
    code: 'remote-elsewhere',
    kind: 'missing',
    message: local
      ? `this clone's settings have no remote ${name}`
      : `the remote ${name} is not one of this project but of ${userFile}`,
    hint: local
      ? `mlv remote remove ${name} takes it from the settings for everyone`
      : `mlv config --user --unset remotes.${name}`,
  });
}
