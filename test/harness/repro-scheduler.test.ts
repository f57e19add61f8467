/** `mlv repro` with commands that the test holds back and lets go, and with signals: what runs when, and what is left. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { MlvResult, MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { Stages, TestPipeline } from '../support/pipeline.ts';
import { joining, makePipeline, noting, outcomesIn } from '../support/pipeline.ts';

let rig: MlvRig;
let count = 0;

beforeAll(() => void (rig = makeMlvRig()));
afterAll(() => rig.dispose());

async function fresh(stages: Stages): Promise<TestPipeline> {
  const p = await makePipeline(rig, `project-${count++}`, stages);
  p.write({ in: '1\n' });
  return p;
}

/** Says that it has begun, and ends once the test lets it; a signal ends it at once, unless it is `deaf`. */
function held(name: string, { deaf = false, half = true } = {}): Readonly<Record<string, unknown>> {
  // Not for ever, should nobody be there any more to say so.
  const wait = `n=0; while test $n -lt 3000 && ! test -e "$RUNS.go-${name}"; do n=$((n+1)); sleep 0.02; done`;
  const traps = deaf ? `trap '' INT TERM; ` : `trap 'echo ${name} >> "$RUNS.told"; exit 9' INT; `;
  return {
    cmd: `${traps}echo ${name} >> "$RUNS";${half ? ` echo half > ${name};` : ''} echo $$ > "$RUNS.pid-${name}"; touch "$RUNS.began-${name}"; ${wait}; echo whole > ${name}`,
    deps: ['in'],
    outs: [name],
  };
}

function letGo(p: TestPipeline, ...names: readonly string[]): void {
  for (const name of names) writeFileSync(`${p.runsFile}.go-${name}`, '');
}

async function until(is: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !is(); await sleep(20))
    if (Date.now() > end) throw new Error(`waited too long for ${what}`);
}

const began = (p: TestPipeline, name: string): Promise<void> =>
  until(() => existsSync(`${p.runsFile}.began-${name}`), `${name} to begin`);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function recorded(p: TestPipeline): string[] {
  return Array.from((p.read('mlv.lock') ?? '').matchAll(/^ {2}(\w+):/gm), ([, name = '']) => name);
}

/** Whether a command got the signal. */
function wasTold(p: TestPipeline): boolean {
  return existsSync(`${p.runsFile}.told`);
}

function send(process: ChildProcess, signal: NodeJS.Signals): void {
  if (!process.kill(signal)) throw new Error('it has ended');
}

describe.concurrent('what runs when', () => {
  test('-j 2 runs two stages at once, each of which waits for the other', async ({ expect }) => {
    const meet = (own: string, other: string): Readonly<Record<string, unknown>> => ({
      cmd: `touch "$RUNS.${own}"; n=0; while ! test -e "$RUNS.${other}"; do n=$((n+1)); test $n -lt 500 || exit 1; sleep 0.02; done; touch ${own}`,
      outs: [own],
    });
    const p = await fresh({ a: meet('a', 'b'), b: meet('b', 'a') });
    expect(await p.repro('-j', '2')).toEqual({ a: 'ran', b: 'ran' });
  });

  test('without -j one runs at a time, in the order of the file', async ({ expect }) => {
    const alone = (name: string): Readonly<Record<string, unknown>> => ({
      cmd: noting(name, `mkdir "$RUNS.lock" && sleep 0.05 && rmdir "$RUNS.lock" && touch ${name}`),
      outs: [name],
    });
    const p = await fresh({ c: alone('c'), a: alone('a'), d: { ...alone('d'), deps: ['b'] }, b: alone('b') });
    expect(await p.repro()).toEqual({ a: 'ran', b: 'ran', c: 'ran', d: 'ran' });
    expect(p.ran()).toEqual(['c', 'a', 'b', 'd']);
  });

  test('a mutex keeps stages apart, and only those', async ({ expect }) => {
    const alone = (name: string): Readonly<Record<string, unknown>> => ({
      cmd: `mkdir "$RUNS.lock" && sleep 0.1 && rmdir "$RUNS.lock" && touch ${name}`,
      outs: [name],
      mutex: 'gpu',
    });
    const p = await fresh({ a: alone('a'), b: alone('b'), c: alone('c'), free: held('free') });
    const run = p.start(['repro', '--json', '-j', '4']);
    await began(p, 'free');
    await until(() => recorded(p).length === 3, 'all three to be recorded beside the one that still runs');
    letGo(p, 'free');
    const { code, stdout } = await run.result;
    expect([code, outcomesIn(stdout)]).toEqual([0, { a: 'ran', b: 'ran', c: 'ran', free: 'ran' }]);
  });

  test('after a failure what runs may end, and nothing else starts; with -k the rest does', async ({ expect }) => {
    const bad = { cmd: noting('bad', 'exit 1'), outs: ['x'] };
    const stages = {
      bad,
      slow: held('slow'),
      later: joining('later', ['slow'], 'y'),
      other: joining('other', ['in'], 'z'),
      never: joining('never', ['x'], 'w'),
    };
    for (const keepGoing of [false, true]) {
      const p = await fresh(stages);
      const run = p.start(['repro', '--json', '-j', '2', ...(keepGoing ? ['-k'] : [])]);
      await began(p, 'slow');
      await until(() => existsSync(p.runsFile), 'a stage to run');
      if (keepGoing) await until(() => recorded(p).includes('other'), 'the other stage');
      else await sleep(500);
      letGo(p, 'slow');
      const { code, stdout } = await run.result;
      const rest = keepGoing ? 'ran' : 'cancelled';
      expect([code, outcomesIn(stdout)]).toEqual([
        1,
        { bad: 'failed', never: 'blocked', slow: 'ran', later: rest, other: rest },
      ]);
      expect(recorded(p)).toEqual(keepGoing ? ['later', 'other', 'slow'] : ['slow']);
    }
  });
});

test('between tries outputs are taken away, and not into the cache', async ({ expect }) => {
  const cmd =
    'test ! -e a && echo $RUNS >> "$RUNS" && echo part > a && test $(wc -l < "$RUNS") -gt 2 && echo whole > a';
  const p = await fresh({ often: { cmd, outs: ['a'], retries: 2 } });
  expect(await p.repro()).toEqual({ often: 'ran' });
  expect([p.ran().length, p.read('a'), await p.isKept('part\n'), await p.isKept('whole\n')]).toEqual([
    3,
    'whole\n',
    false,
    true,
  ]);
});

describe.concurrent('when it is interrupted', () => {
  const STAGES = { first: joining('first', ['in'], 'a'), slow: held('slow'), last: joining('last', ['slow'], 'b') };

  test('once: the command is told, what has ended is on record, the rest is not; the next run goes on', async ({
    expect,
  }) => {
    const p = await fresh(STAGES);
    const run = p.start(['repro', '--no-progress']);
    await began(p, 'slow');
    expect(recorded(p)).toEqual(['first']);
    send(run.process, 'SIGINT');
    const { code, stdout, stderr } = await run.result;
    expect([code, stdout, wasTold(p), recorded(p)]).toEqual([130, '', true, ['first']]);
    expect(stderr.replaceAll(/\d+\.\d s/g, 'TIME')).toMatchInlineSnapshot(`
      "first ▸ runs: never ran
      first ✓ done in TIME
      slow  ▸ runs: never ran
      slow  ⊘ not run to its end
      last  ⊘ not run
      ⊘ 1 ran, 2 cancelled in TIME
      error: interrupted
      hint: Run the same command again: it continues where this one stopped
      "
    `);
    expect(p.ran()).toEqual(['first', 'slow']);
    p.write({ slow: 'written by hand\n' });
    letGo(p, 'slow');
    expect(await p.repro()).toEqual({ first: 'up-to-date', slow: 'ran', last: 'ran' });
    expect([p.read('b'), await p.isKept('half\n'), await p.isKept('written by hand\n')]).toEqual([
      'whole\n',
      false,
      true,
    ]);
  });

  test('twice: what does not listen is killed', async ({ expect }) => {
    const p = await fresh({ ...STAGES, slow: held('slow', { deaf: true }) });
    const run = p.start(['repro', '--no-progress']);
    await began(p, 'slow');
    const pid = Number(readFileSync(`${p.runsFile}.pid-slow`, 'utf8'));
    send(run.process, 'SIGINT');
    await sleep(300);
    expect([run.process.exitCode, isAlive(pid)]).toEqual([null, true]);
    send(run.process, 'SIGINT');
    expect((await run.result).code).toBe(130);
    await until(() => !isAlive(pid), 'the command to be killed');
    expect(recorded(p)).toEqual(['first']);
    letGo(p, 'slow');
    expect(await p.repro()).toEqual({ first: 'up-to-date', slow: 'ran', last: 'ran' });
  });

  test('mlv killed: a stage does not run twice at once; then the next run goes on, and loses nothing', async ({
    expect,
  }) => {
    const p = await fresh(STAGES);
    const run = p.start(['repro', '--no-progress']);
    await began(p, 'slow');
    send(run.process, 'SIGKILL');
    await run.result;
    const refused = await p.mlv(['repro', '--no-progress']);
    expect(refused.code).toBe(1);
    expect(refused.stderr.replaceAll(/\d+/g, 'N')).toMatchInlineSnapshot(`
      "slow  ✗ stage slow: the mlv that ran it was killed, and its command still runs (process group N)
      last  ⊘ not run: slow failed
      ✗ N failed, N up to date, N blocked in N.N s
      error: stage slow: the mlv that ran it was killed, and its command still runs (process group N)
      hint: Wait until it has ended, or end it: kill -TERM -N
      "
    `);
    expect(p.ran()).toEqual(['first', 'slow']);
    const pid = Number(readFileSync(`${p.runsFile}.pid-slow`, 'utf8'));
    letGo(p, 'slow');
    await until(() => !isAlive(pid), 'the command to end');
    p.write({ slow: 'written since\n' });
    expect(await p.repro()).toEqual({ first: 'up-to-date', slow: 'ran', last: 'ran' });
    expect([p.ran(), p.read('b'), await p.isKept('written since\n')]).toEqual([['slow', 'last'], 'whole\n', true]);
  });
});

describe.concurrent('beside other commands', () => {
  test('a second run is told what runs; one that waits takes over what the first has made', async ({ expect }) => {
    const p = await fresh({ slow: held('slow', { half: false }), last: joining('last', ['slow'], 'b') });
    const first = p.start(['repro', '--json', '--wait-for-lock', '1m']);
    await began(p, 'slow');
    const refused = await p.mlv(['repro', '--no-progress']);
    expect(refused.code).toBe(1);
    expect(refused.stderr.replaceAll(/\d+/g, 'N')).toMatchInlineSnapshot(`
      "slow ✗ stage slow is being run by another mlv: process N (mlv repro) since N-N-NTN:N:N.NZ
      last ⊘ not run: slow failed
      ✗ N failed, N blocked in N.N s
      error: stage slow is being run by another mlv: process N (mlv repro) since N-N-NTN:N:N.NZ
      hint: Wait until it has ended, or end it, and try again; --wait-for-lock Nm does the waiting. To watch it: mlv logs -f slow
      "
    `);
    const waiting = p.start(['repro', '--json', '--wait-for-lock', '1m']);
    await sleep(800);
    letGo(p, 'slow');
    const results: MlvResult[] = [await first.result, await waiting.result];
    expect(results.map(({ code, stderr }) => [code, code === 0 ? '' : stderr])).toEqual([
      [0, ''],
      [0, ''],
    ]);
    const [a, b] = results.map(({ stdout }) => outcomesIn(stdout));
    expect([a?.['slow'], b?.['slow']]).toEqual(['ran', 'up-to-date']);
    expect(new Set([a?.['last'], b?.['last']])).toEqual(new Set(['ran', 'up-to-date']));
    expect([p.ran(), p.read('b')]).toEqual([['slow', 'last'], 'whole\n']);
  });

  test('while a stage runs, other commands do their work', async ({ expect }) => {
    const p = await fresh({ slow: held('slow') });
    p.write({ data: 'data\n' });
    const run = p.start(['repro', '--json']);
    await began(p, 'slow');
    const commands = [
      ['status'],
      ['add', 'data'],
      ['remote', 'add', '-d', 'store', join(rig.folder, `store-${count++}`)],
      ['push'],
      ['plan'],
      ['verify'],
      ['gc', '--dry-run'],
      ['freeze', 'slow'],
      ['unfreeze', 'slow'],
    ];
    for (const args of commands) {
      const { code, stderr } = await p.mlv(['--no-progress', ...args]);
      expect({ args, code, stderr }).toMatchObject({ args, code: 0 });
    }
    expect(run.process.exitCode).toBe(null);
    letGo(p, 'slow');
    expect(outcomesIn((await run.result).stdout)).toEqual({ slow: 'ran' });
  });
});
