import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Lock } from '../../src/platform/lock.ts';
import { withLock } from '../../src/platform/lock.ts';
import { ownIdentity } from '../../src/platform/process-identity.ts';
import { bundleChild } from '../support/bundled-child.ts';

let built: string;
let child: string;
let folder: string;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'mlv-lock-child-'));
  child = await bundleChild(new URL('lock-child.ts', import.meta.url), built);
});
afterAll(() => rmSync(built, { recursive: true }));
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'mlv-lock-'))));
afterEach(async () => {
  await Promise.all([...running].map(end));
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true, force: true });
});

const now = { command: 'test', waitMs: 0 };

function start(args: readonly string[], prefix: readonly string[] = []): ChildProcess {
  const [program = '', ...rest] = [...prefix, process.execPath, child, folder, ...args];
  const started = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(started);
  started.once('exit', () => running.delete(started));
  return started;
}

/** A child that holds the lock, once it does. */
async function startHolder(heartbeatMs = 5000, prefix: readonly string[] = []): Promise<ChildProcess> {
  const holder = start(['hold', '1', String(heartbeatMs)], prefix);
  await Promise.race([
    holder.stdout && once(holder.stdout, 'data'),
    once(holder, 'exit').then(() => Promise.reject(new Error(`the holder ended: ${String(holder.stderr?.read())}`))),
  ]);
  return holder;
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const exit = once(process, 'exit');
  process.kill('SIGKILL');
  await exit;
}

/** A lock file as another process would have written it. */
function plant(number: number, changes: Record<string, unknown>, secondsAgo = 0): void {
  const owner = {
    ...ownIdentity(),
    host: 'elsewhere',
    command: 'mlv push',
    since: '2024-05-06T07:08:09.000Z',
    heartbeatMs: 5000,
    ...changes,
  };
  writeFileSync(join(folder, `work.${number}`), `held\n${JSON.stringify(owner)}\n`);
  const time = Date.now() / 1000 - secondsAgo;
  utimesSync(join(folder, `work.${number}`), time, time);
}

function tryNow(): Promise<string> {
  return withLock(folder, 'work', now, () => 'mine');
}

describe('within one process', () => {
  test('gives back what was done under it, and is free again', async () => {
    expect(await withLock(join(folder, 'new/deep'), 'work', now, async () => 7)).toBe(7);
    expect(await withLock(join(folder, 'new/deep'), 'work', now, () => 8)).toBe(8);
    expect(readdirSync(join(folder, 'new/deep'))).toEqual(['work.2']);
  });

  test('is free again after an error', async () => {
    const error = new Error('no');
    await expect(withLock(folder, 'work', now, () => Promise.reject(error))).rejects.toBe(error);
    expect(await tryNow()).toBe('mine');
  });

  test('lets one in at a time, and each in the end', async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        withLock(folder, 'work', { command: 'test' }, async () => {
          most = Math.max(most, ++inside);
          await sleep(1);
          inside--;
        }),
      ),
    );
    expect(most).toBe(1);
  });

  test('has nothing to do with locks of other names', async () => {
    await withLock(folder, 'work', now, async () => {
      expect(await withLock(folder, 'work.er', now, () => 1)).toBe(1);
      expect(await withLock(folder, 'wor', now, () => 2)).toBe(2);
    });
  });

  test('shows signs of life while it is held', async () => {
    await withLock(folder, 'work', { ...now, heartbeatMs: 20 }, async () => {
      const before = statSync(join(folder, 'work.1')).mtimeMs;
      await expect.poll(() => statSync(join(folder, 'work.1')).mtimeMs).toBeGreaterThan(before);
    });
  });

  test('notices that it was taken over, or deleted', async () => {
    const check = async (disturb: () => void): Promise<void> => {
      await withLock(folder, 'work', now, (lock: Lock) => {
        lock.assertHeld();
        disturb();
        expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: 'lock-lost', kind: 'conflict' }));
      });
    };
    await check(() => writeFileSync(join(folder, 'work.2'), 'free'));
    await check(() => rmSync(join(folder, 'work.3')));
    await check(() => {
      rmSync(join(folder, 'work.1'));
      writeFileSync(join(folder, 'work.1'), 'held');
    });
  });

  test('says where it cannot be had', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(withLock(join(folder, 'file'), 'work', now, () => 1)).rejects.toMatchObject({
      code: 'write-failed',
      message: `cannot write ${join(folder, 'file/work')}: EEXIST`,
    });
  });
});

describe('between processes', () => {
  test('names its owner, who may be asleep', async () => {
    const holder = await startHolder();
    const expected = {
      code: 'locked',
      kind: 'refused',
      message: expect.stringMatching(
        new RegExp(`^${folder}/work\\.1 is held by process ${holder.pid} \\(test hold\\) since \\d{4}-\\d\\d-\\d\\dT`),
      ) as string,
    };
    await expect(tryNow()).rejects.toMatchObject(expected);
    holder.kill('SIGSTOP');
    const started = performance.now();
    await expect(withLock(folder, 'work', { command: 'test', waitMs: 200 }, () => 1)).rejects.toMatchObject(expected);
    expect(performance.now() - started).toBeGreaterThanOrEqual(200);
  });

  test('tells once whom it waits for, and has it when that one has ended', async () => {
    const holder = await startHolder();
    const told: string[] = [];
    const waiting = withLock(
      folder,
      'work',
      { ...now, waitMs: 60_000, onWait: (held) => told.push(held) },
      () => 'mine',
    );
    await expect.poll(() => told.length, { timeout: 10_000 }).toBe(1);
    await sleep(300);
    await end(holder);
    expect(await waiting).toBe('mine');
    expect(told).toEqual([expect.stringContaining(`work.1 is held by process ${holder.pid} (test hold) since `)]);
  });

  test('is not waited for any longer once the wait is interrupted', async () => {
    await startHolder();
    const abort = new AbortController();
    const waiting = withLock(folder, 'work', { ...now, waitMs: 60_000, signal: abort.signal }, () => 'mine');
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  test('is taken over at once from a process that was killed', async () => {
    await end(await startHolder());
    expect(await tryNow()).toBe('mine');
    expect(readdirSync(folder)).toEqual(['work.2']);
  });

  test('is taken over from a process that nobody has reaped', async (context) => {
    if (!existsSync('/proc/self/stat')) context.skip('this system has no /proc');
    const parent = await startHolder(5000, ['sh', '-c', '"$@" & exec sleep 600', 'sh']);
    const { pid } = JSON.parse(readFileSync(join(folder, 'work.1'), 'utf8').slice(5)) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'latin1')).toContain(') Z ');
    expect(await tryNow()).toBe('mine');
    await end(parent);
  });

  test('is taken over from a process whose number another one has now', async () => {
    plant(4, { startTime: '1' });
    expect(await tryNow()).toBe('mine');
  });

  test('never has two owners, and loses no turn', async () => {
    writeFileSync(join(folder, 'count'), '0');
    const children = Array.from({ length: 4 }, () => start(['count', '25']));
    const errors = children.map(() => '');
    children.forEach((each, index) => each.stderr?.on('data', (text) => (errors[index] += String(text))));
    await Promise.all(children.map((each) => once(each, 'exit')));
    expect(errors).toEqual(['', '', '', '']);
    expect(readFileSync(join(folder, 'count'), 'utf8')).toBe('100');
  });

  test('never has two owners while owners are killed', async () => {
    writeFileSync(join(folder, 'count'), '0');
    const victims = Array.from({ length: 6 }, () => start(['count', '100000']));
    const survivor = start(['count', '40']);
    const errors: string[] = [];
    for (const each of [...victims, survivor]) each.stderr?.on('data', (text) => errors.push(String(text)));
    const done = once(survivor, 'exit');
    for (const victim of victims) {
      await sleep(60 + Math.random() * 60);
      await end(victim);
    }
    expect([await done, errors]).toEqual([[0, null], []]);
    expect(Number(readFileSync(join(folder, 'count'), 'utf8'))).toBeGreaterThanOrEqual(40);
  });
});

describe('between machines', () => {
  test('is held by whoever gives signs of life', async () => {
    plant(7, { bootId: 'another' }, 20);
    await expect(tryNow()).rejects.toMatchObject({
      code: 'locked',
      message: `${folder}/work.7 is held by process ${process.pid} on elsewhere (mlv push) since 2024-05-06T07:08:09.000Z`,
    });
    plant(7, { bootId: 'another', host: hostname() });
    await expect(tryNow()).rejects.toMatchObject({
      message: `${folder}/work.7 is held by process ${process.pid} (mlv push) since 2024-05-06T07:08:09.000Z`,
    });
  });

  test.each([40, -40])('is taken over from one whose last sign came %d seconds ago', async (secondsAgo) => {
    plant(7, { bootId: 'another' }, secondsAgo);
    expect(await tryNow()).toBe('mine');
    expect(readdirSync(folder)).toEqual(['work.8']);
  });

  test.each(['', 'held\n', 'held\n{"pid":', 'held\nnull', `held\n{"pid":-1}`])(
    'gives a file that says only %j a moment to become whole, and then takes it over, whoever waits or not',
    async (text) => {
      const file = join(folder, 'work.1');
      writeFileSync(file, text);
      utimesSync(file, new Date(), new Date(Date.now() - 1_800));
      const started = performance.now();
      expect(await tryNow()).toBe('mine');
      expect(performance.now() - started).toBeGreaterThan(50);
      expect(readdirSync(folder)).toEqual(['work.2']);
    },
  );

  test.each([
    ['a folder', (path: string) => mkdirSync(path)],
    ['a symlink to nothing', (path: string) => symlinkSync('nowhere', path)],
    ['a symlink to a free lock', (path: string) => symlinkSync(`${path}.free`, path)],
    ['a fifo', (path: string) => execFileSync('mkfifo', [path])],
  ])('says so where %s is in the place of one, and leaves it', async (_what, plantAt) => {
    const path = join(folder, 'work.3');
    writeFileSync(`${path}.free`, 'free');
    plantAt(path);
    await expect(tryNow()).rejects.toMatchObject({
      code: 'lock-damaged',
      kind: 'corrupt',
      message: `${path} is not a lock, but in the place of one`,
    });
    expect(readdirSync(folder)).toEqual(['work.3', 'work.3.free']);
  });

  test('reads no more of a file than a lock can be long', async () => {
    plant(4, { bootId: 'another' });
    truncateSync(join(folder, 'work.4'), 3 * 1024 ** 3);
    utimesSync(join(folder, 'work.4'), 1, 1);
    expect(await tryNow()).toBe('mine');
  });

  test('believes nobody who wants to be waited for without signs of life for longer than minutes', async () => {
    plant(4, { bootId: 'another', heartbeatMs: 60_000 }, 300);
    await expect(tryNow()).rejects.toMatchObject({ code: 'locked' });
    plant(4, { bootId: 'another', heartbeatMs: Number.MAX_SAFE_INTEGER }, 300);
    expect(await tryNow()).toBe('mine');
  });

  test('says so where a file has the last number there is, instead of waiting without end', async () => {
    writeFileSync(join(folder, 'work.999999999999999'), 'free');
    await expect(tryNow()).rejects.toMatchObject({
      code: 'lock-damaged',
      message: `${folder}/work.999999999999999 has a number that no lock gets to`,
    });
  });

  test('cannot be judged by process numbers of another namespace', async (context) => {
    const unshare = ['unshare', '-rpf', '--mount-proc', '--kill-child'];
    if (spawnSync('unshare', [...unshare.slice(1), 'true']).status !== 0)
      context.skip('this system lets nobody make namespaces');
    const holder = await startHolder(50, unshare);
    const { pid, pidNamespace } = JSON.parse(readFileSync(join(folder, 'work.1'), 'utf8').slice(5)) as {
      pid: number;
      pidNamespace: string;
    };
    expect([pid, pidNamespace]).not.toEqual([holder.pid, ownIdentity().pidNamespace]);
    await expect(withLock(folder, 'work', { command: 'test', waitMs: 500 }, () => 1)).rejects.toMatchObject({
      code: 'locked',
    });
    await end(holder);
    expect(await withLock(folder, 'work', { command: 'test', waitMs: 5000 }, () => 'mine')).toBe('mine');
  });

  test('leaves nothing behind but its mark', async () => {
    plant(3, { bootId: 'another' });
    await expect(tryNow()).rejects.toMatchObject({ code: 'locked' });
    expect(readdirSync(folder)).toEqual(['work.3']);
  });
});
