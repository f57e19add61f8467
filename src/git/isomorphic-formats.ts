import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { readGitConfigFile } from './config-file.ts';
import type { GitLayout } from './layout.ts';

/** Throws `git-unsupported-format` (SHA-256, reftable) or `git-unsupported-alternates` for what isomorphic-git would misread. */
export function refuseUnknownFormats(layout: GitLayout): void {
  const config = readGitConfigFile(join(layout.commonDir, 'config'));
  const refuse = (code: string, what: string): never => {
    throw new MlvError({
      code,
      kind: 'unsupported',
      message: `The repository ${layout.commonDir} ${what}, which needs the git program`,
      hint: 'Install git',
    });
  };
  const objectFormat = config.get('extensions.objectformat') ?? 'sha1';
  if (objectFormat !== 'sha1') refuse('git-unsupported-format', `has object ids by ${objectFormat}`);
  const refStorage = config.get('extensions.refstorage') ?? 'files';
  if (refStorage !== 'files') refuse('git-unsupported-format', `keeps its refs as ${refStorage}`);
  if (existsSync(join(layout.commonDir, 'objects', 'info', 'alternates'))) {
    refuse('git-unsupported-alternates', 'borrows objects from another one (objects/info/alternates)');
  }
}
