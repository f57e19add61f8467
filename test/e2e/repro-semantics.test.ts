/**
 * What people who come from DVC take for granted, each in a test of its own. Where mlv differs, it is on purpose:
 *
 * | DVC                                   | here                                                             |
 * | ------------------------------------- | ---------------------------------------------------------------- |
 * | `frozen: true`, freeze, unfreeze      | the same; what is before a frozen stage is not looked at         |
 * | `--downstream`                        | the same                                                         |
 * | `-s`                                  | the same                                                         |
 * | `persist: true`                       | the same; what was there before counts as an input               |
 * | `always_changed: true`                | the same; never taken from the run cache                         |
 * | `foreach`, `matrix`: `train@x`        | the same; the bare name means all of them                        |
 * | lock file deleted                     | restored from the run cache, nothing runs                        |
 * | output changed by hand                | restored or made again; what was there stays in the cache        |
 * | output deleted by hand                | brought back, as by `dvc checkout`, instead of run               |
 * | `cache: false`                        | the same                                                         |
 * | an output that is as before stops it  | the same                                                         |
 * | params, cmd lists, wdir               | the same                                                         |
 * | several files in one graph            | all of the project, always: there is no `-R` and no `--all`      |
 * | `-f`, `-k`, `--no-run-cache`, targets | the same                                                         |
 * | stages one at a time                  | `-j N`                                                           |
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { joining, makePipeline, noting } from '../support/pipeline.ts';
import type { Stages, TestPipeline } from '../support/pipeline.ts';

let rig: MlvRig;
let count = 0;

beforeAll(() => void (rig = makeMlvRig()));
afterAll(() => rig.dispose());

const CHAIN: Stages = {
  one: joining('one', ['in'], 'a'),
  two: joining('two', ['a'], 'b'),
  three: joining('three', ['b'], 'c'),
};

/** A project whose stages ran once. */
async function ranOnce(stages: Stages, files: Readonly<Record<string, string>> = { in: '1\n' }): Promise<TestPipeline> {
  const p = await fresh(stages, files);
  await p.repro();
  p.ran();
  return p;
}

async function fresh(stages: Stages, files: Readonly<Record<string, string>> = { in: '1\n' }): Promise<TestPipeline> {
  const p = await makePipeline(rig, `project-${count++}`, stages);
  p.write(files);
  return p;
}

describe.concurrent('as in DVC', () => {
  test('a first run runs all in order; a second one runs nothing', async ({ expect }) => {
    const p = await fresh(CHAIN);
    expect(await p.plan()).toEqual({ one: 'run', two: 'run', three: 'run' });
    expect(p.ran()).toEqual([]);
    expect(await p.repro()).toEqual({ one: 'ran', two: 'ran', three: 'ran' });
    expect(p.ran()).toEqual(['one', 'two', 'three']);
    const lock = p.read('mlv.lock');
    expect(await p.repro()).toEqual({ one: 'up-to-date', two: 'up-to-date', three: 'up-to-date' });
    expect([p.ran(), p.read('mlv.lock') === lock]).toEqual([[], true]);
    expect(await p.plan()).toEqual({ one: 'skip', two: 'skip', three: 'skip' });
  });

  test('a frozen stage neither runs nor passes changes on, until it is unfrozen', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    expect((await p.mlv(['freeze', 'two'])).code).toBe(0);
    p.write({ in: '2\n' });
    expect(await p.plan()).toEqual({ one: 'run', two: 'frozen', three: 'skip' });
    expect(await p.repro('three')).toEqual({ two: 'frozen', three: 'up-to-date' });
    expect(await p.repro()).toEqual({ one: 'ran', two: 'frozen', three: 'up-to-date' });
    expect(await p.repro('-f')).toEqual({ one: 'ran', two: 'frozen', three: 'ran' });
    expect([p.ran(), p.read('c')]).toEqual([['one', 'one', 'three'], '1\n']);
    expect((await p.mlv(['unfreeze', 'two'])).code).toBe(0);
    expect(await p.repro()).toEqual({ one: 'up-to-date', two: 'ran', three: 'ran' });
    expect(p.read('c')).toBe('2\n');
  });

  test('--downstream brings up to date a stage and those after it, and none before it', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    p.write({ in: '2\n' });
    expect(await p.repro('--downstream', 'two')).toEqual({ two: 'up-to-date', three: 'up-to-date' });
    expect(await p.repro('--downstream', '-f', 'two')).toEqual({ two: 'ran', three: 'ran' });
    expect(p.ran()).toEqual(['two', 'three']);
    expect(await p.repro('--downstream', 'one')).toEqual({ one: 'ran', two: 'ran', three: 'ran' });
  });

  test('-s brings one stage up to date; a target those before it, too', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    p.write({ in: '2\n' });
    expect(await p.repro('-s', 'two')).toEqual({ two: 'up-to-date' });
    expect(await p.repro('-s', 'one')).toEqual({ one: 'ran' });
    expect(await p.repro('two')).toEqual({ one: 'up-to-date', two: 'ran' });
    expect(p.ran()).toEqual(['one', 'two']);
    expect(p.read('c')).toBe('1\n');
  });

  test('a persist output is what the command finds; its last state counts as an input', async ({ expect }) => {
    const cmd = noting('grow', 'cat in >> log && cat log > copy');
    const p = await ranOnce({ grow: { cmd, deps: ['in'], outs: [{ log: { persist: true } }, 'copy'] } });
    expect(p.read('log')).toBe('1\n');
    expect(await p.repro()).toEqual({ grow: 'up-to-date' });
    p.write({ in: '2\n' });
    expect(await p.repro()).toEqual({ grow: 'ran' });
    expect([p.read('log'), p.read('copy')]).toEqual(['1\n2\n', '1\n2\n']);
    // The first input, but not with what was there the first time.
    p.write({ in: '1\n' });
    expect(await p.repro()).toEqual({ grow: 'ran' });
    expect(p.read('log')).toBe('1\n2\n1\n');
  });

  test('always_changed runs each time, also where its result is known; what follows stops if that is as before', async ({
    expect,
  }) => {
    const p = await ranOnce({ ...CHAIN, one: { ...CHAIN['one'], always_changed: true } });
    expect(await p.reasons()).toEqual({ one: ['always_changed is set'] });
    expect(await p.repro()).toEqual({ one: 'ran', two: 'up-to-date', three: 'up-to-date' });
    expect(p.ran()).toEqual(['one']);
  });

  test('a stage that declares neither what it reads nor makes always runs', async ({ expect }) => {
    const p = await ranOnce({ hello: { cmd: noting('hello', 'true') } });
    expect(await p.repro()).toEqual({ hello: 'ran' });
  });

  test('foreach and matrix make stages by name; the bare name means all', async ({ expect }) => {
    const p = await fresh({
      split: {
        foreach: ['x', 'y'],
        do: { cmd: noting('split-${item}', 'cat in > part-${item}'), deps: ['in'], outs: ['part-${item}'] },
      },
      train: {
        matrix: { part: ['x', 'y'], rate: [1, 2] },
        cmd: noting('train-${item.part}-${item.rate}', 'cat part-${item.part} > model-${item.part}-${item.rate}'),
        deps: ['part-${item.part}'],
        outs: ['model-${item.part}-${item.rate}'],
      },
    });
    expect(await p.repro('split@y')).toEqual({ 'split@y': 'ran' });
    expect(await p.repro('train@x-2')).toEqual({ 'split@x': 'ran', 'train@x-2': 'ran' });
    expect(await p.repro('train')).toEqual({
      'split@x': 'up-to-date',
      'split@y': 'up-to-date',
      'train@x-1': 'ran',
      'train@x-2': 'up-to-date',
      'train@y-1': 'ran',
      'train@y-2': 'ran',
    });
    expect(p.ran()).toEqual(['split-y', 'split-x', 'train-x-2', 'train-x-1', 'train-y-1', 'train-y-2']);
  });

  test('without its lock file, all is restored from the run cache, and nothing runs', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    const lock = p.read('mlv.lock');
    p.write({ 'mlv.lock': null });
    expect(await p.plan()).toEqual({ one: 'restore', two: 'restore', three: 'restore' });
    expect(await p.repro()).toEqual({ one: 'restored', two: 'restored', three: 'restored' });
    p.write({ 'mlv.lock': null, a: null, c: null });
    expect(await p.repro()).toEqual({ one: 'restored', two: 'restored', three: 'restored' });
    expect([p.ran(), p.read('mlv.lock'), p.read('a'), p.read('c')]).toEqual([[], lock, '1\n', '1\n']);
  });

  test('an output that was changed by hand is made again or restored, and the edit stays in the cache', async ({
    expect,
  }) => {
    for (const options of [[], ['--no-run-cache']]) {
      const p = await ranOnce(CHAIN);
      p.write({ a: 'by hand\n', c: null });
      p.write({ c: 'changed, too\n' });
      const how = options.length === 0 ? 'restored' : 'ran';
      expect(await p.repro(...options)).toEqual({ one: how, two: 'up-to-date', three: how });
      expect([p.read('a'), p.read('c')]).toEqual(['1\n', '1\n']);
      expect(await p.isKept('by hand\n')).toBe(true);
      expect(await p.isKept('changed, too\n')).toBe(true);
      expect(await p.isKept('never there\n')).toBe(false);
    }
  });

  test('outputs that were deleted by hand are brought back, not made again', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    p.write({ a: null, c: null });
    expect(await p.plan()).toEqual({ one: 'restore', two: 'skip', three: 'restore' });
    expect(await p.repro('--no-run-cache')).toEqual({ one: 'restored', two: 'up-to-date', three: 'restored' });
    expect([p.ran(), p.read('a'), p.read('c')]).toEqual([[], '1\n', '1\n']);
  });

  test('a folder without a file is an output like others', async ({ expect }) => {
    const p = await ranOnce({
      make: { cmd: noting('make', 'mkdir empty'), deps: ['in'], outs: ['empty'] },
      read: { cmd: noting('read', 'ls empty > list'), deps: ['empty'], outs: ['list'] },
    });
    rmSync(join(p.root, 'empty'), { recursive: true });
    expect(await p.repro()).toEqual({ make: 'restored', read: 'up-to-date' });
    expect(readdirSync(join(p.root, 'empty'))).toEqual([]);
    expect(await p.repro()).toEqual({ make: 'up-to-date', read: 'up-to-date' });
    expect(p.ran()).toEqual([]);
  });

  test('cache: false leaves an output to Git: not ignored, in the lock file, restored where it was deleted', async ({
    expect,
  }) => {
    const p = await ranOnce({
      ...CHAIN,
      three: { cmd: noting('three', 'cat b > c'), deps: ['b'], metrics: [{ c: { cache: false } }] },
    });
    expect(p.read('.gitignore')).toBe('/a\n/b\n');
    expect(p.read('mlv.lock')).toContain('cache: false');
    expect(p.git('status', '--short', 'c')).toBe('?? c');
    p.git('add', '--all');
    p.git('commit', '--quiet', '-m', 'first');
    expect(await p.repro()).toEqual({ one: 'up-to-date', two: 'up-to-date', three: 'up-to-date' });
    p.write({ c: null });
    expect((await p.repro())['three']).toBe('restored');
    p.write({ c: 'by hand\n' });
    expect((await p.repro('--no-run-cache'))['three']).toBe('ran');
    expect([p.ran(), p.read('c'), await p.isKept('by hand\n')]).toEqual([['three'], '1\n', true]);
  });

  test('a result that is as before stops the run there', async ({ expect }) => {
    const p = await ranOnce({ ...CHAIN, one: { cmd: noting('one', 'head -n 1 in > a'), deps: ['in'], outs: ['a'] } });
    p.write({ in: '1\n2\n' });
    expect(await p.plan()).toEqual({ one: 'run', two: 'depends', three: 'depends' });
    expect(await p.repro()).toEqual({ one: 'ran', two: 'up-to-date', three: 'up-to-date' });
    expect(p.ran()).toEqual(['one']);
  });

  test('parameters count by value and key, of YAML, JSON and TOML, and all of a file', async ({ expect }) => {
    const p = await ranOnce(
      {
        train: {
          cmd: noting('train', 'cat params.yaml > model'),
          params: ['train.rate', { 'more.json': ['deep.0'] }, { 'third.toml': ['a.b'] }, { 'whole.yaml': null }],
          outs: ['model'],
        },
      },
      {
        'params.yaml': 'train: {rate: 1, other: 1}\n',
        'more.json': '{"deep": [1, 2]}',
        'third.toml': '[a]\nb = "x"\n',
        'whole.yaml': 'x: 1\n',
      },
    );
    p.write({
      'params.yaml': '# a comment\ntrain:\n  other: 2\n  rate: 1\n',
      'more.json': '{"deep": [1, 3]}',
      'third.toml': 'a.b = "x"',
      'whole.yaml': '{x: 1}',
    });
    expect(await p.repro()).toEqual({ train: 'up-to-date' });
    p.write({
      'params.yaml': 'train: {rate: "1"}\n',
      'more.json': '{"deep": [4]}',
      'third.toml': '',
      'whole.yaml': 'y: 1',
    });
    expect((await p.mlv(['plan'])).stdout).toMatchInlineSnapshot(`
      "run  train
             changed parameter deep.0 of more.json (1 → 4)
             changed parameter train.rate of params.yaml (1 → "1")
             parameter a.b of third.toml is gone (was "x")
             parameter x of whole.yaml is gone (was 1)
             new parameter y of whole.yaml (1)
      1 stage: 1 to run
      "
    `);
  });

  test('env: a variable that is declared counts, others do not; its value is not on record', async ({ expect }) => {
    const p = await fresh({ train: { ...CHAIN['one'], env: ['MODE'] } });
    const env = { MODE: 'secret-mode', OTHER: '1' };
    const run = async (more: Record<string, string>): Promise<string> => {
      const { stdout } = await p.mlv(['repro', '--json'], { env: more });
      return (JSON.parse(stdout.split('\n')[0] ?? '') as { type: string }).type;
    };
    expect(await run(env)).toBe('ran');
    expect(await run({ ...env, OTHER: '2' })).toBe('up-to-date');
    expect(await run({ ...env, MODE: 'b' })).toBe('ran');
    expect(await run({})).toBe('ran');
    expect(await run(env)).toBe('restored');
    expect(p.read('mlv.lock')).not.toContain('secret-mode');
  });

  test('tools: a command that answers otherwise makes the stage stale', async ({ expect }) => {
    const p = await ranOnce({ train: { ...CHAIN['one'], tools: { cc: 'cat version' } } }, { in: '1\n', version: '12' });
    expect(await p.repro()).toEqual({ train: 'up-to-date' });
    p.write({ version: '13' });
    expect(await p.reasons()).toEqual({ train: ['changed tool cc (12 → 13)'] });
    expect(await p.repro()).toEqual({ train: 'ran' });
    p.write({ version: '12' });
    expect(await p.repro()).toEqual({ train: 'restored' });
  });

  test('a list of commands runs each by itself, up to the first that fails', async ({ expect }) => {
    const lines = ['cd sub && export X=1', 'echo "$PWD $X" > ../seen', 'false', 'echo never > ../never'];
    const p = await fresh({ list: { cmd: lines, wdir: 'sub', outs: ['../seen', '../never'] } }, { 'sub/sub/keep': '' });
    const { code, stderr } = await p.mlv(['repro', '--no-progress']);
    expect([code, p.read('seen'), p.read('never')]).toEqual([1, `${join(p.root, 'sub')} \n`, undefined]);
    expect(stderr).toContain('stage list failed: `false` exited with 1');
    p.stages({ list: { cmd: lines.toSpliced(2, 1), wdir: 'sub', outs: ['../seen', '../never'] } });
    expect(await p.repro()).toEqual({ list: 'ran' });
    expect(p.read('never')).toBe('never\n');
  });

  test('a changed command runs again, the old one is restored', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    p.stages({ ...CHAIN, two: { ...CHAIN['two'], cmd: noting('two', 'cat a a > b') } });
    expect(await p.repro()).toEqual({ one: 'up-to-date', two: 'ran', three: 'ran' });
    expect(p.read('c')).toBe('1\n1\n');
    p.stages(CHAIN);
    expect(await p.repro()).toEqual({ one: 'up-to-date', two: 'restored', three: 'restored' });
    expect([p.ran(), p.read('c')]).toEqual([['two', 'three'], '1\n']);
  });

  test('files in several folders make one graph, each with its lock file; paths are relative to wdir', async ({
    expect,
  }) => {
    const p = await fresh({ last: joining('last', ['sub/b', 'in'], 'c') });
    p.stages(
      { first: joining('first', ['../in'], 'a'), second: { ...joining('second', ['../a'], '../b'), wdir: 'deep' } },
      'sub/mlv.yaml',
    );
    p.write({ 'sub/deep/keep': '' });
    const [first, second] = ['sub/mlv.yaml:first', 'sub/mlv.yaml:second'];
    expect(await p.repro()).toEqual({ [first]: 'ran', [second]: 'ran', last: 'ran' });
    expect([p.ran(), p.read('c')]).toEqual([['first', 'second', 'last'], '1\n1\n']);
    expect([p.read('mlv.lock'), p.read('sub/mlv.lock')].map((text) => text?.match(/^ {2}\w+:/gm))).toEqual([
      ['  last:'],
      ['  first:', '  second:'],
    ]);
    p.write({ in: '2\n' });
    expect(await p.repro('sub/mlv.yaml')).toEqual({ [first]: 'ran', [second]: 'ran' });
    expect(await p.plan()).toEqual({ [first]: 'skip', [second]: 'skip', last: 'run' });
    // From inside, names are those of the nearest file.
    const inner = await rig.mlv(join(p.root, 'sub/deep'), ['repro', '--json', 'second'], { env: { RUNS: p.runsFile } });
    expect(inner.stdout).toContain('{"stage":"sub/mlv.yaml:second","type":"up-to-date"}');
  });

  test('-f runs what is up to date, and those before it', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    expect(await p.repro('-f', 'two')).toEqual({ one: 'ran', two: 'ran' });
    expect(await p.repro('-f', '-s', 'two')).toEqual({ two: 'ran' });
    expect(p.ran()).toEqual(['one', 'two', 'two']);
  });

  test('--no-run-cache runs what is known', async ({ expect }) => {
    const p = await ranOnce(CHAIN);
    p.write({ in: '2\n' });
    await p.repro('one');
    p.write({ in: '1\n' });
    expect(await p.plan('--no-run-cache', 'one')).toEqual({ one: 'run' });
    expect(await p.repro('--no-run-cache', 'one')).toEqual({ one: 'ran' });
  });

  test('-k goes on with what does not need what failed, and names what was not run', async ({ expect }) => {
    const stages = {
      bad: { cmd: noting('bad', 'echo no such luck >&2; exit 3'), outs: ['a'] },
      after: joining('after', ['a'], 'b'),
      good: joining('good', ['in'], 'c'),
      last: joining('last', ['b', 'c'], 'd'),
    };
    const p = await fresh(stages);
    const first = await p.mlv(['repro', '--json']);
    expect([first.code, p.ran(), p.read('mlv.lock')]).toEqual([1, ['bad'], undefined]);
    const { code, stdout, stderr } = await p.mlv(['repro', '--no-progress', '-k']);
    expect({ code, stdout, stderr: plain(stderr) }).toMatchInlineSnapshot(`
      {
        "code": 1,
        "stderr": "bad   ▸ runs: never ran
      bad   | no such luck
      bad   ✗ stage bad failed: \`echo bad >> "$RUNS" && echo no such luck >&2; exit 3\` exited with 3
      after ⊘ not run: bad failed
      last  ⊘ not run: bad failed
      good  ▸ runs: never ran
      good  ✓ done in TIME
      ✗ 1 failed, 1 ran, 2 blocked in TIME
      error: stage bad failed: \`echo bad >> "$RUNS" && echo no such luck >&2; exit 3\` exited with 3
        no such luck
      hint: mlv logs bad shows all that it printed.
      ",
        "stdout": "",
      }
    `);
    expect([p.ran(), p.read('c'), p.read('mlv.lock')?.match(/^ {2}\w+:/gm)]).toEqual([
      ['bad', 'good'],
      '1\n',
      ['  good:'],
    ]);
  });

  test('an input inside an output of another stage links them, and so does a folder around one', async ({ expect }) => {
    const p = await ranOnce(
      {
        make: {
          cmd: noting('make', 'mkdir -p out/deep && cp in out/deep/x && cp other out/y'),
          deps: ['in', 'other'],
          outs: ['out'],
        },
        inner: joining('inner', ['out/deep/x'], 'all/i'),
        outer: { cmd: noting('outer', 'cat all/* > sum'), deps: ['all'], outs: ['sum'] },
      },
      { in: '1\n', other: '1\n', 'all/own': 'own\n' },
    );
    expect([p.ran(), p.read('sum')]).toEqual([[], '1\nown\n']);
    p.write({ other: '2\n' });
    expect(await p.repro()).toEqual({ make: 'ran', inner: 'up-to-date', outer: 'up-to-date' });
    p.write({ in: '2\n' });
    expect(await p.repro()).toEqual({ make: 'ran', inner: 'ran', outer: 'ran' });
    expect(p.read('sum')).toBe('2\nown\n');
  });

  test('an input that mlv tracks is brought back where it was deleted, and counts by content', async ({ expect }) => {
    const p = await fresh({ one: joining('one', ['data/x'], 'a') }, { 'data/x': '1\n', 'data/y': '1\n' });
    expect((await p.mlv(['add', 'data'])).code).toBe(0);
    await p.repro();
    p.write({ data: null });
    expect(await p.repro()).toEqual({ one: 'up-to-date' });
    expect(existsSync(join(p.root, 'data'))).toBe(false);
    expect(await p.repro('-f')).toEqual({ one: 'ran' });
    expect([p.read('data/x'), p.read('a')]).toEqual(['1\n', '1\n']);
    p.write({ 'data/x': null });
    expect(await p.repro()).toEqual({ one: 'up-to-date' });
    expect(await p.repro('-f')).toEqual({ one: 'ran' });
    expect([p.read('data/x'), p.read('a')]).toEqual(['1\n', '1\n']);
  });
});

function plain(text: string): string {
  return text.replaceAll(/\d+\.\d s/g, 'TIME');
}
