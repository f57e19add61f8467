import { lstatSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Scope } from '../domain/setting-table.ts';
import type { Settings, SettingsLayer } from '../domain/settings.ts';
import { resolveSettings, settingsFromEnvironment } from '../domain/settings.ts';
import { MAX_SETTINGS_BYTES, parsePlainSettings } from '../domain/settings-file.ts';
import type { PurgeRecord } from '../domain/purge-record.ts';
import type { GitRepository } from '../git/git.ts';
import type { GitLayout } from '../git/layout.ts';
import { discoverLayout, isSparse, keepsFileModes } from '../git/layout.ts';
import { readTextFile } from '../platform/durable-write.ts';
import { tryLinkTypes } from '../platform/link-types.ts';
import type { LockWaiting } from '../platform/lock.ts';
import { shareCache } from '../storage/cache-layout.ts';
import type { LocalCache } from '../storage/local-cache.ts';
import { openLocalCache } from '../storage/local-cache.ts';
import { isOutside, noteClone } from './cache-clones.ts';
import { readPurgeRecord } from './purge-record.ts';

/** Environment variables, as the command line passes them down. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The scopes that are files. */
export type FileScope = Extract<Scope, 'user' | 'tracked' | 'clone'>;

/** Where settings files are, existing or not; absolute. */
export type SettingsFiles = Readonly<Record<FileScope, string>>;

/** Where the parts of a project are; every path absolute and real. */
export interface ProjectFolders {
  /** The folder that holds `.mlv/`. */
  readonly root: string;
  /** Undefined for a project without Git. */
  readonly layout: GitLayout | undefined;
  /** Path of the root below the work tree, POSIX; '' where they are the same, and without Git. */
  readonly prefix: string;
  /** What linked work trees share: `<common git dir>/mlv`, or `.mlv/local`. */
  readonly sharedFolder: string;
  /** This work tree's own: `<git dir>/mlv`, or `.mlv/local`. */
  readonly ownFolder: string;
  /** What the relative paths of remotes start from; undefined where a project that was read from a URL has no such place here. */
  readonly remoteBase: string | undefined;
  readonly settingsFiles: SettingsFiles;
}

/** An opened project. Nothing is written, and no process started, before something asks for it. */
export interface Workspace extends ProjectFolders {
  readonly settings: Settings;
  /** Folder of the cache, existing or not. */
  readonly cacheFolder: string;
  readonly environment: Environment;
  /** How to wait for locks. */
  readonly locks: LockWaiting;
  /** False where the disk keeps no executable bits, as Git noted when it made the repository (`core.fileMode`). */
  keepsModes(): boolean;
  /** The repository, opened at the first call; undefined for a project without Git. */
  git(): Promise<GitRepository | undefined>;
  /** What must not exist any more, read at the first call. Throws `purge-record-invalid`, `purge-record-version`. */
  purged(): PurgeRecord;
  /** Makes `purged` read again what was written since. */
  reloadPurged(): void;
  /** The cache, opened at the first call. It takes nothing that was purged. */
  cache(): LocalCache;
  /** Ends child processes and closes files. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Any existing folder of the project, absolute. */
  readonly cwd: string;
  readonly environment: Environment;
  readonly locks?: LockWaiting;
}

/** The file that makes a folder a project. */
export const PROJECT_FILE = '.mlv/config.yaml';
const LOCAL_FOLDER = '.mlv/local';

const KIBIBYTE = 1024;

/**
 * Opens the project that `cwd` lies in: the nearest folder upwards with `.mlv/config.yaml`, not above the Git work tree.
 * Throws `not-a-project`, `local-folder-distrusted`, and what the settings and Git's layout throw.
 */
export async function openWorkspace(options: OpenOptions): Promise<Workspace> {
  return openProject(findProject(options.cwd, options.environment), options);
}

export interface OpenProjectOptions extends Omit<OpenOptions, 'cwd'> {
  /** What stands for the tracked settings file: its text at a commit. */
  readonly trackedSettings?: SettingsText;
  /** Where the cache is, whatever the settings say. */
  readonly cacheFolder?: string;
}

/** A settings file's text, and what messages call it. */
interface SettingsText {
  readonly text: string;
  readonly name: string;
}

/** Opens the project in these folders. Throws what the settings do. */
export async function openProject(folders: ProjectFolders, options: OpenProjectOptions): Promise<Workspace> {
  const { environment, locks = {}, trackedSettings } = options;
  const settings = await readSettings(folders, environment, trackedSettings);
  const cacheFolder = options.cacheFolder ?? cacheFolderOf(folders, settings, environment);
  let cache: LocalCache | undefined;
  let threshold: number | undefined;
  let repository: Promise<GitRepository | undefined> | undefined;
  let modes: boolean | undefined;
  let record: PurgeRecord | undefined;
  const purged = (): PurgeRecord => (record ??= readPurgeRecord(folders));

  return {
    ...folders,
    settings,
    cacheFolder,
    environment,
    locks,
    keepsModes: () => (modes ??= folders.layout === undefined || keepsFileModes(folders.layout)),
    git() {
      repository ??= openRepository(folders.layout, environment);
      return repository;
    },
    purged,
    reloadPurged() {
      record = undefined;
    },
    cache() {
      if (cache === undefined && settings.values['cache.shared'] === 'group') shareCache(cacheFolder);
      if (cache === undefined && isOutside(cacheFolder, folders)) noteClone(cacheFolder, folders);
      cache ??= openLocalCache({
        folder: cacheFolder,
        packBelow: () => (threshold ??= packBelow(settings, cacheFolder, folders.root)),
        refused: purged,
      });
      return cache;
    },
    async close() {
      cache?.close();
      await (await repository)?.close();
    },
  };
}

/** Opens the repository; undefined without one. No process is started before the first question to it. */
export async function openRepository(
  layout: GitLayout | undefined,
  environment: Environment,
): Promise<GitRepository | undefined> {
  if (layout === undefined) return undefined;
  const { openGit } = await import('../git/open.ts');
  return openGit(layout, { env: environment, excludesFile: join(configHome(environment), 'git', 'ignore') });
}

/** Finds the project without reading its settings. Throws `not-a-project`, `local-folder-distrusted`. */
export function findProject(cwd: string, environment: Environment): ProjectFolders {
  const layout = findLayout(cwd, environment);
  const root = findRoot(realpathSync.native(cwd), layout);
  if (root === undefined) throw notAProject(cwd, layout);

  requireOwnFile(root);
  if (layout !== undefined) requireNoLocalFolder(root);
  return foldersOf(root, layout, environment);
}

/** The Git repository around `cwd`, as Git and its environment variables have it. */
export function findLayout(cwd: string, environment: Environment): GitLayout | undefined {
  // Git takes an empty variable for one that is not set.
  return discoverLayout(cwd, {
    gitDir: environment['GIT_DIR'] || undefined,
    workTree: environment['GIT_WORK_TREE'] || undefined,
  });
}

/** Where the parts of a project at `root` are, whether it exists or not. */
export function foldersOf(root: string, layout: GitLayout | undefined, environment: Environment): ProjectFolders {
  const local = join(root, LOCAL_FOLDER);
  const sharedFolder = layout === undefined ? local : join(layout.commonDir, 'mlv');
  return {
    root,
    layout,
    prefix: layout === undefined ? '' : relative(layout.workTree, root).split(sep).join('/'),
    sharedFolder,
    ownFolder: layout === undefined ? local : join(layout.gitDir, 'mlv'),
    remoteBase: root,
    settingsFiles: {
      user: userSettingsFile(environment),
      tracked: join(root, PROJECT_FILE),
      clone: join(sharedFolder, 'config.yaml'),
    },
  };
}

/** The user's own settings, for all projects (XDG base directories). */
export function userSettingsFile(environment: Environment): string {
  return join(configHome(environment), 'mlv', 'config.yaml');
}

/** Folder of the cache, existing or not. */
export function cacheFolderOf(folders: ProjectFolders, settings: Settings, environment: Environment): string {
  const configured = settings.values['cache.dir'];
  if (configured === undefined) return join(folders.sharedFolder, 'cache');
  const isAtHome = configured === '~' || configured.startsWith('~/');
  return isAtHome ? join(homeOf(environment), configured.slice(1)) : resolve(folders.root, configured);
}

/** What the settings files, or what stands for the tracked one, and the environment say, laid over each other. */
export async function readSettings(
  folders: ProjectFolders,
  environment: Environment,
  tracked?: SettingsText,
): Promise<Settings> {
  const layers: SettingsLayer[] = [settingsFromEnvironment(environment)];
  for (const scope of ['user', 'tracked', 'clone'] as const) {
    layers.push(
      scope === 'tracked' && tracked !== undefined
        ? await parseSettingsText(tracked, scope)
        : await readSettingsFile(folders.settingsFiles[scope], scope, folders.root),
    );
  }
  return resolveSettings(layers);
}

/** What one settings file says; nothing where there is none. */
export async function readSettingsFile(path: string, scope: FileScope, root?: string): Promise<SettingsLayer> {
  const text = readSettingsText(path);
  return text === undefined
    ? []
    : parseSettingsText({ text, name: root === undefined ? path : nameOf(path, root) }, scope);
}

async function parseSettingsText({ text, name }: SettingsText, scope: FileScope): Promise<SettingsLayer> {
  // `yaml` is slow to load, and most files are as simple as mlv writes them.
  return (
    parsePlainSettings(text, scope, name) ??
    (await import('../domain/settings-document.ts')).parseSettings(text, scope, name)
  );
}

/** The text of a settings file; undefined where there is none. Throws as `readTextFile` does. */
export function readSettingsText(path: string): string | undefined {
  return readTextFile(path, MAX_SETTINGS_BYTES);
}

/** A path as messages name it: relative to the project when inside. */
export function nameOf(path: string, root: string): string {
  const name = relative(root, path);
  return name.startsWith('..') ? path : name;
}

/** The user's own folder. */
export function homeOf(environment: Environment): string {
  return environment['HOME'] || homedir();
}

function configHome(environment: Environment): string {
  return environment['XDG_CONFIG_HOME'] || join(homeOf(environment), '.config');
}

function findRoot(cwd: string, layout: GitLayout | undefined): string | undefined {
  for (let folder = cwd; ; folder = dirname(folder)) {
    if (statSync(join(folder, PROJECT_FILE), { throwIfNoEntry: false })?.isFile()) return folder;
    if (folder === layout?.workTree || folder === dirname(folder)) return undefined;
  }
}

function notAProject(cwd: string, layout: GitLayout | undefined): MlvError {
  return new MlvError({
    code: 'not-a-project',
    kind: 'missing',
    message: `${cwd} is not in an mlv project: ${layout === undefined ? 'no folder above it' : `no folder up to ${layout.workTree}`} has ${PROJECT_FILE}`,
    hint:
      layout === undefined
        ? 'git init, then mlv init (or mlv init --no-git to do without Git)'
        : isSparse(layout)
          ? 'This checkout is sparse. If the project has settings in Git: git sparse-checkout add .mlv. Otherwise: mlv init'
          : 'mlv init',
  });
}

/** A link would let a repository read, and `mlv config` write, settings that are somebody else's. */
function requireOwnFile(root: string): void {
  for (const name of ['.mlv', PROJECT_FILE]) {
    if (!lstatSync(join(root, name)).isSymbolicLink()) continue;
    throw new MlvError({
      code: 'project-linked',
      kind: 'refused',
      message: `${join(root, name)} is a symlink, and so the project's settings are not its own`,
      hint: 'Replace it by what it leads to, if you know what that is.',
    });
  }
}

/** What Git brought may not pose as this machine's cache, settings and records. */
export function requireNoLocalFolder(root: string): void {
  const local = join(root, LOCAL_FOLDER);
  if (statSync(local, { throwIfNoEntry: false }) === undefined) return;
  throw new MlvError({
    code: 'local-folder-distrusted',
    kind: 'refused',
    message: `${local} belongs to a project without Git, but this is a Git work tree: it is not used`,
    hint: 'If it came with the repository, delete it. If it is yours from before git init, move it: mv .mlv/local "$(git rev-parse --git-common-dir)/mlv"',
  });
}

/** Bytes. Many small files gain from packs where making each from its own blob would not be almost free. */
function packBelow(settings: Settings, cacheFolder: string, root: string): number {
  const configured = settings.values['cache.packBelow'];
  if (configured !== 'auto') return configured;
  const links = settings.values['cache.links'];
  const isLinked = links[0] === 'symlink' || (links.includes('reflink') && canReflink(cacheFolder, root));
  return isLinked ? 16 * KIBIBYTE : KIBIBYTE * KIBIBYTE;
}

/** True where what is in the cache can share its bytes on the disk with what is in the project. */
export function canReflink(cacheFolder: string, root: string): boolean {
  return isOnOneDisk(cacheFolder, root) && tryLinkTypes(join(cacheFolder, 'tmp')).reflink;
}

/** True when a folder, or where it is going to be made, is on the same disk as another one that exists. */
export function isOnOneDisk(folder: string, other: string): boolean {
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return isOnOneDisk(dirname(folder), other);
  return stats.dev === statSync(other).dev;
}
