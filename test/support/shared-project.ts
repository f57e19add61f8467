/** A project whose data goes to a folder, and the clones of those who work on it. */
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Files } from './folders.ts';
import { writeFiles } from './folders.ts';
import type { TestRepository } from './git.ts';
import { repositoryAt } from './git.ts';
import type { MlvRig } from './mlv.ts';
import { told } from './told.ts';

export interface SharedProject extends TestRepository {
  /** The folder that is its default remote, `store`. Nothing is there before the first push. */
  readonly remote: string;
  /** Writes files, records these paths with `mlv add`, commits. Returns the commit's id. */
  version(files: Files, ...paths: string[]): Promise<string>;
  /** A new clone with nothing in its cache. */
  clone(name: string): TestRepository;
}

/** Makes a project with a remote and, where paths are given, a first version. */
export async function shareProject(
  rig: MlvRig,
  name: string,
  files: Files = {},
  ...paths: string[]
): Promise<SharedProject> {
  const repository = await rig.project(name);
  const { root, git } = repository;
  const remote = join(rig.folder, `${name}-store`);
  // As "mlv remote add -d store" writes it, which has tests of its own.
  appendFileSync(join(root, '.mlv/config.yaml'), `remotes:\n  store:\n    url: ${remote}\nremote: store\n`);
  const project: SharedProject = {
    ...repository,
    remote,
    async version(more, ...targets) {
      writeFiles(root, more);
      if (targets.length > 0) await told(rig, root, ['add', ...targets]);
      git('commit', '--quiet', '--all', '--allow-empty', '-m', 'version');
      return git('rev-parse', 'HEAD');
    },
    clone(clone) {
      const folder = join(rig.folder, clone);
      execFileSync('git', ['clone', '--quiet', root, folder], { env: rig.env, stdio: 'pipe' });
      return repositoryAt(folder);
    },
  };
  await project.version(files, ...paths);
  return project;
}
