import { lstatSync, realpathSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { SETTINGS_VERSION } from '../domain/settings.ts';
import type { GitRepository } from '../git/git.ts';
import type { GitLayout } from '../git/layout.ts';
import { makeFolderDurably, writeFileDurably } from '../platform/durable-write.ts';
import { prepareCache } from '../storage/cache-layout.ts';
import type { Environment, ProjectFolders } from './open.ts';
import {
  cacheFolderOf,
  findLayout,
  findProject,
  foldersOf,
  openRepository,
  PROJECT_FILE,
  readSettings,
  requireNoLocalFolder,
} from './open.ts';

export interface InitOptions {
  /** An existing folder, absolute. */
  readonly cwd: string;
  readonly environment: Environment;
  /** Keep everything in `.mlv/`, for a folder that is in no Git repository. */
  readonly noGit?: boolean;
  /** Make a folder inside a Git work tree, or inside another project, a project of its own. */
  readonly subdir?: boolean;
  /** Complete what is missing of a project that exists; nothing of it is changed. */
  readonly force?: boolean;
}

export interface InitResult {
  readonly root: string;
  /** Folder of the cache and of this clone's settings. */
  readonly store: string;
  readonly hasGit: boolean;
  /** False when the project was there already. */
  readonly isNew: boolean;
  /** What was staged in Git, relative to the project. */
  readonly staged: readonly string[];
}

const FIRST_SETTINGS = `# Settings for everyone who clones this repository: see "mlv config --help"
version: ${SETTINGS_VERSION}
`;

/**
 * Makes a folder a project. Throws `not-a-git-repository`, `init-in-subfolder`, `init-inside-git`, `already-a-project`,
 * `init-inside-project`, `project-ignored`, `project-not-checked-out`, `project-folder-invalid`, `local-folder-distrusted`.
 */
export async function init(options: InitOptions): Promise<InitResult> {
  const { cwd, environment } = options;
  const layout = findLayout(cwd, environment);
  const folders = foldersOf(chooseRoot(options, layout), layout, environment);
  const git = await openRepository(layout, environment);
  try {
    return await initIn(folders, git, options);
  } finally {
    await git?.close();
  }
}

async function initIn(
  folders: ProjectFolders,
  git: GitRepository | undefined,
  options: InitOptions,
): Promise<InitResult> {
  const { environment, force = false } = options;
  const file = folders.settingsFiles.tracked;
  const inGit = folders.prefix === '' ? PROJECT_FILE : `${folders.prefix}/${PROJECT_FILE}`;
  if (git !== undefined) requireNoLocalFolder(folders.root);
  requireRealFolder(dirname(file));
  const isNew = lstatSync(file, { throwIfNoEntry: false }) === undefined;
  if (!isNew && !force) throw alreadyAProject(folders.root);
  if (git !== undefined && (await git.ignored([inGit])).length > 0) throw ignoredByGit(file);
  if (git !== undefined && isNew && !force && (await git.tracked([inGit])).length > 0) throw notCheckedOut(file);

  const settings = await readSettings(folders, environment);
  prepareCache(cacheFolderOf(folders, settings, environment));
  for (const name of ['checkout', 'state']) makeFolderDurably(join(folders.ownFolder, name));
  makeFolderDurably(dirname(file));
  // Last: this file is what makes the folder a project.
  if (isNew) writeFileDurably(file, FIRST_SETTINGS);
  const stages = git !== undefined && settings.values['core.autostage'];
  if (stages) await git.stage([inGit]);
  return {
    root: folders.root,
    store: folders.sharedFolder,
    hasGit: git !== undefined,
    isNew,
    staged: stages ? [PROJECT_FILE] : [],
  };
}

function chooseRoot(options: InitOptions, layout: GitLayout | undefined): string {
  const { environment, noGit = false, subdir = false } = options;
  const cwd = realpathSync.native(options.cwd);
  if (noGit) {
    if (layout !== undefined) throw insideGit(cwd, layout);
    if (!subdir) requireOutsideProject(cwd, environment);
    return cwd;
  }
  if (layout === undefined) throw notARepository(cwd);
  if (cwd !== layout.workTree && !subdir) throw inSubfolder(cwd, layout);
  return cwd;
}

/** Written through a link, settings would land where nobody looks for them. */
function requireRealFolder(folder: string): void {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined || stats.isDirectory()) return;
  throw new MlvError({
    code: 'project-folder-invalid',
    kind: 'refused',
    message: `${folder} is ${stats.isSymbolicLink() ? 'a symbolic link' : 'not a folder'}`,
    hint: 'mlv keeps its settings there: move what is in the way',
  });
}

function requireOutsideProject(cwd: string, environment: Environment): void {
  const outer = enclosingProject(dirname(cwd), environment);
  if (outer === undefined) return;
  throw new MlvError({
    code: 'init-inside-project',
    kind: 'refused',
    message: `${cwd} is inside the project ${outer}`,
    hint: 'Use that one, or make this folder a project of its own: mlv init --no-git --subdir',
  });
}

function enclosingProject(folder: string, environment: Environment): string | undefined {
  try {
    return findProject(folder, environment).root;
  } catch (error) {
    if (error instanceof MlvError && error.code === 'not-a-project') return undefined;
    throw error;
  }
}

/** New settings would take the place of those that everybody has. */
function notCheckedOut(file: string): MlvError {
  return new MlvError({
    code: 'project-not-checked-out',
    kind: 'refused',
    message: `This is an mlv project already: Git has ${file}, it is just not here`,
    hint: `Get it: git restore ${PROJECT_FILE}, or git sparse-checkout add .mlv. To begin with new settings: mlv init --force`,
  });
}

function notARepository(cwd: string): MlvError {
  return new MlvError({
    code: 'not-a-git-repository',
    kind: 'missing',
    message: `${cwd} is not in a Git repository`,
    hint: 'git init, then mlv init; or mlv init --no-git, to do without versions of the pointers',
  });
}

function insideGit(cwd: string, layout: GitLayout): MlvError {
  return new MlvError({
    code: 'init-inside-git',
    kind: 'refused',
    message: `${cwd} is in the Git work tree ${layout.workTree}, where --no-git is not possible`,
    hint: cwd === layout.workTree ? 'mlv init' : 'mlv init --subdir',
  });
}

function inSubfolder(cwd: string, layout: GitLayout): MlvError {
  return new MlvError({
    code: 'init-in-subfolder',
    kind: 'refused',
    message: `${cwd} is not the top of its Git repository, which is ${layout.workTree}`,
    hint: `mlv -C ${relative(cwd, layout.workTree)} init for the whole repository, mlv init --subdir for this folder alone`,
  });
}

function alreadyAProject(root: string): MlvError {
  return new MlvError({
    code: 'already-a-project',
    kind: 'refused',
    message: `${root} is an mlv project already`,
    hint: 'mlv status shows it; mlv init --force restores what is missing of it, and changes nothing else',
  });
}

function ignoredByGit(file: string): MlvError {
  return new MlvError({
    code: 'project-ignored',
    kind: 'refused',
    message: `Git ignores ${file}, which must be committed`,
    hint: `git check-ignore -v ${PROJECT_FILE} tells which line of which .gitignore to remove`,
  });
}
