import { join } from 'node:path';
import { findProgram } from '../platform/find-program.ts';
import { readGitConfigFile } from './config-file.ts';
import type { Environment } from './git-process.ts';
import type { GitLayout } from './layout.ts';
import { openLocalConfig } from './local-config.ts';

export interface Author {
  readonly name: string;
  readonly email: string;
}

/**
 * Who Git takes for the author of commits; undefined where nobody has told it. Without the git program, only the repository's own and
 * the user's settings file are read. Throws `git-failed`.
 */
export async function readAuthor(layout: GitLayout, env: Environment): Promise<Author | undefined> {
  const name = env['GIT_AUTHOR_NAME'] || (await valueOf(layout, env, 'user.name'));
  const email = env['GIT_AUTHOR_EMAIL'] || env['EMAIL'] || (await valueOf(layout, env, 'user.email'));
  return name === undefined || email === undefined ? undefined : { name, email };
}

async function valueOf(layout: GitLayout, env: Environment, key: string): Promise<string | undefined> {
  if (findProgram('git', env['PATH'] ?? '') !== undefined) return openLocalConfig(layout, env).get(key);
  const files = [join(layout.commonDir, 'config'), join(env['HOME'] ?? '/', '.gitconfig')];
  return files.map((file) => readGitConfigFile(file).get(key)).find((value) => value !== undefined);
}
