import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { hasErrorCode } from '../domain/errors.ts';
import type { Environment } from './git-process.ts';

/** Which Git answers on this machine, and its version; no version where the program does not tell it. */
export async function gitVersion(
  env: Environment,
): Promise<{ readonly engine: 'git' | 'isomorphic-git'; readonly version: string | undefined }> {
  try {
    const { stdout } = await promisify(execFile)('git', ['--version'], {
      env: { ...env, LC_ALL: 'C' },
      windowsHide: true,
    });
    return { engine: 'git', version: /\d+(?:\.\w+)+/.exec(stdout)?.[0] };
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) return { engine: 'git', version: undefined };
    const { version } = await import('isomorphic-git');
    return { engine: 'isomorphic-git', version: version() };
  }
}
