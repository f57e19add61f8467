/** Stages, and a real project with Git to run them in by hand. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type {
  DataVersion,
  LockedStage,
  Stage,
  StageId,
  StageObservation,
  StageOutput,
} from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { init } from '../../src/workspace/init.ts';
import { readLocks } from '../../src/workspace/locks.ts';
import { observeStages } from '../../src/workspace/observe-stages.ts';
import type { Workspace } from '../../src/workspace/open.ts';
import { openWorkspace } from '../../src/workspace/open.ts';
import { prepareOutputs } from '../../src/workspace/prepare-outputs.ts';
import { recordStage } from '../../src/workspace/record-stage.ts';
import { openStaging } from '../../src/workspace/staging.ts';
import { storeOutputs } from '../../src/workspace/store-outputs.ts';
import type { StorageTasks } from '../../src/workspace/task-runner.ts';
import { createStorageTasks } from '../../src/workspace/task-runner.ts';
import { writeFiles } from './folders.ts';
import type { Files } from './folders.ts';
import type { TestRepository } from './git.ts';
import { makeRepository, makeTemporaryFolder } from './git.ts';

type Given = Partial<Omit<Stage, 'deps' | 'outs'>> & {
  readonly deps?: readonly string[];
  readonly outs?: readonly (string | (Partial<Omit<StageOutput, 'path'>> & { readonly path: string }))[];
};

/** A stage of the root's `mlv.yaml`, but for what is given. */
export function makeStage(name: string, given: Given = {}): Stage {
  const { deps = [], outs = [], ...rest } = given;
  return {
    id: name as StageId,
    name,
    file: 'mlv.yaml' as RepoPath,
    line: 1,
    commands: ['true'],
    wdir: '' as RepoPath,
    params: [],
    env: [],
    tools: {},
    frozen: false,
    alwaysChanged: false,
    mutex: [],
    resources: {},
    retries: 0,
    ...rest,
    deps: deps.map((path) => path as RepoPath),
    outs: outs.map((out) => ({
      kind: 'out',
      cache: true,
      persist: false,
      push: true,
      ...(typeof out === 'string' ? {} : out),
      path: (typeof out === 'string' ? out : out.path) as RepoPath,
    })),
  };
}

type Recording = Parameters<typeof recordStage>[2];
type GivenRecord = Omit<Recording, 'staging' | 'before'> & Partial<Pick<Recording, 'before'>>;

export interface StageRig {
  readonly repository: TestRepository;
  readonly root: string;
  readonly workspace: Workspace;
  readonly tasks: StorageTasks;
  write(files: Files): void;
  remove(...paths: string[]): void;
  observe(stage: Stage, known?: ReadonlyMap<string, DataVersion>): Promise<StageObservation>;
  /** Records it, and has that staged in Git. */
  record(stage: Stage, given: GivenRecord): Promise<void>;
  /** Does what a run does around a command that leaves these files. */
  run(stage: Stage, made: Files): Promise<LockedStage>;
  /** The project opened anew, as the next command finds it. */
  reopen(): Promise<Workspace>;
  dispose(): Promise<void>;
}

export async function makeStageRig(environment: Readonly<Record<string, string>> = {}): Promise<StageRig> {
  const folder = makeTemporaryFolder();
  const repository = makeRepository(join(folder, 'project'));
  const { root } = repository;
  const env = { ...repository.env, ...environment };
  const opened: Workspace[] = [];
  const open = async (): Promise<Workspace> => {
    const workspace = await openWorkspace({ cwd: root, environment: env });
    opened.push(workspace);
    return workspace;
  };
  await init({ cwd: root, environment: env });
  const workspace = await open();
  const tasks = createStorageTasks(workspace.cache());

  const observe: StageRig['observe'] = async (stage, known) => {
    const locked = await readLocks(workspace);
    const pipeline = { stages: [stage], paramsOf: () => new Map() };
    const seen = await observeStages(workspace, {
      stages: [stage],
      pipeline,
      locked,
      tasks,
      ...(known && { known: known as ReadonlyMap<RepoPath, DataVersion> }),
    });
    const observation = seen.get(stage.id);
    if (observation === undefined) throw new Error('not observed');
    return observation;
  };

  const record: StageRig['record'] = async (stage, given) => {
    const staging = openStaging(workspace);
    await recordStage(workspace, stage, { before: await readLocks(workspace), ...given, staging });
    await staging.flush();
  };

  return {
    repository,
    root,
    workspace,
    tasks,
    write: (files) => writeFiles(root, files),
    remove: (...paths) => {
      for (const path of paths) rmSync(join(root, path), { recursive: true, force: true });
    },
    observe,
    record,
    async run(stage, made) {
      const recorded = (await readLocks(workspace)).get(stage.id);
      const seen = await observe(stage);
      await prepareOutputs(workspace, { stage, recorded, tasks });
      writeFiles(root, made);
      const outs = await storeOutputs(workspace, { stage, recorded, tasks });
      const deps = new Map([...seen.deps].flatMap(([path, version]) => (version ? [[path, version] as const] : [])));
      const { commands, wdir } = stage;
      const locked = { commands, wdir, deps, params: seen.params, env: seen.env, tools: seen.tools, outs };
      await record(stage, { locked, outputs: 'made', stages: [stage] });
      return locked;
    },
    reopen: open,
    async dispose() {
      await tasks.close();
      for (const each of opened) await each.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
