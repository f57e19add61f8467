import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { GitRepository } from './git.ts';
import { openGitProgram } from './git-program.ts';
import type { Environment } from './git-process.ts';
import { openIsomorphicGit } from './isomorphic.ts';
import type { GitLayout } from './layout.ts';

export interface OpenGitOptions {
  /** `auto` (default): the git program where PATH has it, otherwise in-process. */
  readonly program?: 'git' | 'isomorphic-git' | 'auto';
  /** The environment: PATH says where to look for `git`, and its children get it. */
  readonly env: Environment;
  /** What `core.excludesFile` names, which only the git program finds by itself. */
  readonly excludesFile?: string | undefined;
}

/**
 * Opens a repository; no process is started before the first question to it. Throws `git-missing` where the git program is
 * asked for and not there, and what `openIsomorphicGit` throws.
 */
export async function openGit(layout: GitLayout, options: OpenGitOptions): Promise<GitRepository> {
  const { program = 'auto', env, excludesFile } = options;
  const executable = program === 'isomorphic-git' ? undefined : findGit(env['PATH'] ?? '');
  if (executable !== undefined) return openGitProgram(layout, { executable, env });
  if (program !== 'git') return openIsomorphicGit(layout, { excludesFile });
  throw new MlvError({
    code: 'git-missing',
    kind: 'unsupported',
    message: 'No git program in PATH',
    hint: 'Install git, or correct PATH',
  });
}

/** The git program that PATH names first; undefined without one. */
export function findGit(path: string): string | undefined {
  const name = delimiter === ';' ? 'git.exe' : 'git';
  // An empty entry would mean the current folder, which nobody should run programs from.
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
