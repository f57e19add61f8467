/** Results of others: branches, fresh clones, and how little of the data a run needs. */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { TestPipeline } from '../support/pipeline.ts';
import { makePipeline, noting, pipelineIn } from '../support/pipeline.ts';

let rig: MlvRig;
let count = 0;

beforeAll(() => void (rig = makeMlvRig()));
afterAll(() => rig.dispose());

const RAW = 'raw '.repeat(5_000);
const STAGES = {
  clean: { cmd: noting('clean', 'tr a-z A-Z < raw > cleaned'), deps: ['raw'], outs: ['cleaned'] },
  features: {
    cmd: noting('features', 'mkdir f && head -c 100 cleaned > f/train && head -c 50 cleaned > f/test'),
    deps: ['cleaned'],
    outs: ['f'],
  },
  train: { cmd: noting('train', 'cat f/train code > model'), deps: ['f/train', 'code'], outs: ['model'] },
  report: { cmd: noting('report', 'wc -c < model > report'), deps: ['model'], metrics: [{ report: { cache: false } }] },
};
const ALL = Object.keys(STAGES);
const SKIPPED = Object.fromEntries(ALL.map((name) => [name, 'skip']));
const NOTHING_TO_DO = Object.fromEntries(ALL.map((name) => [name, 'up-to-date']));

/** A project that ran, with its data and results at a remote; its commits are Ada's. */
async function shared(): Promise<TestPipeline & { readonly store: string }> {
  const p = await makePipeline(rig, `shared-${count++}`, STAGES);
  p.write({ raw: RAW, code: 'v1\n' });
  const store = join(rig.folder, `store-${count++}`);
  await succeed(p, 'remote', 'add', '-d', 'store', store);
  await succeed(p, 'add', 'raw');
  await p.repro();
  p.git('add', '--all');
  p.git('commit', '--quiet', '-m', 'first');
  await succeed(p, 'push', '--run-cache');
  p.ran();
  return { ...p, store };
}

function cloneOf(p: TestPipeline): TestPipeline {
  const name = `clone-${count++}`;
  p.git('clone', '--quiet', '.', join(rig.folder, name));
  return pipelineIn(rig, repositoryAt(join(rig.folder, name)), name);
}

async function succeed(p: TestPipeline, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await p.mlv(['--no-progress', ...args]);
  if (code !== 0) throw new Error(`mlv ${args.join(' ')} exited with ${code}:\n${stdout}${stderr}`);
  return stdout + stderr;
}

/** Bytes of data that a clone has got. */
function cached({ root }: TestPipeline): number {
  const folder = join(root, '.git/mlv/cache');
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

describe.concurrent('branches', () => {
  test('a switch and back restores what is known, and says whose it is', async ({ expect }) => {
    const p = await shared();
    p.git('switch', '--quiet', '-c', 'side');
    p.write({ code: 'v2\n' });
    expect(await p.repro()).toEqual({ ...NOTHING_TO_DO, train: 'ran', report: 'ran' });
    p.git('commit', '--quiet', '--all', '-m', 'second');
    expect(p.ran()).toEqual(['train', 'report']);
    p.git('switch', '--quiet', 'main');
    expect(await p.plan()).toEqual({ clean: 'skip', features: 'skip', train: 'restore', report: 'skip' });
    expect((await succeed(p, 'repro')).replaceAll(/\d+\.\d s/g, 'TIME')).toMatchInlineSnapshot(`
      "train    ↺ restored, made by Ada
      ✓ 1 restored, 3 up to date in TIME
      "
    `);
    expect(p.read('model')).toBe(`${RAW.slice(0, 100).toUpperCase()}v1\n`);
    p.git('switch', '--quiet', 'side');
    await p.repro();
    expect([p.ran(), p.read('model')?.slice(100), p.git('status', '--short')]).toEqual([[], 'v2\n', '']);
  });

  test('an experiment that was undone without Git is restored as well, by name of who made it', async ({ expect }) => {
    const p = await shared();
    p.write({ code: 'v2\n' });
    await p.repro();
    p.write({ code: 'v1\n' });
    expect((await succeed(p, 'repro')).replaceAll(/\d+\.\d s/g, 'TIME')).toMatchInlineSnapshot(`
      "train    ↺ restored, made by Ada
      report   ↺ restored, made by Ada
      ✓ 2 restored, 2 up to date in TIME
      "
    `);
    expect([p.ran(), p.read('model')?.slice(100)]).toEqual([['train', 'report'], 'v1\n']);
  });
});

describe.concurrent('clones', () => {
  test('after pull --run-cache nothing runs, nor without having pulled anything', async ({ expect }) => {
    const p = await shared();
    const pulled = cloneOf(p);
    await succeed(pulled, 'pull', '--run-cache');
    expect(await pulled.repro()).toEqual(NOTHING_TO_DO);
    expect([pulled.ran(), pulled.read('model')]).toEqual([[], p.read('model')]);
    const bare = cloneOf(p);
    expect(await bare.repro()).toEqual(NOTHING_TO_DO);
    expect([bare.ran(), bare.read('model'), bare.git('status', '--short')]).toEqual([[], undefined, '']);
  });

  test('without a lock file, results of others are restored after pull --run-cache, and by repro --pull', async ({
    expect,
  }) => {
    const p = await shared();
    for (const pull of [true, false]) {
      const clone = cloneOf(p);
      if (pull) await succeed(clone, 'pull', '--run-cache');
      clone.write({ 'mlv.lock': null });
      const restored = Object.fromEntries(ALL.map((name) => [name, 'restored']));
      expect(await clone.repro(...(pull ? [] : ['--pull']))).toEqual(restored);
      expect([clone.ran(), clone.read('model'), clone.git('status', '--short')]).toEqual([[], p.read('model'), '']);
    }
  });

  test('what was written by hand where nothing was checked out makes room for all of a known result, and is kept', async ({
    expect,
  }) => {
    const p = await shared();
    const clone = cloneOf(p);
    clone.write({ 'mlv.lock': null, 'f/mine': 'by hand\n', 'f/train': 'by hand, too\n' });
    const restored = Object.fromEntries(ALL.map((name) => [name, 'restored']));
    expect(await clone.repro('--pull')).toEqual(restored);
    expect(['f/train', 'f/test', 'f/mine'].map(clone.read)).toEqual([p.read('f/train'), p.read('f/test'), undefined]);
    expect([await clone.isKept('by hand\n'), await clone.isKept('by hand, too\n')]).toEqual([true, true]);
    expect([await clone.repro(), clone.ran()]).toEqual([NOTHING_TO_DO, []]);
  });

  test('of a result of which a part was checked out, a restored one has that part', async ({ expect }) => {
    const p = await shared();
    const clone = cloneOf(p);
    await succeed(clone, 'pull', 'f/train');
    clone.write({ 'mlv.lock': null });
    expect(await clone.repro('--pull')).toMatchObject({ features: 'restored' });
    expect(['f/train', 'f/test'].map(clone.read)).toEqual([p.read('f/train'), undefined]);
    expect([await clone.repro(), clone.ran()]).toEqual([NOTHING_TO_DO, []]);
    expect(await succeed(clone, 'status')).not.toContain('removed');
  });

  test('a colleague continues: what changed runs, and only what it reads is fetched', async ({ expect }) => {
    const p = await shared();
    for (const options of [[], ['--pull']]) {
      const clone = cloneOf(p);
      clone.write({ code: 'version 2\n' });
      const { code, stdout } = await clone.mlv(['plan', '--json']);
      const planned = JSON.parse(stdout) as { stage: string; action: string; bytes: number }[];
      expect([code, planned.map(({ stage, action, bytes }) => [stage, action, bytes])]).toEqual([
        0,
        [
          ['clean', 'skip', 0],
          ['features', 'skip', 0],
          ['train', 'run', 100],
          ['report', 'depends', 0],
        ],
      ]);
      expect(await clone.repro(...options)).toEqual({ ...NOTHING_TO_DO, train: 'ran', report: 'ran' });
      expect([clone.ran(), clone.read('model')?.slice(100)]).toEqual([['train', 'report'], 'version 2\n']);
      // Of the one folder the one file; nothing of what is before.
      expect([clone.read('raw'), clone.read('cleaned'), clone.read('f/train')?.length, clone.read('f/test')]).toEqual([
        undefined,
        undefined,
        100,
        undefined,
      ]);
      expect(await clone.isKept(RAW.slice(0, 50).toUpperCase())).toBe(false);
      expect(cached(clone)).toBeLessThan(RAW.length / 2);
    }
  });

  test('--pull fetches what a colleague has run since, instead of running it', async ({ expect }) => {
    const p = await shared();
    const clone = cloneOf(p);
    p.write({ code: 'version 2\n' });
    await p.repro();
    await succeed(p, 'push', '--run-cache');
    clone.write({ code: 'version 2\n' });
    expect(await clone.repro('--pull')).toEqual({ ...NOTHING_TO_DO, train: 'restored', report: 'restored' });
    expect([clone.ran(), clone.read('model'), clone.read('report')]).toEqual([[], p.read('model'), p.read('report')]);
    expect([clone.read('raw'), clone.read('cleaned'), clone.read('f/train')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('results of others are not taken where only own ones are trusted', async ({ expect }) => {
    const p = await shared();
    const clone = cloneOf(p);
    await succeed(clone, 'pull', '--run-cache');
    await succeed(clone, 'config', '--local', 'runCache.trust', 'mine');
    clone.write({ 'mlv.lock': null });
    const env = { RUNS: clone.runsFile, GIT_AUTHOR_NAME: 'Eve', GIT_AUTHOR_EMAIL: 'eve@example.com' };
    expect((await clone.mlv(['repro'], { env })).code).toBe(0);
    expect(clone.ran()).toEqual(ALL);
  });

  test('data that is nowhere any more: what has to run says so, the rest is up to date', async ({ expect }) => {
    const p = await shared();
    const clone = cloneOf(p);
    // What is in a folder is known to the remote alone.
    await succeed(clone, 'pull', 'f');
    rmSync(p.store, { recursive: true });
    expect(await clone.repro()).toEqual(NOTHING_TO_DO);
    clone.write({ code: 'v2\n', report: '1\n' });
    expect(await clone.plan()).toEqual({ ...SKIPPED, train: 'run', report: 'run' });
    clone.write({ 'mlv.yaml': clone.read('mlv.yaml')?.replace('head -c 100', 'head -c  100') ?? '' });
    const { code, stderr } = await clone.mlv(['repro', '--no-progress']);
    expect(code).toBe(1);
    expect(
      stderr
        .replaceAll(/\d+\.\d s/g, 'TIME')
        .replaceAll(rig.folder, '')
        .replaceAll(/-\d+/g, '')
        .replaceAll(/[0-9a-f]{32}/g, 'ID'),
    ).toMatchInlineSnapshot(`
      "features ✗ there was a remote at /store, and now its mlv.json is not there
      train    ⊘ not run: features failed
      report   ⊘ not run: features failed
      ✗ 1 failed, 1 up to date, 2 blocked in TIME
      error: there was a remote at /store, and now its mlv.json is not there
      hint: Is the disk mounted, the bucket the right one? If it was deleted on purpose, remove /clone/.git/mlv/remotes/ID/index and push again.
      "
    `);
    expect(clone.ran()).toEqual([]);
  });
});
