import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LockedOutput, LockedStage, Stage, StageId } from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { add } from '../../src/workspace/add.ts';
import { checkOutputs } from '../../src/workspace/check-outputs.ts';
import { push } from '../../src/workspace/push.ts';
import { readLocks } from '../../src/workspace/locks.ts';
import { prepareOutputs } from '../../src/workspace/prepare-outputs.ts';
import { canRestore, restoreOutputs } from '../../src/workspace/restore-outputs.ts';
import { markRunEnded } from '../../src/workspace/run-marks.ts';
import { addRemote } from '../../src/workspace/remotes.ts';
import { openStaging } from '../../src/workspace/staging.ts';
import { storeOutputs } from '../../src/workspace/store-outputs.ts';
import { createStorageTasks } from '../../src/workspace/task-runner.ts';
import { emptyFolder, executable, manyFiles, readFolder } from '../support/folders.ts';
import type { StageRig } from '../support/stage-rig.ts';
import { makeStage, makeStageRig } from '../support/stage-rig.ts';
import { digestOf } from '../support/trees.ts';

let rig: StageRig;
beforeEach(async () => {
  rig = await makeStageRig();
});
afterEach(() => rig.dispose());

const path = (text: string): RepoPath => text as RepoPath;
const read = (name: string): string => readFileSync(join(rig.root, name), 'utf8');
const folder = (): Record<string, string> | undefined => readFolder(rig.root, ['.git', '.mlv']);
const inCache = (text: string): boolean => rig.workspace.cache().has(digestOf(text));
const recordedOf = async (stage: Stage): Promise<LockedStage | undefined> =>
  (await readLocks(rig.workspace)).get(stage.id);
const store = async (stage: Stage) =>
  storeOutputs(rig.workspace, { stage, recorded: await recordedOf(stage), tasks: rig.tasks });
const prepare = async (stage: Stage) =>
  prepareOutputs(rig.workspace, { stage, recorded: await recordedOf(stage), tasks: rig.tasks });

describe('what a stage has made', () => {
  test('goes into the cache, its version into mlv.lock, and its path into .gitignore; all of it staged', async () => {
    rig.write({ 'in.csv': 'rows' });
    const stage = makeStage('train', {
      commands: ['python train.py'],
      deps: ['in.csv'],
      outs: ['models/net', { path: 'metrics.json', cache: false }, { path: 'log', push: false }],
    });
    await rig.run(stage, { 'models/net/a': executable('a'), 'models/net/b': 'b', 'metrics.json': '{}', log: 'l' });
    const { hash } = (await recordedOf(stage))?.outs.get(path('models/net')) ?? {};
    expect(read('mlv.lock')).toBe(`# What each stage last used and made. Written by mlv; belongs into Git.
version: 0
stages:
  train:
    cmd: python train.py
    deps:
      in.csv: {hash: b3:${digestOf('rows')}, size: 4}
    outs:
      log: {hash: b3:${digestOf('l')}, size: 1, push: false}
      metrics.json: {hash: b3:${digestOf('{}')}, size: 2, cache: false}
      models/net: {type: dir, hash: b3:${hash}, size: 2, files: 2}
`);
    expect([read('.gitignore'), read('models/.gitignore')]).toEqual(['/log\n', '/net\n']);
    expect(rig.repository.git('status', '--porcelain')).toBe(
      'A  .gitignore\nA  .mlv/config.yaml\nA  mlv.lock\nA  models/.gitignore\n?? in.csv\n?? metrics.json',
    );
    expect(['a', 'b', '{}', 'l'].map(inCache)).toEqual([true, true, true, true]);
  });

  test('is on record, with its line in .gitignore, where it was made elsewhere and its folder is not here', async () => {
    const stage = makeStage('s', { outs: ['models/large/net'] });
    const locked = await rig.run(stage, { 'models/large/net': 'n' });
    rig.remove('models', 'mlv.lock');
    await rig.record(stage, { locked, outputs: 'as they were', stages: [stage] });
    expect(readFolder(join(rig.root, 'models'))).toEqual({ 'large/.gitignore': 'file /net\n' });
    expect((await recordedOf(stage))?.outs).toEqual(locked.outs);
  });

  test('is staged in the end, though Git would not have it for a while', async () => {
    await rig.run(makeStage('s', { outs: ['a'] }), { a: 'a' });
    rig.repository.git('reset', '--quiet');
    const held = join(rig.root, '.git/index.lock');
    writeFileSync(held, '');
    const staging = openStaging(rig.workspace);
    staging.add([path('mlv.lock')]);
    await setTimeout(600);
    await expect(staging.flush()).rejects.toMatchObject({ code: 'git-index-locked' });
    rmSync(held);
    await staging.flush();
    expect(rig.repository.git('diff', '--cached', '--name-only')).toBe('mlv.lock');
  });

  test('is staged by the next run, where mlv was killed before it came to that', async () => {
    await rig.run(makeStage('s', { outs: ['a'] }), { a: 'a' });
    rig.repository.git('reset', '--quiet');
    openStaging(rig.workspace).announce([path('mlv.lock'), path('gone')]);
    await openStaging(rig.workspace).flush();
    expect(rig.repository.git('diff', '--cached', '--name-only')).toBe('mlv.lock');
    rig.repository.git('reset', '--quiet');
    await openStaging(rig.workspace).flush();
    expect(rig.repository.git('diff', '--cached', '--name-only')).toBe('');
  });

  test('is refused where it is not there, is a symlink or something stranger', async () => {
    const stage = makeStage('s', { outs: ['a', 'b'] });
    rig.write({ a: 'a' });
    await expect(store(stage)).rejects.toMatchObject({ code: 'output-not-made', message: 'stage s did not make b' });
    symlinkSync('a', join(rig.root, 'b'));
    await expect(store(stage)).rejects.toMatchObject({ code: 'path-is-symlink' });
    expect(inCache('a')).toBe(false);
  });

  test("an output that becomes Git's loses its line in .gitignore", async () => {
    await rig.run(makeStage('s', { outs: ['a', 'b'] }), { a: 'a', b: 'b' });
    await rig.run(makeStage('s', { outs: ['a', { path: 'b', cache: false }] }), { a: 'a', b: 'b' });
    expect(read('.gitignore')).toBe('/a\n');
  });

  test('lock files lie beside their pipeline file, sorted, without stages that it no longer has', async () => {
    const inSub = { file: path('sub/mlv.yaml'), wdir: path('sub') };
    const [b, a] = ['b', 'a'].map((name) =>
      makeStage(name, { ...inSub, id: `sub/mlv.yaml:${name}` as StageId, outs: [`sub/${name}`] }),
    ) as [Stage, Stage];
    const stages = [b, a, makeStage('gone')];
    for (const stage of [b, a]) {
      rig.write({ [`sub/${stage.name}`]: stage.name });
      const locked = lockedOf(stage, await store(stage));
      await rig.record(stage, { outputs: 'made', locked, stages });
    }
    expect([...(await readLocks(rig.workspace)).keys()]).toEqual(['sub/mlv.yaml:a', 'sub/mlv.yaml:b']);
    expect(existsSync(join(rig.root, 'mlv.lock'))).toBe(false);
    await rig.record(a, { outputs: 'made', locked: lockedOf(a, await store(a)), stages: [a] });
    expect([...(await readLocks(rig.workspace)).keys()]).toEqual(['sub/mlv.yaml:a']);
  });

  test('what came into the lock file while the stage ran stays, though the pipeline of then did not have it', async () => {
    const [old, young] = ['old', 'young'].map((name) => makeStage(name, { outs: [name] })) as [Stage, Stage];
    const before = await readLocks(rig.workspace);
    await rig.run(young, { young: 'y' });
    rig.write({ old: 'o' });
    const locked = lockedOf(old, await store(old));
    await rig.record(old, { outputs: 'made', locked, stages: [old], before });
    expect([...(await readLocks(rig.workspace)).keys()]).toEqual(['old', 'young']);
  });

  test('a lock file in a conflict, or that is a symlink, is an error, and stays as it is', async () => {
    const stage = makeStage('s', { outs: ['a'] });
    const locked = await rig.run(stage, { a: 'a' });
    const conflict = `<<<<<<< ours\n${read('mlv.lock')}=======\n>>>>>>> theirs\n`;
    rig.write({ 'mlv.lock': conflict });
    const recorded = rig.record(stage, { outputs: 'made', locked, stages: [stage] });
    await expect(recorded).rejects.toMatchObject({ code: 'lock-conflict' });
    expect(read('mlv.lock')).toBe(conflict);
    rmSync(join(rig.root, 'mlv.lock'));
    symlinkSync('elsewhere', join(rig.root, 'mlv.lock'));
    await expect(readLocks(rig.workspace)).resolves.toEqual(new Map());
    await expect(rig.record(stage, { outputs: 'made', locked, stages: [stage] })).rejects.toMatchObject({
      code: 'lock-linked',
    });
  });

  test('stages that end together are all recorded', async () => {
    const stages = ['a', 'b', 'c', 'd'].map((name) => makeStage(name, { outs: [name] }));
    await Promise.all(
      stages.map(async (stage) => {
        rig.write({ [stage.name]: stage.name });
        await rig.record(stage, {
          outputs: 'made',
          locked: lockedOf(stage, await store(stage)),
          stages,
        });
      }),
    );
    expect([...(await readLocks(rig.workspace)).keys()]).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('before anything runs', () => {
  test.each([
    ['a pointer of the same path', 'data', 'data', ''],
    ['a pointer of a folder around it', 'data', 'data/out', 'lies in data, which '],
    ['a pointer inside it', 'deep/data', 'deep', 'holds deep/data, which '],
  ])('%s is refused', async (_, target, out, how) => {
    rig.write({ [`${target}/a`]: 'a' });
    await add(rig.workspace, { targets: [target], cwd: rig.root });
    await expect(checkOutputs(rig.workspace, [makeStage('s', { outs: [out] })])).rejects.toMatchObject({
      code: 'output-tracked',
      message: `${out}, which stage s makes (mlv.yaml:1), ${how}is tracked by ${target}.mlv`,
    });
  });

  test('what Git has is refused, unless it is to keep it', async () => {
    rig.repository.commit({ 'out/a': 'a', b: 'b' });
    const check = (...outs: NonNullable<NonNullable<Parameters<typeof makeStage>[1]>['outs']>) =>
      checkOutputs(rig.workspace, [makeStage('s', { outs })]);
    await expect(check('out')).rejects.toMatchObject({
      code: 'output-tracked',
      message: /^out, .* holds out\/a, .* by Git$/,
    });
    await expect(check('c', { path: 'b', cache: false })).resolves.toBeUndefined();
  });

  test('an output behind a symlink is refused', async () => {
    mkdirSync(join(rig.root, '../outside'));
    symlinkSync('../outside', join(rig.root, 'link'));
    const stage = makeStage('s', { outs: ['link/out'] });
    await expect(checkOutputs(rig.workspace, [stage])).rejects.toMatchObject({ code: 'output-beyond-symlink' });
    writeFileSync(join(rig.root, '../outside/out'), 'not ours');
    await expect(prepare(stage)).rejects.toMatchObject({ code: 'output-beyond-symlink' });
    expect(read('../outside/out')).toBe('not ours');
  });
});

describe('room for a run', () => {
  const stage = makeStage('s', { outs: ['out', 'file', { path: 'kept', persist: true }, { path: 'm', cache: false }] });
  const made = { 'out/a': 'a', 'out/sub/b': 'b', 'out/none': emptyFolder, file: 'f', kept: 'k', m: 'm' };

  test('recorded outputs go, persistent ones stay', async () => {
    await rig.run(stage, made);
    expect(await prepare(stage)).toEqual([]);
    expect(Object.keys(folder() ?? {})).toEqual(['.gitignore', 'kept', 'mlv.lock']);
  });

  test('what nobody recorded is in the cache before it goes', async () => {
    await rig.run(stage, made);
    rig.write({ 'out/a': 'edited', file: 'by hand', kept: 'more', m: 'metric by hand' });
    const saved = await prepare(stage);
    expect(saved.map((each) => each.path)).toEqual(['out', 'file', 'm']);
    expect(Object.keys(folder() ?? {})).toEqual(['.gitignore', 'kept', 'mlv.lock']);
    expect(['edited', 'by hand', 'more', 'metric by hand'].map(inCache)).toEqual([true, true, true, true]);
  });

  test('what a failed run left just goes, but not what changed since, nor what a killed run left', async () => {
    await prepare(stage);
    rig.write(made);
    markRunEnded(rig.workspace, stage.id);
    expect(await prepare(stage)).toEqual([]);
    expect(Object.keys(folder() ?? {})).toEqual(['kept']);
    expect(['a', 'b', 'f', 'm'].map(inCache)).toEqual([false, false, false, false]);
    rig.write({ file: 'left' });
    markRunEnded(rig.workspace, stage.id);
    await setTimeout(30);
    rig.write({ m: 'by hand' });
    expect((await prepare(stage)).map((each) => each.path)).toEqual(['m']);
    expect(['left', 'by hand'].map(inCache)).toEqual([false, true]);
    rig.write({ file: 'left by who knows whom' });
    expect((await prepare(stage)).map((each) => each.path)).toEqual(['file']);
    expect(inCache('left by who knows whom')).toBe(true);
  });

  test("what .mlvignore excludes is nobody's, and stays", async () => {
    rig.write({ '.mlvignore': '*.tmp\n', 'out/a': 'a', 'out/x.tmp': 'x' });
    await prepare(stage);
    expect(Object.keys(folder() ?? {})).toEqual(['.mlvignore', 'out/x.tmp']);
    rig.write({ 'out/a': 'a' });
    await prepare(stage);
    expect(Object.keys(folder() ?? {})).toEqual(['.mlvignore', 'out/x.tmp']);
  });

  test('an output that was taken away counts as deleted', async () => {
    await rig.run(stage, made);
    await prepare(stage);
    expect(Object.fromEntries((await rig.observe(stage)).outs)).toMatchObject({ out: 'deleted', file: 'deleted' });
  });
});

describe('bringing outputs back', () => {
  const stage = makeStage('s', { outs: ['out', 'file', { path: 'm', cache: false }] });
  const restore = (outs: ReadonlyMap<RepoPath, LockedOutput>, pull = false) =>
    restoreOutputs(rig.workspace, { stage, outs, pull, tasks: rig.tasks });

  test('in the place of nothing, of another version and of edits, which are in the cache then', async () => {
    const one = await rig.run(stage, { 'out/a': 'one', 'out/b': 'b', file: executable('one'), m: '1' });
    const before = folder();
    const two = await rig.run(stage, { 'out/a': 'two', 'out/c': 'c', file: 'two', m: '2' });
    await restore(one.outs);
    expect({ ...folder(), 'mlv.lock': '' }).toEqual({ ...before, 'mlv.lock': '' });
    rig.write({ 'out/a': 'edited', m: 'edited too' });
    rig.remove('file');
    await restore(two.outs);
    expect(folder()).toMatchObject({ 'out/a': 'file two', 'out/c': 'file c', file: 'file two', m: 'file 2' });
    expect(folder()).not.toHaveProperty('out/b');
    expect(['edited', 'edited too'].map(inCache)).toEqual([true, true]);
    await rig.record(stage, { outputs: 'made', locked: two, stages: [stage] });
    const { outs } = await rig.observe(stage);
    expect(outs.get(path('out'))).toMatchObject({ hash: two.outs.get(path('out'))?.hash });
  });

  test('is possible where the cache has all of them, or a remote', async () => {
    const { outs } = await rig.run(stage, { ...manyFiles(5, 'out/'), file: 'f', m: 'm' });
    const at = { outs: [...outs.values()], pull: false };
    expect(await canRestore(rig.workspace, at)).toBe(true);
    rig.remove('.git/mlv/cache');
    const workspace = await rig.reopen();
    expect(await canRestore(workspace, at)).toBe(false);
    expect(await canRestore(workspace, { ...at, pull: true })).toBe(false);
    rig.remove('out', 'file', 'm');
    const gone = restoreOutputs(workspace, { stage, outs, pull: false, tasks: rig.tasks });
    await expect(gone).rejects.toMatchObject({ code: 'outputs-not-restored' });
  });

  test('what is never pushed is brought back where it is, and missed where it is not', async () => {
    const own = makeStage('own', { outs: [{ path: 'file', push: false }] });
    const { outs } = await rig.run(own, { file: 'f' });
    const bring = () => restoreOutputs(rig.workspace, { stage: own, outs, pull: false, tasks: rig.tasks });
    rig.remove('file');
    await bring();
    expect(read('file')).toBe('f');
    rig.remove('file', `.git/mlv/cache/b3/${digestOf('f').slice(0, 2)}`);
    await expect(bring()).rejects.toMatchObject({ code: 'outputs-not-restored', items: ['file'] });
  });

  test('from a remote, where that is allowed', async () => {
    const { outs } = await rig.run(stage, { 'out/a': 'a', 'out/b': 'b', file: 'f', m: 'm' });
    // The same content, pushed as somebody else's data.
    rig.write({ 'copy/a': 'a', 'copy/b': 'b', f: 'f', g: 'm' });
    await add(rig.workspace, { targets: ['copy', 'f', 'g'], cwd: rig.root });
    await addRemote({
      cwd: rig.root,
      environment: rig.repository.env,
      name: 'store',
      url: '../store',
      isDefault: true,
    });
    const before = await rig.reopen();
    await push(before, { targets: [], cwd: rig.root });
    rig.remove('.git/mlv/cache', 'out', 'file', 'm');
    const workspace = await rig.reopen();
    expect(await canRestore(workspace, { outs: outs.values(), pull: false })).toBe(false);
    expect(await canRestore(workspace, { outs: outs.values(), pull: true })).toBe(true);
    expect(existsSync(join(rig.root, '.git/mlv/cache'))).toBe(false);
    const tasks = createStorageTasks(workspace.cache());
    await restoreOutputs(workspace, { stage, outs, pull: true, tasks });
    await tasks.close();
    expect(folder()).toMatchObject({ file: 'file f', m: 'file m', 'out/b': 'file b' });
    const kept = new Map([...outs].map(([at, out]) => [at, { ...out, push: false }]));
    rig.remove('.git/mlv/cache');
    expect(await canRestore(await rig.reopen(), { outs: kept.values(), pull: true })).toBe(false);
  });
});

function lockedOf(stage: Stage, outs: ReadonlyMap<RepoPath, LockedOutput>): LockedStage {
  const { commands, wdir } = stage;
  return { commands, wdir, deps: new Map(), params: new Map(), env: new Map(), tools: new Map(), outs };
}
