import { isAbsolute, join, posix, relative, resolve, sep } from 'node:path';
import { realpathSync, statSync } from 'node:fs';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath, relativeRepoPath } from '../domain/repo-path.ts';
import { parseRepository } from '../domain/repository-url.ts';
import { MAX_SETTINGS_BYTES } from '../domain/settings-file.ts';
import type { CommitId, GitRepository } from '../git/git.ts';
import { keptClone, limitProtocols } from '../git/kept-clone.ts';
import type { GitLayout } from '../git/layout.ts';
import { discoverLayout } from '../git/layout.ts';
import { hashEngine } from '../platform/hash.ts';
import type { LockWaiting } from '../platform/lock.ts';
import type { Environment } from './open.ts';
import { foldersOf, homeOf, openProject, openRepository, openWorkspace, PROJECT_FILE } from './open.ts';
import type { Place } from './place.ts';
import { placeIn } from './place.ts';
import { learnPurges } from './purge-record.ts';
import { pointedAt } from './tracked.ts';

export interface OtherOptions {
  /** A URL, or a folder, as it was typed. */
  readonly repo: string;
  /** Relative to the top of the repository, or to the folder. */
  readonly path?: string | undefined;
  /** Its HEAD, unless told. */
  readonly rev?: string | undefined;
  /** Absolute. */
  readonly cwd: string;
  readonly environment: Environment;
  readonly locks: LockWaiting;
}

/** A repository that is on this machine, with the commit that is meant. */
interface Opened {
  readonly layout: GitLayout;
  readonly commit: CommitId;
  /** Where its relative remotes start from, if anywhere. */
  readonly base: string | undefined;
  /** Where the path starts, below its top. */
  readonly below: string;
  readonly environment: Environment;
  /** True for a clone that mlv keeps. */
  readonly isKept: boolean;
}

/**
 * Opens a path of a project in another repository as a commit has it, HEAD unless told otherwise. A folder with a work tree is read as
 * it is, with its own cache; of a URL, or a bare repository, a clone without files is kept in the user's cache folder, and the data
 * with it. The project's settings are the commit's. The caller closes the workspace. Throws `not-a-project`, `repo-…`,
 * `revision-…`, and what settings do.
 */
export async function openOther(options: OtherOptions): Promise<Place> {
  const { repo, rev, path = '.', cwd, environment } = options;
  const place = parseRepository(repo);
  if (place.kind === 'url') return openAt(await openKept(options, place.url, undefined), options);
  const folder = realFolder(resolve(cwd, place.path), repo);
  const layout = layoutAround(folder);
  if (layout === 'bare') return openAt(await openKept(options, folder, folder), options);
  if (layout === undefined) {
    const workspace = await openWorkspace({ cwd: folder, environment: withoutGit(environment), locks: options.locks });
    return { ...(await placeIn(workspace, { cwd: folder, path, rev })), repo };
  }
  const below = relative(layout.workTree, folder).split(sep).join('/');
  const git = await openRepository(layout, environment);
  try {
    const commit = rev === undefined ? await git?.head() : await git?.resolve(rev);
    if (commit === undefined) throw noCommit(repo);
    const base = layout.workTree;
    return await openAt({ layout, commit, base, below, environment, isKept: false }, options);
  } finally {
    await git?.close();
  }
}

async function openKept(
  { rev = 'HEAD', environment, locks }: OtherOptions,
  url: string,
  base: string | undefined,
): Promise<Opened> {
  const name = hashEngine().hash(Buffer.from(url, 'utf8')).toString('hex', 0, 16);
  const folder = join(realCacheHome(environment), 'mlv', 'repos', name);
  const { layout, commit } = await keptClone({ url, revision: rev, folder, env: environment, locks });
  return { layout, commit, base, below: '', environment: limitProtocols(environment), isKept: true };
}

async function openAt(opened: Opened, options: OtherOptions): Promise<Place> {
  const { layout, commit, base, below, environment, isKept } = opened;
  const path = pathIn(below, options.path ?? '.');
  const git = await openRepository(layout, environment);
  if (git === undefined) throw new Error('a repository was opened');
  try {
    const { prefix, text, name } = await findSettings(git, opened, { path, repo: options.repo });
    const root = join(layout.workTree, prefix);
    const isThere = statSync(root, { throwIfNoEntry: false })?.isDirectory() === true;
    const folders = foldersOf(isThere ? root : layout.workTree, layout, environment);
    const workspace = await openProject(
      { ...folders, prefix, remoteBase: base === undefined ? undefined : join(base, prefix) },
      {
        environment,
        locks: options.locks,
        trackedSettings: { text, name },
        ...(isKept && { cacheFolder: join(folders.sharedFolder, 'cache') }),
      },
    );
    if (isKept) await learnPurges(workspace);
    const inside = relativeRepoPath(path, prefix) ?? path;
    return { workspace, commit, path: pointedAt(inside), rev: options.rev, repo: options.repo };
  } finally {
    await git.close();
  }
}

/** The settings of the project that a path is in, at a commit: the nearest upwards. */
async function findSettings(
  git: GitRepository,
  { commit }: Opened,
  { path, repo }: { readonly path: RepoPath; readonly repo: string },
): Promise<{ readonly prefix: RepoPath; readonly text: string; readonly name: string }> {
  const segments = path === '' ? [] : path.split('/');
  for (let depth = segments.length; depth >= 0; depth--) {
    const prefix = parseRepoPath(segments.slice(0, depth).join('/'));
    const file = posix.join(prefix, PROJECT_FILE);
    const bytes = await git.readFile(commit, file);
    if (bytes === undefined) continue;
    const name = `${commit.slice(0, 10)}:${file}`;
    if (bytes.length > MAX_SETTINGS_BYTES) throw settingsTooLarge(name);
    return { prefix, text: bytes.toString('utf8'), name };
  }
  const others = await git.listFiles(commit, (file) => file.endsWith(`/${PROJECT_FILE}`));
  const projects = others.map(({ path: file }) => file.slice(0, -PROJECT_FILE.length - 1));
  throw new MlvError({
    code: 'not-a-project',
    kind: 'missing',
    message: `${repo} is no mlv project at ${commit.slice(0, 10)}: ${path === '' ? 'it' : `no folder around ${path}`} has no ${PROJECT_FILE}`,
    hint:
      projects.length === 0
        ? 'Only a repository in which "mlv init" was run, and committed, can be read.'
        : `Name a path in one of its projects: ${projects.slice(0, 5).join(', ')}.`,
  });
}

/** A path as it was typed, from the top of the repository. */
function pathIn(below: string, typed: string): RepoPath {
  const path = posix.normalize(posix.join(below === '' ? '.' : below, typed)).replace(/\/+$/, '');
  if (isAbsolute(typed) || path === '..' || path.startsWith('../')) {
    throw new MlvError({
      code: 'path-outside',
      kind: 'refused',
      message: `${typed} is no path in the other repository`,
      hint: 'With --repo, paths start at the top of that repository: data/labels.csv.',
    });
  }
  return parseRepoPath(path === '.' ? '' : path);
}

function layoutAround(folder: string): GitLayout | 'bare' | undefined {
  try {
    return discoverLayout(folder);
  } catch (error) {
    if (error instanceof MlvError && error.code === 'git-bare') return 'bare';
    throw error;
  }
}

function realFolder(folder: string, repo: string): string {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return realpathSync.native(folder);
  throw new MlvError({
    code: 'repo-missing',
    kind: 'missing',
    message: `there is no folder ${repo}`,
    hint: 'Check the spelling. A URL starts with https://, ssh:// or git@HOST:.',
  });
}

/** As the XDG base directories have it: relative paths do not count. */
function realCacheHome(environment: Environment): string {
  const given = environment['XDG_CACHE_HOME'];
  return given !== undefined && isAbsolute(given) ? given : join(homeOf(environment), '.cache');
}

/** Which repository this is about, the caller has said. */
function withoutGit(environment: Environment): Environment {
  return { ...environment, GIT_DIR: undefined, GIT_WORK_TREE: undefined };
}

function noCommit(repo: string): MlvError {
  return new MlvError({
    code: 'revision-unknown',
    kind: 'missing',
    message: `${repo} has no commit yet`,
    hint: 'Commit there first: what is in another repository is read from its commits.',
  });
}

function settingsTooLarge(name: string): MlvError {
  return new MlvError({
    code: 'file-too-large',
    kind: 'refused',
    message: `${name} is larger than ${MAX_SETTINGS_BYTES} bytes, which no file of its kind is`,
  });
}
