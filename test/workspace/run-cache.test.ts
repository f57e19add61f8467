import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { LockedStage, Stage, StageId } from '../../src/domain/pipeline.ts';
import { runFolder } from '../../src/domain/remote-layout.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { formatRunRecord } from '../../src/domain/run-record.ts';
import { changeSettings } from '../../src/workspace/config.ts';
import { readCloneRoots } from '../../src/workspace/gc-roots.ts';
import { forgetRuns, listRuns } from '../../src/workspace/list-runs.ts';
import type { Workspace } from '../../src/workspace/open.ts';
import { addRemote } from '../../src/workspace/remotes.ts';
import { restoreOutputs } from '../../src/workspace/restore-outputs.ts';
import {
  describeRun,
  expireRuns,
  hasRun,
  openRunCache,
  runOrigin,
  runRoots,
  storeRun,
} from '../../src/workspace/run-cache.ts';
import { fetchRuns, pushRuns } from '../../src/workspace/run-transfer.ts';
import { createStorageTasks } from '../../src/workspace/task-runner.ts';
import type { StageRig } from '../support/stage-rig.ts';
import { makeStage, makeStageRig } from '../support/stage-rig.ts';
import { digestOf } from '../support/trees.ts';

let rig: StageRig;
beforeEach(async () => {
  rig = await makeStageRig();
});
afterEach(() => rig.dispose());

const FINGERPRINT = digestOf('what it depends on');
const stage = makeStage('train', { outs: ['model', { path: 'metrics.json', cache: false }] });
const run = (model: string, of: Stage = stage) =>
  rig.run(of, { 'model/weights': model, 'model/vocabulary': 'v', 'metrics.json': `{"of": "${model}"}` });
const recordOf = async (locked: LockedStage, of: Stage = stage) =>
  describeRun({
    stage: of,
    fingerprint: FINGERPRINT,
    outs: locked.outs,
    seconds: 1.5,
    origin: await runOrigin(rig.workspace),
  });
const put = async (locked: LockedStage, workspace: Workspace = rig.workspace) =>
  openRunCache(workspace).put(await recordOf(locked));
const find = (workspace: Workspace = rig.workspace, pull = false, of: Stage = stage) =>
  openRunCache(workspace).find(FINGERPRINT, { stage: of, pull, seen: new Map() });
const folderOf = (root: string): string => join(root, runFolder(FINGERPRINT));
const local = (): string => folderOf(join(rig.root, '.git/mlv'));
const age = (path: string, days: number): void => {
  const time = Date.now() / 1000 - days * 86_400;
  utimesSync(path, time, time);
};

describe('on this machine', () => {
  test('a result is found by its fingerprint, and says whose it is', async () => {
    expect(await find()).toBeUndefined();
    const head = rig.repository.commit({ 'code.py': 'x' });
    const locked = await run('one');
    await put(locked);
    expect(await find()).toEqual({
      outs: locked.outs,
      away: locked.outs,
      record: {
        fingerprint: FINGERPRINT,
        stage: 'train',
        outs: locked.outs,
        producer: { name: 'Ada', email: 'ada@example.com' },
        commit: head,
        platform: `${process.platform}-${process.arch}`,
        finished: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        seconds: 1.5,
      },
    });
    expect(
      await openRunCache(rig.workspace).find(digestOf('else'), { stage, pull: false, seen: new Map() }),
    ).toBeUndefined();
  });

  test('the newest whose data is here wins', async () => {
    const one = await run('one');
    const two = await run('two');
    const [older, newer] = [await recordOf(one), await recordOf(two)];
    storeRun(rig.workspace, { fingerprint: FINGERPRINT, text: formatRunRecord(newer), time: 2_000_000 });
    storeRun(rig.workspace, { fingerprint: FINGERPRINT, text: formatRunRecord(older), time: 1_000_000 });
    expect((await find())?.outs).toEqual(two.outs);
    const [lost] = [...(two.outs.get('metrics.json' as RepoPath)?.hash ?? '').matchAll(/^(..)(.*)$/g)];
    rig.remove(`.git/mlv/cache/b3/${lost?.[1]}/${lost?.[2]}`);
    expect((await find(await rig.reopen()))?.outs).toEqual(one.outs);
  });

  test('what a crash of the machine left of it is no result, and the next one takes its place', async () => {
    const locked = await run('one');
    await put(locked);
    const [name = ''] = readdirSync(local());
    const file = join(local(), name);
    const text = readFileSync(file, 'utf8');
    for (const left of ['', text.slice(0, 40), '\0'.repeat(text.length), `${text.slice(0, -3)}\xff}}`]) {
      writeFileSync(file, left, 'latin1');
      expect(await find()).toBeUndefined();
      expect(openRunCache(rig.workspace).list()).toEqual([]);
      expect(hasRun(rig.workspace, FINGERPRINT, name as Digest)).toBe(false);
      storeRun(rig.workspace, { fingerprint: FINGERPRINT, text });
      expect([readdirSync(local()), readFileSync(file, 'utf8')]).toEqual([[name], text]);
      expect((await find())?.outs).toEqual(locked.outs);
    }
  });

  test("it is another stage's too, in another folder, where that declares the same outputs; kept as that says", async () => {
    const locked = await run('one');
    await put(locked);
    const outs = [{ path: 'sub/model', push: false, remote: 'mine' }, 'sub/metrics.json'];
    const moved = makeStage('other', { file: 'sub/mlv.yaml' as RepoPath, outs });
    const found = await find(rig.workspace, false, moved);
    expect([...(found?.outs ?? [])]).toMatchObject([
      ['sub/model', { type: 'dir', push: false, remote: 'mine' }],
      ['sub/metrics.json', { type: 'file', cache: true }],
    ]);
    expect(await find(rig.workspace, false, makeStage('less', { outs: ['model'] }))).toBeUndefined();
    expect(
      await find(rig.workspace, false, makeStage('more', { outs: ['model', 'metrics.json', 'x'] })),
    ).toBeUndefined();
  });

  test("with runCache.trust: mine, somebody else's result is none", async () => {
    const record = await recordOf(await run('one'));
    const other = { ...record, producer: { name: 'Eve', email: 'eve@example.com' } };
    storeRun(rig.workspace, { fingerprint: FINGERPRINT, text: formatRunRecord(other) });
    expect(await find()).toBeDefined();
    const { root, repository } = rig;
    const changes = [['runCache.trust', 'mine'] as const];
    await changeSettings({ cwd: root, environment: repository.env, scope: 'clone', changes });
    expect(await find(await rig.reopen())).toBeUndefined();
    openRunCache(rig.workspace).put(record);
    expect((await find(await rig.reopen()))?.record.producer?.name).toBe('Ada');
  });

  test('what is damaged, or lies under a name that is not its own, is no result', async () => {
    const record = await recordOf(await run('one'));
    mkdirSync(local(), { recursive: true });
    const text = formatRunRecord(record);
    writeFileSync(join(local(), digestOf('another')), text);
    writeFileSync(join(local(), digestOf(`${text} `)), `${text} x`);
    writeFileSync(join(local(), 'readme'), text);
    const elsewhere = digestOf('another fingerprint');
    storeRun(rig.workspace, { fingerprint: elsewhere, text });
    expect(openRunCache(rig.workspace).list()).toEqual([]);
  });

  test('its data is kept by collections for 90 days after its last use, then it is forgotten', async () => {
    const locked = await run('one');
    await put(locked);
    const roots = ['metrics.json', 'model'].map((path) => {
      const { hash: digest, type } = locked.outs.get(path as RepoPath) ?? {};
      return { digest, type };
    });
    const kept: unknown[] = [];
    for await (const root of readCloneRoots(rig.workspace, {})) kept.push(root);
    expect(kept).toEqual(expect.arrayContaining(roots));
    age(local(), 89);
    expect([...runRoots(rig.workspace)]).toEqual(roots);
    age(local(), 91);
    expect([...runRoots(rig.workspace)]).toEqual([]);
    // Use makes it young again.
    await find();
    expect([...runRoots(rig.workspace)]).toEqual(roots);
    expireRuns(rig.workspace);
    expect(readdirSync(local())).toHaveLength(1);
    age(local(), 91);
    expireRuns(rig.workspace);
    expect(existsSync(local())).toBe(false);
  });

  test('it can be listed and forgotten, by stage and age', async () => {
    const record = await recordOf(await run('one'));
    openRunCache(rig.workspace).put(record);
    storeRun(rig.workspace, { fingerprint: FINGERPRINT, text: formatRunRecord({ ...record, stage: 'b' }), time: 1 });
    const list = async (name?: string) =>
      (await listRuns(rig.workspace, { stage: name as StageId | undefined })).map((each) => each.stage);
    expect(await listRuns(rig.workspace, { stage: 'train' as StageId })).toMatchObject([
      { outs: ['metrics.json', 'model'], size: 17, isHere: true, producer: { name: 'Ada' } },
    ]);
    expect(await list()).toEqual(['train', 'b']);
    const forget = (given: { stage?: string; olderThan?: number; isDry?: boolean; answer?: boolean }) =>
      forgetRuns(rig.workspace, {
        stage: given.stage as StageId | undefined,
        olderThan: given.olderThan,
        isDry: given.isDry === true,
        confirm: () => Promise.resolve(given.answer !== false),
      });
    expect(await forget({ isDry: true })).toMatchObject({ done: false, runs: [{}, {}] });
    expect(await forget({ answer: false })).toMatchObject({ done: false });
    expect(await list()).toEqual(['train', 'b']);
    expect(await forget({ olderThan: 86_400_000 })).toMatchObject({ done: true, runs: [{ stage: 'b' }] });
    expect(await list()).toEqual(['train']);
    await forget({ stage: 'train' });
    expect(existsSync(local())).toBe(false);
  });
});

describe('on a remote', () => {
  const store = (): string => join(rig.root, '../store');
  const options = () => ({ targets: [], cwd: rig.root });
  beforeEach(async () => {
    const environment = rig.repository.env;
    await addRemote({ cwd: rig.root, environment, name: 'store', url: '../store', isDefault: true });
  });

  test('a result goes there with its data, and comes to another clone, which restores it', async () => {
    const locked = await run('one');
    await put(locked);
    const workspace = await rig.reopen();
    expect(await pushRuns(workspace, options())).toEqual({ sent: 1, known: 0, incomplete: 0 });
    expect(await pushRuns(workspace, options())).toEqual({ sent: 0, known: 1, incomplete: 0 });
    const [name = ''] = readdirSync(folderOf(store()));
    utimesSync(join(folderOf(store()), name), 1_000, 1_000);

    rig.remove('.git/mlv/cache', '.git/mlv/runs', 'model', 'metrics.json');
    const other = await rig.reopen();
    const fetched = await fetchRuns(other, { fingerprints: [digestOf('else'), FINGERPRINT] });
    expect(fetched).toEqual({ received: 1, known: 0, invalid: [] });
    expect(await fetchRuns(other, {})).toEqual({ received: 0, known: 1, invalid: [] });
    // The store's clock tells which is the newest.
    expect(openRunCache(other).list()).toMatchObject([{ time: 1_000_000 }]);
    expect(await find(other)).toBeUndefined();
    const found = await find(other, true);
    expect(found?.outs).toEqual(locked.outs);
    const tasks = createStorageTasks(other.cache());
    await restoreOutputs(other, { stage, outs: found?.outs ?? new Map(), pull: true, tasks });
    await tasks.close();
    expect(readFileSync(join(rig.root, 'model/weights'), 'utf8')).toBe('one');
  });

  test('only those go of stages that are recorded, and that were asked for, and whose data may go', async () => {
    await put(await run('one'));
    const record = await recordOf(await run('two'));
    openRunCache(rig.workspace).put({ ...record, stage: 'gone' });
    const outs = new Map([...record.outs].map(([path, out]) => [path, { ...out, push: false }]));
    openRunCache(rig.workspace).put({ ...record, outs });
    const lost = { type: 'file', hash: digestOf('nowhere'), size: 7, cache: true, persist: false, push: true } as const;
    openRunCache(rig.workspace).put({ ...record, outs: new Map([['model', lost]]) });
    const workspace = await rig.reopen();
    mkdirSync(join(rig.root, 'elsewhere'));
    const targets = ['elsewhere'];
    expect(await pushRuns(workspace, { ...options(), targets })).toEqual({ sent: 0, known: 0, incomplete: 0 });
    expect(await pushRuns(workspace, { ...options(), targets: ['model'] })).toEqual({
      sent: 1,
      known: 0,
      incomplete: 2,
    });
    expect(readdirSync(folderOf(store()))).toHaveLength(1);
  });

  test('what is there and is no result is passed over, and named', async () => {
    await put(await run('one'));
    const workspace = await rig.reopen();
    await pushRuns(workspace, options());
    const [name = ''] = readdirSync(folderOf(store()));
    const text = readFileSync(join(folderOf(store()), name), 'utf8');
    const forged = text.replace('"seconds":1.5', '"seconds":0.5');
    const keys = [
      `${runFolder(FINGERPRINT)}${digestOf('not its hash')}`,
      `${runFolder(digestOf('other'))}${name}`,
      `${runFolder(FINGERPRINT)}readme`,
      `${runFolder(FINGERPRINT)}${digestOf('{}')}`,
    ];
    const contents = [forged, text, 'x', '{}'];
    for (const [index, key] of keys.entries()) {
      mkdirSync(dirname(join(store(), key)), { recursive: true });
      writeFileSync(join(store(), key), contents[index] ?? '');
    }
    rig.remove('.git/mlv/runs');
    expect(await fetchRuns(workspace, {})).toEqual({ received: 1, known: 0, invalid: keys.sort() });
    expect(openRunCache(workspace).list()).toHaveLength(1);
  });
});
