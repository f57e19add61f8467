import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type ClusterOutput, formatClusterTask } from '../../../src/domain/cluster-task.ts';
import type { DataVersion } from '../../../src/domain/pipeline.ts';
import type { RepoPath } from '../../../src/domain/repo-path.ts';
import { digestOf } from '../../storage/transfer-rig.ts';
import { makePodRig, type PodRig } from '../../support/kubernetes/pod-rig.ts';

const rigs: PodRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.dispose();
});

async function makeRig(options: Parameters<typeof makePodRig>[0] = {}): Promise<PodRig> {
  const rig = await makePodRig(options);
  rigs.push(rig);
  return rig;
}

const input = (path: string, version: DataVersion) => ({ path: path as RepoPath, ...version });
const out = (path: string, more: Partial<ClusterOutput> = {}): ClusterOutput => ({
  path: path as RepoPath,
  cache: true,
  persist: false,
  push: true,
  ...more,
});
const listed = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();
const filesBelow = (folder: string): string[] => listed(folder).filter((name) => statSync(join(folder, name)).isFile());

/** A rig whose stage reads `data/a.txt` and makes `model`. */
async function makeTrained(options: Parameters<typeof makePodRig>[0] = {}) {
  const rig = await makeRig(options);
  const data = await rig.publish({ 'a.txt': 'hello' });
  const task = rig.task({ inputs: [input('data', data)], outs: [out('model')] });
  rig.give(task);
  return { rig, task, data };
}

describe('a pod', () => {
  it('brings code and data, lets the stage work on them, and sends what it made', async () => {
    const rig = await makeRig();
    const code = await rig.publish({
      'run.sh': { kind: 'x', content: 'tr a-z A-Z < "$1" > model/weights\n' },
      'lib/one.txt': 'of the code',
      latest: { kind: 'l', content: 'lib/one.txt' },
      empty: { kind: 'd', content: '' },
      'data/old.txt': 'goes, as what is read is laid over the code',
    });
    const task = rig.task({
      wdir: 'work/dir' as RepoPath,
      code: code.hash,
      inputs: [
        input('bin/tool', await rig.publishFile('#!/bin/sh\necho tool\n', true)),
        input('data', await rig.publish({ 'a.txt': 'hello', 'sub/b.txt': 'world' })),
      ],
      outs: [
        out('checkpoints', { persist: true, previous: await rig.publish({ 'epoch-1': 'one' }) }),
        out('deep/metrics.json', { cache: false }),
        out('model'),
      ],
    });
    rig.give(task);
    expect(await rig.run('fetch')).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^laid out 9 files, 132 B; [\d.]+ k?B came from the remote\n$/),
      termination: undefined,
    });
    expect(listed(rig.project)).toEqual([
      'bin',
      'bin/tool',
      'checkpoints',
      'checkpoints/epoch-1',
      'data',
      'data/a.txt',
      'data/sub',
      'data/sub/b.txt',
      'deep',
      'empty',
      'latest',
      'lib',
      'lib/one.txt',
      'run.sh',
      'work',
      'work/dir',
    ]);
    expect(readlinkSync(join(rig.project, 'latest'))).toBe('lib/one.txt');
    expect(listed(rig.work).filter((name) => !name.startsWith('project/'))).toEqual(['fetched', 'home', 'project']);

    const script =
      'mkdir model && ./run.sh data/a.txt && bin/tool > deep/metrics.json && echo two > checkpoints/epoch-2 && echo more >> data/a.txt';
    expect(await rig.stage(script)).toBe(0);
    expect(await rig.run('push')).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^took in 4 files, 17 B; sent \d+ B\n$/),
      termination: undefined,
    });
    const result = await rig.result();
    const model = result?.outs.get('model' as RepoPath);
    const checkpoints = result?.outs.get('checkpoints' as RepoPath);
    expect(result).toEqual({
      job: rig.job,
      task: digestOf(formatClusterTask(task)),
      fingerprint: task.fingerprint,
      outs: new Map<string, DataVersion>([
        ['checkpoints', { type: 'dir', hash: expect.any(String), size: 7, files: 2 }],
        ['deep/metrics.json', { type: 'file', hash: digestOf('tool\n'), size: 5 }],
        ['model', { type: 'dir', hash: expect.any(String), size: 5, files: 1 }],
      ]),
      seconds: expect.any(Number),
      finished: expect.stringMatching(/^20\d\d-/),
    });
    expect(model && (await rig.contentOf(model))).toEqual({ weights: 'HELLO' });
    expect(checkpoints && (await rig.contentOf(checkpoints))).toEqual({ 'epoch-1': 'one', 'epoch-2': 'two\n' });
  });

  it('starts anew where fetch runs again, whatever was left', async () => {
    const { rig } = await makeTrained();
    await rig.run('fetch');
    await rig.stage(
      'mkdir -p model/x && touch model/x/y && chmod 0 model/x && echo changed > data/a.txt && ln -s / root',
    );
    chmodSync(join(rig.project, 'data'), 0o555);
    expect((await rig.run('fetch')).code).toBe(0);
    expect(listed(rig.project)).toEqual(['data', 'data/a.txt']);
    expect(listed(join(rig.work, 'home'))).toEqual([]);
    expect(readFileSync(join(rig.project, 'data/a.txt'), 'utf8')).toBe('hello');
  });

  it('takes from the shared cache what another pod has brought, which no stage can write to', async () => {
    const { rig } = await makeTrained();
    await rig.run('fetch');
    expect(await rig.stage('echo changed > data/a.txt && echo x > data/b.txt')).toBe(0);
    rmSync(rig.work, { recursive: true });
    expect((await rig.run('fetch')).stderr).toBe('laid out 1 files, 5 B; 0 B came from the remote\n');
    expect(readFileSync(join(rig.project, 'data/a.txt'), 'utf8')).toBe('hello');
  });

  it('shares its cache with the group, and notes no clone there', async () => {
    const { rig } = await makeTrained();
    await rig.run('fetch');
    await rig.stage('echo weights > model');
    await rig.run('push');
    expect(statSync(join(rig.cache, 'b3')).mode & 0o7777).toBe(0o2775);
    expect(statSync(join(rig.project, 'data/a.txt')).mode & 0o777).toBe(0o664);
    expect(existsSync(join(rig.cache, 'clones'))).toBe(false);
  });

  it('goes on without a shared cache that is damaged, and says so', async () => {
    const { rig } = await makeTrained();
    await rig.run('fetch');
    for (const name of filesBelow(join(rig.cache, 'b3'))) {
      const file = join(rig.cache, 'b3', name);
      chmodSync(file, 0o644);
      writeFileSync(file, readFileSync(file, 'latin1').replace('hello', 'hellO'));
    }
    const { code, stderr } = await rig.run('fetch');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^the shared cache is of no use: .*data\/a\.txt.*\. Going on without it\nlaid out 1 files/s);
    expect(readFileSync(join(rig.project, 'data/a.txt'), 'utf8')).toBe('hello');
  });

  it('works where there is no shared cache, and leaves none behind', async () => {
    const { rig } = await makeTrained({ sharedCache: false });
    expect((await rig.run('fetch')).code).toBe(0);
    expect(readdirSync(rig.work).sort()).toEqual(['fetched', 'home', 'project']);
    await rig.stage('echo weights > model');
    expect((await rig.run('push')).code).toBe(0);
    expect((await rig.result())?.outs).toEqual(
      new Map([['model', { type: 'file', hash: digestOf('weights\n'), size: 8 }]]),
    );
    expect(readdirSync(rig.work).sort()).toEqual(['fetched', 'home', 'project']);
  });

  it('has its data in a folder where that is the remote', async () => {
    const rig = await makeRig();
    const store = join(rig.folder, 'store');
    rig.give(rig.task({ remote: { url: store }, outs: [out('model')] }));
    expect((await rig.run('fetch')).code).toBe(0);
    await rig.stage('echo weights > model');
    expect((await rig.run('push')).code).toBe(0);
    expect(listed(store)).toEqual(expect.arrayContaining([`jobs/${rig.job}`, 'mlv.json']));
  });

  it('keeps the first record of a Job, though a later try made something else', async () => {
    const { rig } = await makeTrained();
    await rig.run('fetch');
    await rig.stage('echo first > model');
    await rig.run('push');
    const first = await rig.result();
    await rig.run('fetch');
    await rig.stage('echo second, and longer > model');
    expect(await rig.run('push')).toEqual({
      code: 0,
      stderr: 'what this Job made is on record already\n',
      termination: undefined,
    });
    expect(await rig.result()).toEqual(first);
  });
});

describe('a stage that is not to be trusted', () => {
  it('has refused what is no output, or leads out of it', async () => {
    const rig = await makeRig();
    rig.give(rig.task({ outs: [out('deep/file'), out('model')] }));
    await rig.run('fetch');
    const cases: readonly (readonly [script: string, code: string, message: RegExp])[] = [
      ['ln -s /etc/passwd model', 'path-is-symlink', /^model is a symlink to \/etc\/passwd$/],
      ['mkfifo model', 'path-is-special', /^model is neither a file nor a folder$/],
      ['mkdir model && mkfifo model/pipe', 'output-unreadable', /^model\/pipe: it is not a file/],
      ['mkdir model && ln -s ../../x model/l', 'output-unreadable', /^model\/l: it is a symlink .*leads out/],
      ['mkdir model && ln -s /proc/self/environ model/l', 'output-unreadable', /^model\/l: it is a symlink/],
      ['mkdir model && touch "model/$(printf "\\351")"', 'output-unreadable', /not UTF-8/],
      [
        'echo > model; rm -r deep; mkdir far; echo > far/file; ln -s far deep',
        'output-beyond-symlink',
        /^deep\/file lies/,
      ],
    ];
    for (const [script, code, message] of cases) {
      expect(await rig.stage(`rm -rf model; echo > deep/file; ${script}`)).toBe(0);
      const end = await rig.run('push');
      expect(end).toMatchObject({ code: 69, termination: { code, message: expect.stringMatching(message) } });
    }
    expect(await rig.result()).toBeUndefined();
  });

  it('cannot have content taken from the shared cache by a link into it', async () => {
    const { rig } = await makeTrained();
    await rig.run('fetch');
    const [blob = ''] = filesBelow(join(rig.cache, 'b3'));
    for (const at of ['model', 'model/l']) {
      rmSync(join(rig.project, 'model'), { recursive: true, force: true });
      mkdirSync(dirname(join(rig.project, at)), { recursive: true });
      symlinkSync(join(rig.cache, 'b3', blob), join(rig.project, at));
      expect((await rig.run('push')).code).toBe(69);
    }
  });

  it('has nothing run, or read, by what it leaves in its home', async () => {
    const rig = await makeRig();
    rig.give(rig.task({ outs: [out('model')] }));
    await rig.run('fetch');
    const home = join(rig.work, 'home');
    const ran = join(rig.folder, 'ran');
    mkdirSync(join(home, '.aws'));
    writeFileSync(join(home, '.aws/config'), `[default]\nregion = us-east-1\ncredential_process = touch ${ran}\n`);
    writeFileSync(join(home, '.aws/credentials'), '[default]\naws_access_key_id = A\naws_secret_access_key = B\n');
    const modules = join(home, '.node_modules/@napi-rs/blake-hash');
    mkdirSync(modules, { recursive: true });
    writeFileSync(join(modules, 'index.js'), `require('node:fs').writeFileSync(${JSON.stringify(ran)}, '')`);
    await rig.stage('echo weights > model');
    const env = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    expect(await rig.run('push', { env })).toMatchObject({
      code: 66,
      termination: { code: 'credentials-missing' },
    });
    expect(existsSync(ran)).toBe(false);
  });

  it('cannot have push believe what it left for it', async () => {
    const { rig } = await makeTrained();
    await rig.run('fetch');
    // As if it knew where push keeps its notes and its cache.
    renameSync(rig.cache, join(rig.work, '.mlv-abcdef'));
    mkdirSync(rig.cache);
    mkdirSync(join(rig.project, '.mlv'));
    writeFileSync(join(rig.project, '.mlv/purged'), `b3:${digestOf('weights\n')} 2026-01-01\n`);
    await rig.stage('echo weights > model && rm ../fetched && mkfifo ../fetched');
    expect((await rig.run('push')).code).toBe(0);
    const model = (await rig.result())?.outs.get('model' as RepoPath);
    expect(model && (await rig.contentOf(model))).toBe('weights\n');
    expect(readdirSync(rig.work).filter((name) => name.startsWith('.mlv'))).toEqual([]);
  });
});
