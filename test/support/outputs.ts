/** Outputs of stages on record as a run leaves them, without a run. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatLock, parsePlainLock } from '../../src/domain/lock-file.ts';
import type { LockedOutput, LockedStage } from '../../src/domain/pipeline.ts';
import { parsePlainPointer } from '../../src/domain/pointer.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { repoDirname } from '../../src/domain/repo-path.ts';
import type { TestRepository } from './git.ts';
import type { MlvRig } from './mlv.ts';
import { told } from './told.ts';

/** How an output is declared, where that is not the default. */
export type Declared = Partial<Pick<LockedOutput, 'cache' | 'persist' | 'push' | 'remote'>>;

/** By stage, what it made: paths of the project. */
export type Outputs = Readonly<Record<string, Readonly<Record<string, Declared>>>>;

/**
 * Puts what is at these paths into the cache, lets Git ignore it, and writes the lock file (a path of the project) that names it. Other stages
 * in it stay. Nothing is staged.
 */
export async function recordOutputs(
  rig: MlvRig,
  { root, git }: Pick<TestRepository, 'root' | 'git'>,
  outputs: Outputs,
  lock = 'mlv.lock',
): Promise<void> {
  const file = join(root, lock);
  const before = existsSync(file) ? parsePlainLock(readFileSync(file, 'utf8'), lock as RepoPath) : undefined;
  const stages = new Map<string, LockedStage>(before ?? []);
  rmSync(file, { force: true });
  for (const [stage, paths] of Object.entries(outputs)) {
    const outs = new Map<RepoPath, LockedOutput>();
    for (const [path, declared] of Object.entries(paths))
      outs.set(path as RepoPath, await recordOne(rig, { root, git }, path, declared));
    stages.set(stage, lockedStage(lock, outs));
  }
  writeFileSync(file, formatLock(stages, lock as RepoPath));
}

function lockedStage(lock: string, outs: LockedStage['outs']): LockedStage {
  const none = new Map<never, never>();
  const wdir = repoDirname(lock as RepoPath);
  return { commands: ['make it'], wdir, deps: none, params: none, env: none, tools: none, outs };
}

async function recordOne(
  rig: MlvRig,
  { root, git }: Pick<TestRepository, 'root' | 'git'>,
  path: string,
  declared: Declared,
): Promise<LockedOutput> {
  await told(rig, root, ['add', path]);
  const pointer = parsePlainPointer(readFileSync(join(root, `${path}.mlv`), 'utf8'));
  if (pointer === undefined) throw new Error(`${path}.mlv is not plain`);
  git('rm', '--quiet', '--force', `${path}.mlv`);
  const { type, hash, size, files, exec } = pointer;
  return {
    type,
    hash,
    size,
    ...(files !== undefined && { files }),
    ...(exec === true && { exec }),
    cache: true,
    persist: false,
    push: true,
    ...declared,
  };
}
