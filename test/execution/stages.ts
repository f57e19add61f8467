import type { Stage } from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';

/** A stage that asks for nothing but what is given. */
export function stageOf(given: Partial<Stage> & Pick<Stage, 'id'>): Stage {
  return {
    name: given.id,
    file: 'mlv.yaml' as RepoPath,
    line: 1,
    commands: ['true'],
    wdir: '' as RepoPath,
    deps: [],
    params: [],
    outs: [],
    env: [],
    tools: {},
    frozen: false,
    alwaysChanged: false,
    mutex: [],
    resources: {},
    retries: 0,
    ...given,
  };
}
