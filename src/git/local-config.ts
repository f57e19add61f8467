import { findProgram } from '../platform/find-program.ts';
import { gitRunner, type Environment, type GitRunner } from './git-process.ts';
import type { GitLayout } from './layout.ts';
import { MlvError } from '../domain/errors.ts';

/** Git's settings of one repository. */
export interface LocalGitConfig {
  /** What counts, wherever it is set; undefined where it is nowhere. */
  get(key: string): Promise<string | undefined>;
  /** Sets it for this repository and all its work trees. */
  set(key: string, value: string): Promise<void>;
  /** Takes it out of this repository's settings, where it is there. */
  unset(key: string): Promise<void>;
}

/** Opens Git's settings of a repository. Throws `git-program-needed`; its methods throw `git-failed`. */
export function openLocalConfig(layout: GitLayout, env: Environment): LocalGitConfig {
  const executable = findProgram('git', env['PATH'] ?? '');
  if (executable === undefined) {
    throw new MlvError({
      code: 'git-program-needed',
      kind: 'unsupported',
      message: "Git's settings are changed by the git program, and PATH has none",
      hint: 'Install git, or correct PATH',
    });
  }
  const git: GitRunner = gitRunner(layout, { executable, env });
  /** Exit codes of git-config(1): the key is not there. */
  const [absent, nothingToUnset] = [1, 5];
  return {
    async get(key) {
      const output = await git.run(['config', '--null', '--get', key], { accept: [0, absent] });
      return output.length === 0 ? undefined : output.toString('utf8').replace(/\0$/, '');
    },
    async set(key, value) {
      await git.run(['config', '--local', '--replace-all', key, value]);
    },
    async unset(key) {
      await git.run(['config', '--local', '--unset-all', key], { accept: [0, nothingToUnset] });
    },
  };
}
