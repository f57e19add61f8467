import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClusterInput, type ClusterTask, formatClusterTask } from '../../../src/domain/cluster-task.ts';
import { digestFromBytes } from '../../../src/domain/digest.ts';
import type { DataVersion, Stage } from '../../../src/domain/pipeline.ts';
import { jobKey } from '../../../src/domain/remote-layout.ts';
import type { RepoPath } from '../../../src/domain/repo-path.ts';
import { hashEngine } from '../../../src/platform/hash.ts';
import { add } from '../../../src/workspace/add.ts';
import { storeInputs } from '../../../src/workspace/cluster-inputs.ts';
import { readClusterResult, sendToCluster } from '../../../src/workspace/cluster-transfer.ts';
import { storeCode } from '../../../src/workspace/code-tree.ts';
import { openWorkspace, type Workspace } from '../../../src/workspace/open.ts';
import { readLocks } from '../../../src/workspace/locks.ts';
import { observeStages } from '../../../src/workspace/observe-stages.ts';
import { pull } from '../../../src/workspace/pull.ts';
import { push } from '../../../src/workspace/push.ts';
import { createStorageTasks, type StorageTasks } from '../../../src/workspace/task-runner.ts';
import { executable, readFolder } from '../../support/folders.ts';
import { makePodRig, type PodRig } from '../../support/kubernetes/pod-rig.ts';
import { makeStage, makeStageRig, type StageRig } from '../../support/stage-rig.ts';

let pod: PodRig;
let rig: StageRig;
beforeEach(async () => {
  pod = await makePodRig();
  rig = await makeStageRig();
  const { url, endpoint = '' } = pod.task().remote;
  writeFileSync(
    join(rig.root, '.git/mlv/config.yaml'),
    `remotes:\n  bucket:\n    url: ${url}\n    endpoint: ${endpoint}\n    region: us-east-1\n`,
  );
});
afterEach(async () => {
  await rig.dispose();
  await pod.dispose();
});

async function observe(workspace: Workspace, stage: Stage, tasks: StorageTasks, others: readonly Stage[] = []) {
  const pipeline = { stages: [...others, stage], paramsOf: () => new Map() };
  const locked = await readLocks(workspace);
  const seen = await observeStages(workspace, { stages: [stage], pipeline, locked, tasks });
  return seen.get(stage.id)?.deps ?? new Map<RepoPath, DataVersion>();
}

/** Hands a stage over, as a client does. */
async function handOver(workspace: Workspace, stage: Stage): Promise<{ task: ClusterTask; bytes: number }> {
  const tasks = createStorageTasks(workspace.cache());
  try {
    const seen = await observe(workspace, stage, tasks);
    const code = await storeCode(workspace, { outs: stage.outs.map(({ path }) => path), tasks });
    const inputs = await storeInputs(workspace, { stage, stages: [stage], seen, tasks });
    const { bytes } = await sendToCluster(workspace, { remote: 'bucket', code, inputs });
    const outs = stage.outs.map(({ path, cache, persist, push: isPushed }) => ({
      path,
      cache,
      persist,
      push: isPushed,
    }));
    const task = pod.task({ stage: stage.id, wdir: stage.wdir, code: code.root, inputs, outs });
    pod.give(task);
    return { task, bytes };
  } finally {
    await tasks.close();
  }
}

const taskHash = (task: ClusterTask) => digestFromBytes(hashEngine().hash(Buffer.from(formatClusterTask(task))));
const summary = (inputs: readonly ClusterInput[]) => inputs.map(({ path, type, files }) => `${path} ${files ?? type}`);

describe('a workspace and a pod', () => {
  it('hand over code and data, and what was made of them', async () => {
    rig.write({
      'run.sh': executable('cat src/*.txt data/part/* "$1" > model\n'),
      'src/a.txt': 'a',
      'src/sub/b.pyc': 'no dependency',
      'data/part/1': '1',
      'data/part/2': '2',
      'data/other/3': '3',
      'seed.txt': 'seed',
    });
    await add(rig.workspace, { targets: ['data'], cwd: rig.root });
    const stage = makeStage('train', { deps: ['data/part', 'run.sh', 'seed.txt', 'src'], outs: ['model'] });
    const workspace = await rig.reopen();
    const { task } = await handOver(workspace, stage);
    expect(summary(task.inputs)).toEqual(['data/part 2', 'run.sh file', 'seed.txt file', 'src 1']);
    expect((await pod.run('fetch')).stderr).toMatch(/^laid out/);
    expect(readFolder(pod.project)).toMatchObject({ 'data/part/1': expect.anything(), 'src/a.txt': expect.anything() });
    expect(Object.keys(readFolder(pod.project) ?? {}).sort()).toEqual([
      '.gitignore',
      'data/part/1',
      'data/part/2',
      'run.sh',
      'seed.txt',
      'src/a.txt',
      'src/sub',
    ]);
    const given = { remote: 'bucket', job: pod.job, task: taskHash(task), fingerprint: task.fingerprint, stage };
    expect(await readClusterResult(workspace, given)).toBeUndefined();
    await pod.stage('./run.sh seed.txt');
    expect((await pod.run('push')).code).toBe(0);
    const result = await readClusterResult(workspace, given);
    const model = result?.outs.get('model' as RepoPath);
    expect(model).toEqual({ type: 'file', hash: expect.any(String), size: 7, cache: true, persist: false, push: true });
    expect(model && (await pod.contentOf(model))).toBe('a12seed');
    await expect(
      readClusterResult(workspace, { ...given, fingerprint: task.code ?? given.fingerprint }),
    ).rejects.toMatchObject({ code: 'cluster-result-invalid' });
    await expect(
      readClusterResult(workspace, { ...given, stage: makeStage('train', { outs: ['other'] }) }),
    ).rejects.toMatchObject({ code: 'cluster-result-invalid' });
    // A second run has nothing to send.
    expect((await handOver(workspace, stage)).bytes).toBe(0);
    for (const key of pod.server.bucket().objects().keys())
      if (key.startsWith('team/index/')) await pod.server.bucket().delete(key);
    rmSync(join(rig.root, '.git/mlv/remotes'), { recursive: true });
    await expect(readClusterResult(await rig.reopen(), given)).rejects.toMatchObject({
      code: 'cluster-result-missing',
      items: ['model'],
    });
    await pod.server.bucket().put(`team/${jobKey(pod.job)}`, '{}');
    await expect(readClusterResult(workspace, given)).rejects.toMatchObject({ code: 'cluster-result-invalid' });
  });

  it('need nothing here of what the remote has', async () => {
    rig.write({ 'data/part/1': '1', 'data/other/3': '3', 'folder/code.py': 'code', 'folder/set/x': 'x' });
    await add(rig.workspace, { targets: ['data', 'folder/set'], cwd: rig.root });
    const prepare = makeStage('prepare', { outs: ['folder/made', 'made'] });
    await rig.run(prepare, { made: 'made', 'folder/made/z': 'z' });
    rig.repository.git('add', '.');
    rig.repository.git('commit', '--quiet', '--message', 'data');
    const { env: environment } = rig.repository;
    const first = await openWorkspace({ cwd: rig.root, environment });
    await push(first, { targets: [], cwd: rig.root });
    await first.close();
    for (const path of ['data', 'folder/set', 'folder/made', 'made', '.git/mlv/cache', '.git/mlv/state'])
      rmSync(join(rig.root, path), { recursive: true });
    const workspace = await rig.reopen();
    const stage = makeStage('train', { deps: ['data', 'data/part', 'folder', 'made'] });
    const tasks = createStorageTasks(workspace.cache());
    const seen = await observe(workspace, stage, tasks, [prepare]);
    const inputs = await storeInputs(workspace, { stage, stages: [prepare, stage], seen, tasks });
    expect(summary(inputs)).toEqual([
      'data 2',
      'data/part 1',
      'folder 1',
      'folder/made 1',
      'folder/set 1',
      'made file',
    ]);
    await sendToCluster(workspace, { remote: 'bucket', code: undefined, inputs });
    await tasks.close();
    pod.give(pod.task({ inputs }));
    expect((await pod.run('fetch')).code).toBe(0);
    expect(Object.keys(readFolder(pod.project) ?? {}).sort()).toEqual([
      'data/other/3',
      'data/part/1',
      'folder/code.py',
      'folder/made/z',
      'folder/set/x',
      'made',
    ]);
  });

  it('hand over edits of tracked data, parts that were never brought, and what symlinks lead to', async () => {
    rig.write({ 'data/a/1': '1', 'data/b/2': '2', 'v2/x': 'x', 'v2/sub/y': 'y' });
    await add(rig.workspace, { targets: ['data'], cwd: rig.root });
    rig.repository.git('add', '.');
    rig.repository.git('commit', '--quiet', '--message', 'data');
    const workspace = await rig.reopen();
    await push(workspace, { targets: [], cwd: rig.root });
    for (const path of ['data', '.git/mlv/cache', '.git/mlv/state', '.git/mlv/checkout'])
      rmSync(join(rig.root, path), { recursive: true });
    const partial = await rig.reopen();
    await pull(partial, { targets: ['data/a'], cwd: rig.root });
    rig.write({ 'data/a/1': 'edited', 'data/a/new': 'new' });
    symlinkSync('v2', join(rig.root, 'current'));
    symlinkSync('v2/x', join(rig.root, 'x'));
    mkdirSync(join(rig.root, '../outside'));
    writeFileSync(join(rig.root, '../outside/far'), 'far');
    symlinkSync(join(rig.root, '../outside'), join(rig.root, 'away'));
    rig.write({ '.mlvignore': '/away\n' });
    const stage = makeStage('train', { deps: ['away', 'current/sub', 'data', 'data/a', 'x'] });
    const { task } = await handOver(partial, stage);
    expect(summary(task.inputs)).toEqual(['away 1', 'data 3', 'data/a 2', 'v2/sub 1', 'x file']);
    expect((await pod.run('fetch')).code).toBe(0);
    const read = await pod.stage(
      'test "$(cat away/far current/sub/y data/a/1 data/a/new data/b/2 x)" = "faryeditednew2x"',
    );
    expect(read).toBe(0);
  });

  it('refuse to go on where something changed meanwhile, or is nowhere', async () => {
    rig.write({ 'a.txt': 'a', 'data/1': '1' });
    await add(rig.workspace, { targets: ['data'], cwd: rig.root });
    const workspace = await rig.reopen();
    const tasks = createStorageTasks(workspace.cache());
    const stage = makeStage('train', { deps: ['a.txt', 'data'] });
    const seen = await observe(workspace, stage, tasks);
    rig.write({ 'a.txt': 'b' });
    const given = { stage, stages: [stage], seen, tasks };
    await expect(storeInputs(workspace, given)).rejects.toMatchObject({ code: 'dependency-rewritten' });
    rig.write({ 'a.txt': 'a' });
    const inputs = await storeInputs(workspace, given);
    await tasks.close();
    rmSync(join(rig.root, '.git/mlv/cache'), { recursive: true });
    await expect(
      sendToCluster(await rig.reopen(), { remote: 'bucket', code: undefined, inputs }),
    ).rejects.toMatchObject({ code: 'cluster-data-missing', items: ['data', 'a.txt'] });
  });
});
