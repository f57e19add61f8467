/** Projects whose data Git merges by mlv. */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { installDrivers } from '../../src/workspace/git-drivers.ts';
import { openWorkspace } from '../../src/workspace/open.ts';
import type { Files } from './folders.ts';
import { writeFiles } from './folders.ts';
import type { TestRepository } from './git.ts';
import type { MlvRig } from './mlv.ts';
import { BIN } from './mlv.ts';
import { told } from './told.ts';
import { under } from './two-versions.ts';

/** Sets up the drivers in a project, run by this Node from the bundle. */
export async function setUpDrivers(rig: MlvRig, root: string): Promise<void> {
  const workspace = await openWorkspace({ cwd: root, environment: rig.env });
  await installDrivers(workspace, { program: [process.execPath, BIN] });
  await workspace.close();
}

export interface MergeProject extends TestRepository {
  /** Replaces what is in a folder, tracks it and commits. */
  record(folder: string, files: Files, message?: string): Promise<void>;
  /** Runs git, and returns what it printed, stderr too, and whether it succeeded. */
  tryGit(...args: string[]): { readonly isDone: boolean; readonly output: string };
}

/** A project with drivers, nothing tracked yet. */
export async function makeMergeProject(rig: MlvRig, name: string): Promise<MergeProject> {
  const repository = await rig.project(name);
  await setUpDrivers(rig, repository.root);
  repository.git('add', '--all');
  repository.git('commit', '--quiet', '-m', 'project');
  return mergeProject(rig, repository);
}

export function mergeProject(rig: MlvRig, repository: TestRepository): MergeProject {
  const { root, git } = repository;
  return {
    ...repository,
    async record(folder, files, message = folder) {
      // What another branch has is no deletion.
      if (existsSync(join(root, `${folder}.mlv`))) await told(rig, root, ['checkout', '--force', folder]);
      rmSync(join(root, folder), { recursive: true, force: true });
      writeFiles(root, under(folder, files));
      await told(rig, root, ['add', folder]);
      git('commit', '--quiet', '--allow-empty', '-m', message);
    },
    tryGit(...args) {
      const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, env: rig.env, encoding: 'utf8' });
      return { isDone: status === 0, output: stdout + stderr };
    },
  };
}
