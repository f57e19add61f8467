import { chmodSync, existsSync, lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DataVersion, LockedStage, Stage, StageId } from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { openStatCache } from '../../src/storage/stat-cache.ts';
import { add } from '../../src/workspace/add.ts';
import { changedDependencies, dependencyRewritten, observeStages } from '../../src/workspace/observe-stages.ts';
import type { AskedTools } from '../../src/workspace/tool-versions.ts';
import { executable, manyFiles } from '../support/folders.ts';
import type { StageRig } from '../support/stage-rig.ts';
import { makeStage, makeStageRig } from '../support/stage-rig.ts';
import { digestOf } from '../support/trees.ts';

let rig: StageRig;
beforeEach(async () => {
  rig = await makeStageRig({ SET: 'value', EMPTY: '' });
});
afterEach(() => rig.dispose());

const file = (text: string): DataVersion => ({ type: 'file', hash: digestOf(text), size: Buffer.byteLength(text) });
const dep = async (path: string, given: Partial<Stage> = {}) =>
  (await rig.observe({ ...makeStage('s', { deps: [path] }), ...given })).deps.get(path as RepoPath);
const track = (path: string) => add(rig.workspace, { targets: [path], cwd: rig.root });

describe('single files', () => {
  test('have the digest of their bytes, and are executable or not', async () => {
    rig.write({ 'a.txt': 'a', 'run.sh': executable('#!'), 'äö/100%.txt': 'b' });
    expect((await rig.observe(makeStage('s', { deps: ['a.txt', 'none', 'run.sh', 'äö/100%.txt'] }))).deps).toEqual(
      new Map([
        ['a.txt', file('a')],
        ['none', undefined],
        ['run.sh', { ...file('#!'), exec: true }],
        ['äö/100%.txt', file('b')],
      ]),
    );
  });

  test('that changed between two looks are read again, those that did not are not', async () => {
    rig.write({ 'a.txt': 'one', 'b.txt': 'b' });
    const stage = makeStage('s', { deps: ['a.txt', 'b.txt'] });
    const before = await rig.observe(stage);
    expect(changedDependencies(before, await rig.observe(stage))).toEqual([]);
    writeFileSync(join(rig.root, 'a.txt'), 'two');
    const after = await rig.observe(stage);
    expect(after.deps.get('a.txt' as RepoPath)).toEqual(file('two'));
    chmodSync(join(rig.root, 'b.txt'), 0o755);
    expect(changedDependencies(before, await rig.observe(stage))).toEqual(['a.txt', 'b.txt']);
    expect(dependencyRewritten(stage, ['a.txt' as RepoPath])).toMatchObject({ code: 'dependency-rewritten' });
  });

  test('of other stages are still remembered after a look at one of them, and forgotten once no stage has them', async () => {
    rig.write({ 'a.txt': 'a', 'b.txt': 'b' });
    const [a, b] = [makeStage('a', { deps: ['a.txt'] }), makeStage('b', { deps: ['b.txt'] })];
    const look = (stages: readonly Stage[], all: readonly Stage[]) => {
      const pipeline = { stages: all, paramsOf: () => new Map() };
      return observeStages(rig.workspace, { stages, pipeline, locked: new Map(), tasks: rig.tasks });
    };
    const remembered = (): string[] =>
      (openStatCache(join(rig.root, '.git/mlv/state/pipelines'))?.blocks ?? []).flatMap(({ first, last }) => [
        first,
        last,
      ]);
    await look([a, b], [a, b]);
    rig.write({ 'a.txt': 'changed' });
    await look([a], [a, b]);
    expect(remembered()).toEqual(['a.txt', 'b.txt']);
    rig.write({ 'a.txt': 'again' });
    await look([a], [a]);
    expect(remembered()).toEqual(['a.txt', 'a.txt']);
  });

  test('behind a symlink are what it leads to, in the project or outside', async () => {
    rig.write({ 'v2/data.csv': 'rows', 'v2/more/x': 'x' });
    writeFileSync(join(rig.root, '../outside'), 'beyond');
    symlinkSync('v2/data.csv', join(rig.root, 'current'));
    symlinkSync('v2', join(rig.root, 'folder'));
    symlinkSync('../outside', join(rig.root, 'out'));
    symlinkSync('nowhere', join(rig.root, 'dangling'));
    expect(await dep('current')).toEqual(file('rows'));
    expect(await dep('out')).toEqual(file('beyond'));
    expect(await dep('dangling')).toBeUndefined();
    expect(await dep('folder')).toEqual(await dep('v2'));
  });

  test('which a run has just made are not looked at', async () => {
    rig.write({ 'a.txt': 'a' });
    const known = new Map([['a.txt', { ...file('other'), cache: true, persist: false, push: true }]]);
    const stage = makeStage('s', { deps: ['a.txt'], outs: ['a.txt'] });
    const { deps, outs } = await rig.observe(stage, known);
    expect([deps.get('a.txt' as RepoPath), outs.get('a.txt' as RepoPath)]).toEqual([file('other'), file('other')]);
  });
});

describe('folders', () => {
  test('have the tree of what is in them, without what is no part of code', async () => {
    rig.write({ 'src/a.py': 'a', 'src/sub/b.py': 'b' });
    const before = await dep('src');
    expect(before).toMatchObject({ type: 'dir', files: 2, size: 2 });
    rig.write({
      'src/__pycache__/a.pyc': 'x',
      'src/.gitignore': '/y\n',
      'src/mlv.lock': 'version: 0\nstages: {}\n',
      'src/sub/.DS_Store': 'z',
    });
    expect(await dep('src')).toEqual(before);
    rig.write({ 'src/sub/b.py': 'B' });
    const edited = await dep('src');
    expect(edited).not.toEqual(before);
    rig.write({ '.mlvignore': '/src/sub\n' });
    expect(await dep('src')).toMatchObject({ files: 1 });
  });

  test('do not hold what their own stage makes in them', async () => {
    rig.write({ 'src/a.py': 'a' });
    const stage = makeStage('s', { deps: ['src'], outs: ['src/model.bin'] });
    const before = await rig.observe(stage);
    rig.write({ 'src/model.bin': 'weights' });
    expect(changedDependencies(before, await rig.observe(stage))).toEqual([]);
    expect((await rig.observe(makeStage('t', { deps: ['src'] }))).deps.get('src' as RepoPath)).toMatchObject({
      files: 2,
    });
  });

  test('that are tracked have the version of their pointer where nothing of them is here', async () => {
    rig.write({ 'data/a': 'a', 'data/sub/b': 'b', 'data/sub/c': 'c', 'file.bin': 'f' });
    await track('data');
    await track('file.bin');
    const whole = await dep('data');
    const [inner, one, single] = [await dep('data/sub'), await dep('data/sub/b'), await dep('file.bin')];
    expect([whole, inner, one, single]).toMatchObject([{ files: 3 }, { files: 2 }, file('b'), file('f')]);
    rig.remove('data', 'file.bin');
    expect([await dep('data'), await dep('data/sub'), await dep('data/sub/b'), await dep('file.bin')]).toEqual([
      whole,
      inner,
      one,
      single,
    ]);
    expect(await dep('data/none')).toBeUndefined();
  });

  test('that hold tracked data have one version, whatever of that is here', async () => {
    rig.write({
      'all/notes.txt': 'n',
      'all/data/a': 'a',
      'all/data/.gitignore': 'data counts whole',
      'all/one.bin': '1',
    });
    await track('all/data');
    await track('all/one.bin');
    const before = await dep('all');
    expect(before).toMatchObject({ type: 'dir', files: 4 });
    rig.remove('all/data', 'all/one.bin');
    expect(await dep('all')).toEqual(before);
    rig.write({ 'all/data/a': 'edited' });
    expect(await dep('all')).not.toEqual(before);
    rig.remove('all/data', 'all/notes.txt');
    expect(await dep('all')).not.toEqual(before);
  });

  test('that other stages made have the version of the lock where they are not here', async () => {
    const make = makeStage('make', { outs: ['out', 'one'] });
    await rig.run(make, { ...manyFiles(20, 'out/'), one: '1' });
    const observeBoth = async () => {
      const use = makeStage('use', { deps: ['out', 'out/000', 'one'] });
      const locked = new Map([['make' as StageId, lockedMake]]);
      const pipeline = { stages: [make, use], paramsOf: () => new Map() };
      const seen = await observeStages(rig.workspace, { stages: [use], pipeline, locked, tasks: rig.tasks });
      return seen.get('use' as StageId)?.deps;
    };
    const lockedMake = await rig.run(make, { ...manyFiles(20, 'out/'), one: '1' });
    const here = await observeBoth();
    expect(here?.get('out' as RepoPath)).toMatchObject({ files: 20 });
    rig.remove('out', 'one');
    expect(await observeBoth()).toEqual(here);
  });
});

describe('what else a stage finds', () => {
  test('digests of variables, null for one that is not set', async () => {
    const { env } = await rig.observe(makeStage('s', { env: ['EMPTY', 'NOT_SET', 'SET'] }));
    expect([...env]).toEqual([
      ['EMPTY', digestOf('')],
      ['NOT_SET', null],
      ['SET', digestOf('value')],
    ]);
  });

  test('versions of tools: each command runs once, what it prints is trimmed', async () => {
    const count = 'echo x >> runs; echo; echo " v1 "; echo noise >&2';
    const stages = [
      makeStage('a', { tools: { one: count, two: 'echo v2 >&2' } }),
      makeStage('b', { tools: { other: count, long: 'yes | head -c 100000' } }),
    ];
    const pipeline = { stages, paramsOf: () => new Map() };
    const seen = await observeStages(rig.workspace, { stages, pipeline, locked: new Map(), tasks: rig.tasks });
    expect([...(seen.get('a' as StageId)?.tools ?? [])]).toEqual([
      ['one', 'v1'],
      ['two', 'v2'],
    ]);
    expect(seen.get('b' as StageId)?.tools.get('other')).toBe('v1');
    expect(seen.get('b' as StageId)?.tools.get('long')?.length).toBe(4095);
    expect(await dep('runs')).toEqual(file('x\n'));
  });

  test('of a stage that nobody ran here no tool is asked, unless it is to run', async () => {
    const stage = makeStage('s', { tools: { one: 'echo x >> asked; echo v1' } });
    const pipeline = { stages: [stage], paramsOf: () => new Map() };
    const locked = new Map([[stage.id, { ...emptyLock(stage), tools: new Map([['one', 'v0']]) }]]);
    const versions = async (tools: AskedTools) => {
      const seen = await observeStages(rig.workspace, { stages: [stage], pipeline, locked, tasks: rig.tasks, tools });
      return [...(seen.get(stage.id)?.tools ?? [])];
    };
    expect(await versions('none')).toEqual([['one', 'v0']]);
    expect(await versions('asked-before')).toEqual([['one', 'v0']]);
    expect(existsSync(join(rig.root, 'asked'))).toBe(false);
    expect(await versions('all')).toEqual([['one', 'v1']]);
    expect(await versions('asked-before')).toEqual([['one', 'v1']]);
    expect(await versions('none')).toEqual([['one', 'v0']]);
    expect(readFileSync(join(rig.root, 'asked'), 'utf8')).toBe('x\nx\n');
  });

  test('a tool that fails is named, with what it said', async () => {
    const failing = rig.observe(makeStage('s', { tools: { gpu: 'echo no driver >&2; exit 9' } }));
    await expect(failing).rejects.toMatchObject({
      code: 'tool-failed',
      message: 'the version of gpu is not known: it exited with 9: echo no driver >&2; exit 9',
      items: ['no driver'],
    });
  });

  test('an output that is gone was deleted, or was never here', async () => {
    const stage = makeStage('s', { outs: ['made', { path: 'metrics.json', cache: false }, 'new'] });
    const states = async () => Object.fromEntries((await rig.observe(stage)).outs);
    expect(await states()).toEqual({ made: 'not-checked-out', 'metrics.json': 'deleted', new: 'not-checked-out' });
    await rig.run({ ...stage, outs: stage.outs.slice(0, 2) }, { made: 'm', 'metrics.json': '{}' });
    expect(await states()).toEqual({ made: file('m'), 'metrics.json': file('{}'), new: 'not-checked-out' });
    rig.remove('made', 'metrics.json');
    expect(await states()).toEqual({ made: 'deleted', 'metrics.json': 'deleted', new: 'not-checked-out' });
    rig.remove('.git/mlv/checkout');
    expect(await states()).toEqual({ made: 'not-checked-out', 'metrics.json': 'deleted', new: 'not-checked-out' });
  });
});

test('a thousand stages that did not change are looked at in no time', async () => {
  const stages: Stage[] = [];
  const files: Record<string, string> = {};
  for (let index = 0; index < 1_000; index++) {
    const deps = ['a', 'b', 'c'].map((name) => `in/${index % 10}/${index}${name}`);
    for (const path of [...deps, `out/${index}`]) files[path] = path;
    stages.push(makeStage(`s${index}`, { deps, outs: [`out/${index}`] }));
  }
  rig.write(files);
  const pipeline = { stages, paramsOf: () => new Map() };
  const look = () => observeStages(rig.workspace, { stages, pipeline, locked: new Map(), tasks: rig.tasks });
  const first = await look();
  await new Promise((resolve) => setTimeout(resolve, 150));
  await look();
  const paths = Object.keys(files).map((path) => join(rig.root, path));
  let [least, leastOfLstat] = [Infinity, Infinity];
  for (let round = 0; round < 3; round++) {
    least = Math.min(least, await cpuOf(async () => expect(await look()).toEqual(first)));
    leastOfLstat = Math.min(leastOfLstat, await cpuOf(() => paths.map((path) => lstatSync(path))));
  }
  // Measured against the very least that has to be done, on whatever machine: about 7.
  expect(least / leastOfLstat).toBeLessThan(20);
});

/** Milliseconds of the processor. */
async function cpuOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function emptyLock({ commands, wdir }: Stage): LockedStage {
  const none = new Map<never, never>();
  return { commands, wdir, deps: none, params: none, env: none, tools: none, outs: none };
}
