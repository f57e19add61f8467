import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { SettingEntry, Settings } from '../domain/settings.ts';
import { parseSetting, resolveSettings, settingsFromEnvironment } from '../domain/settings.ts';
import { makeFolderDurably, writeFileDurably } from '../platform/durable-write.ts';
import type { Lock } from '../platform/lock.ts';
import { withLock } from '../platform/lock.ts';
import type { Environment, FileScope, OpenOptions, ProjectFolders } from './open.ts';
import {
  findProject,
  nameOf,
  openRepository,
  PROJECT_FILE,
  readSettings,
  readSettingsFile,
  readSettingsText,
  userSettingsFile,
} from './open.ts';

/** Changes to make to one settings file: a value that is undefined removes the setting. */
export type SettingChanges = readonly (readonly [key: string, value: string | undefined])[];

export interface ChangeResult {
  /** The file, relative to the project when inside. */
  readonly file: string;
  /** False when it said so already. */
  readonly changed: boolean;
  /** What was staged in Git, relative to the project. */
  readonly staged: readonly string[];
}

/** What holds at `cwd`; outside any project, what holds everywhere. */
export async function effectiveSettings({ cwd, environment }: OpenOptions): Promise<Settings> {
  const folders = projectAround(cwd, environment);
  if (folders !== undefined) return readSettings(folders, environment);
  const user = await readSettingsFile(userSettingsFile(environment), 'user');
  return resolveSettings([settingsFromEnvironment(environment), user]);
}

/** One setting that is set or has a default. Throws `config-unset`, and `config-unknown` for a key that no setting has. */
export async function getSetting(options: OpenOptions & { readonly key: string }): Promise<SettingEntry> {
  const { key } = options;
  const { entries } = await effectiveSettings(options);
  const found = entries.find((entry) => entry.key === key);
  if (found !== undefined) return found;
  requireKnown(key);
  throw new MlvError({
    code: 'config-unset',
    kind: 'missing',
    message: `${key} is not set`,
    hint: `mlv config ${key} VALUE sets it`,
  });
}

/**
 * Changes one settings file, keeping its comments and order, and stages it where everyone shares it. Throws `not-a-project`,
 * `config-unset` when what shall go is not there, and what `parseSetting` throws.
 */
export async function changeSettings(
  options: OpenOptions & { readonly scope: FileScope; readonly changes: SettingChanges },
): Promise<ChangeResult> {
  const { cwd, environment, locks, scope, changes } = options;
  const { editSettings } = await import('../domain/settings-document.ts');
  const folders = scope === 'user' ? projectAround(cwd, environment) : findProject(cwd, environment);
  const path = folders?.settingsFiles[scope] ?? userSettingsFile(environment);
  const file = folders === undefined ? path : nameOf(path, folders.root);

  function change(lock?: Lock): boolean {
    const before = readSettingsText(path) ?? '';
    let text = before;
    for (const [key, value] of changes) {
      const edited = editSettings(text, key, value, { scope, path: file });
      if (value === undefined && edited === text) {
        requireKnown(key);
        throw notSetHere(key, file);
      }
      text = edited;
    }
    if (text === before) return false;
    makeFolderDurably(dirname(path));
    writeFileDurably(throughLink(path), text, { beforeRename: () => lock?.assertHeld() });
    return true;
  }

  if (folders === undefined || scope === 'user') return { file, changed: change(), staged: [] };
  const changed = await withLock(
    join(folders.sharedFolder, 'locks'),
    'settings',
    { ...locks, command: 'mlv config' },
    change,
  );
  return { file, changed, staged: changed && scope === 'tracked' ? await stage(folders, environment) : [] };
}

/** People keep their own settings elsewhere and link to them. */
function throughLink(path: string): string {
  return readSettingsText(path) === undefined ? path : realpathSync.native(path);
}

async function stage(folders: ProjectFolders, environment: Environment): Promise<string[]> {
  const { values } = await readSettings(folders, environment);
  if (folders.layout === undefined || !values['core.autostage']) return [];
  const git = await openRepository(folders.layout, environment);
  try {
    await git?.stage([folders.prefix === '' ? PROJECT_FILE : `${folders.prefix}/${PROJECT_FILE}`]);
  } finally {
    await git?.close();
  }
  return [PROJECT_FILE];
}

function projectAround(cwd: string, environment: Environment): ProjectFolders | undefined {
  try {
    return findProject(cwd, environment);
  } catch (error) {
    if (error instanceof MlvError && error.code === 'not-a-project') return undefined;
    throw error;
  }
}

/** No setting takes an empty value, so whatever else is said of it, the key itself is known. */
function requireKnown(key: string): void {
  try {
    parseSetting(key, '', { scope: 'flag', origin: '' });
  } catch (error) {
    if (!(error instanceof MlvError) || ['config-unknown', 'config-not-here'].includes(error.code)) throw error;
  }
}

function notSetHere(key: string, file: string): MlvError {
  return new MlvError({
    code: 'config-unset',
    kind: 'missing',
    message: `${file} does not set ${key}`,
    hint: 'mlv config --show-origin tells where each setting comes from',
  });
}
