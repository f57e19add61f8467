import { existsSync } from 'node:fs';
import { PIPELINE_FILE } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import { findFiles } from '../git/find-files.ts';
import type { Workspace } from './open.ts';
import { hasPointer } from './tracked.ts';

/** The pipeline files of the project, sorted; those that Git ignores, and those in tracked data, are none. */
export function listPipelineFiles({ root, layout }: Workspace): RepoPath[] {
  const found = findFiles(
    { workTree: root, ...(layout !== undefined && { commonDir: layout.commonDir }) },
    {
      accept: (name) => name === PIPELINE_FILE,
      prune: (folder) => hasPointer(`${root}/${folder}`) || existsSync(`${root}/${folder}/.mlv/config.yaml`),
    },
  );
  return found.map(parseRepoPath);
}
