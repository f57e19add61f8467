import type { Dirent } from 'node:fs';
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { ioError } from '../platform/io-error.ts';
import { isLock } from './references.ts';
import { POINTER_SUFFIX } from './tracked.ts';
import type { Workspace } from './open.ts';

/**
 * Files and folders that patterns match (relative to `cwd`; `*`, `?`, `[]`, `{}`, `**`), in order; what is inside a matching folder
 * belongs to it. Throws `glob-no-match`.
 */
export async function expandGlobs(
  workspace: Workspace,
  { targets, cwd }: { readonly targets: readonly string[]; readonly cwd: string },
): Promise<string[]> {
  const { default: picomatch } = await import('picomatch');
  const found = new Set<string>();
  for (const pattern of targets) {
    const { base } = picomatch.scan(pattern);
    const matches = picomatch(pattern, { dot: false });
    const before = found.size;
    collect(join(cwd, base), (path) => {
      const name = relative(cwd, path).split(sep).join('/');
      if (!matches(name) || name.endsWith(POINTER_SUFFIX) || isLock(name)) return false;
      found.add(name);
      return true;
    });
    if (found.size > before) continue;
    throw new MlvError({
      code: 'glob-no-match',
      kind: 'missing',
      message: `nothing matches ${pattern} in ${relative(workspace.root, cwd) || 'the project'}`,
      hint: 'Patterns are relative to where you are; quote them, so that your shell leaves them alone.',
    });
  }
  return [...found].sort();
}

function collect(folder: string, take: (path: string) => boolean): void {
  for (const entry of listFolder(folder)) {
    if (entry.name === '.git' || entry.name === '.mlv') continue;
    const path = join(folder, entry.name);
    if (!take(path) && entry.isDirectory()) collect(path, take);
  }
}

function listFolder(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw ioError(error, 'read', folder);
  }
}
