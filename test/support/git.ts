/** Real Git repositories in temporary folders, out of reach of the user's settings. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A new folder, its path without symbolic links. */
export function makeTemporaryFolder(): string {
  return realpathSync.native(mkdtempSync(join(tmpdir(), 'mlv-git-')));
}

/** An environment in which Git reads no settings of the user or machine, and dates and authors are fixed. */
export function hermeticEnv(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
    GIT_AUTHOR_DATE: '2024-01-01T00:00:00Z',
    GIT_COMMITTER_DATE: '2024-01-01T00:00:00Z',
    LC_ALL: 'C',
  };
}

export interface TestRepository {
  /** The work tree. */
  readonly root: string;
  readonly env: Record<string, string>;
  /** Runs git there and returns what it printed, without the last line break. */
  git(...args: string[]): string;
  /** The same, for one that must fail (a merge with conflicts). */
  gitFailing(...args: string[]): void;
  /** Writes files (null: removes) into the work tree. */
  write(files: Readonly<Record<string, string | Buffer | null>>): void;
  /** Writes, stages and commits files; returns the commit's id. */
  commit(files: Readonly<Record<string, string | Buffer | null>>, message?: string): string;
}

/** Makes a repository in `root` (a new folder) on branch `main`. */
export function makeRepository(root: string, ...initOptions: string[]): TestRepository {
  mkdirSync(root, { recursive: true });
  const repository = repositoryAt(root);
  repository.git('init', '--quiet', '--initial-branch=main', ...initOptions);
  return repository;
}

/** An existing repository: a clone, a linked work tree, a submodule. */
export function repositoryAt(root: string): TestRepository {
  const env = hermeticEnv(dirname(root));
  let time = 1_704_067_200;
  // Submodules from a folder, which Git refuses by default.
  const run = (args: string[]): string =>
    execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], { cwd: root, env, stdio: 'pipe' }).toString();
  const repository: TestRepository = {
    root,
    env,
    git: (...args) => run(args).replace(/\n$/, ''),
    gitFailing(...args) {
      try {
        run(args);
      } catch {
        return;
      }
      throw new Error(`git ${args.join(' ')} did not fail`);
    },
    write(files) {
      for (const [path, content] of Object.entries(files)) {
        if (content === null) {
          rmSync(join(root, path), { recursive: true });
        } else {
          mkdirSync(dirname(join(root, path)), { recursive: true });
          writeFileSync(join(root, path), content);
        }
      }
    },
    commit(files, message = 'commit') {
      repository.write(files);
      // A minute apart, so that the order of commits is that of their dates.
      time += 60;
      env['GIT_AUTHOR_DATE'] = env['GIT_COMMITTER_DATE'] = `${time} +0000`;
      repository.git('add', '--all', '--force');
      repository.git('commit', '--quiet', '--allow-empty', '-m', message);
      return repository.git('rev-parse', 'HEAD');
    },
  };
  return repository;
}

export interface Branchy extends TestRepository {
  /** Commits by name, oldest first: `base`, `side`, `dropped`, `main`, `merge`, `evil`. */
  readonly commits: Readonly<Record<'base' | 'side' | 'dropped' | 'main' | 'merge' | 'evil', string>>;
}

/**
 * History with a side branch that changes `data.mlv` (`side 1`, then `side 2`), merged with strategy `ours`, so that
 * neither version is in main's tree; and a second branch whose merge makes a version (`evil`) that neither parent has.
 */
export function makeBranchyRepository(root: string): Branchy {
  const repository = makeRepository(root);
  const { git, commit, write } = repository;
  const base = commit({ 'data.mlv': 'base', 'models/net.mlv': 'net', 'readme.txt': 'hello' });
  git('checkout', '--quiet', '-b', 'side');
  const side = commit({ 'data.mlv': 'side 1' });
  const dropped = commit({ 'data.mlv': 'side 2' });
  git('checkout', '--quiet', 'main');
  const main = commit({ 'data.mlv': 'main' });
  git('merge', '--quiet', '--strategy=ours', '-m', 'merge', 'side');
  const merge = git('rev-parse', 'HEAD');
  git('checkout', '--quiet', '-b', 'other', base);
  commit({ 'other.txt': 'other' });
  git('checkout', '--quiet', 'main');
  git('merge', '--quiet', '--no-commit', 'other');
  write({ 'data.mlv': 'evil' });
  const evil = commit({}, 'evil merge');
  return { ...repository, commits: { base, side, dropped, main, merge, evil } };
}
