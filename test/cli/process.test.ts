import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VERSION } from '../../src/domain/version.ts';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

const BIN = fileURLToPath(new URL('../../bin/mlv.js', import.meta.url));

let rig: MlvRig;
let project: string;

beforeAll(async () => {
  rig = makeMlvRig();
  project = (await rig.project('project')).root;
});
afterAll(() => rig.dispose());

test('the version is one line, however it is asked for', async () => {
  for (const args of [['version'], ['--version'], ['version', '-q'], ['--no-progress', 'version']]) {
    expect(await rig.mlv(rig.folder, args)).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
  }
  const { stdout } = await rig.mlv(rig.folder, ['version', '--json']);
  expect(stdout).toBe(`{"version":"${VERSION}"}\n`);
});

test('a reader that closes the pipe early is no failure', () => {
  const script = `"${process.execPath}" "${BIN}" --help | true; exit "\${PIPESTATUS[0]}"`;
  const { status, stderr } = spawnSync('bash', ['-c', script], { env: rig.env, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test.each([
  [{}, false],
  [{ FORCE_COLOR: '1' }, true],
  [{ FORCE_COLOR: '0' }, false],
  [{ FORCE_COLOR: '1', NO_COLOR: '1' }, false],
])('%j gives colour: %s', async (env, isColoured) => {
  const { stdout } = await rig.mlv(project, ['remote'], { env });
  expect(stdout.includes('\u001b[36mmlv remote add -d NAME URL\u001b[39m')).toBe(isColoured);
});

test('quiet silences what was done, not what was asked for', async () => {
  expect(await rig.mlv(project, ['-q', 'remote', 'add', '-d', 'store', '../store'])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  });
  expect((await rig.mlv(project, ['-q', 'remote', 'default'])).stdout).toBe('store\n');
});

test('status of a new project tells how to go on', async () => {
  expect(await rig.mlv(project, ['status'])).toEqual({
    code: 0,
    stdout: 'Nothing is tracked yet\n  mlv add PATH  tracks files and folders\n',
    stderr: '',
  });
});

test('an interruption ends it with 130, the second one at once; what was begun is not recorded', async () => {
  const { root } = await rig.project('interrupted');
  writeFileSync(join(root, 'large.bin'), '');
  truncateSync(join(root, 'large.bin'), 3 * 1024 ** 3);
  const { process: child, result } = rig.start(root, ['add', 'large.bin']);
  const temporary = join(root, '.git/mlv/cache/tmp');
  while (child.exitCode === null && readdirSync(temporary).length === 0) await setTimeout(10);
  child.kill('SIGINT');
  await setTimeout(500);
  // The second one does not wait for what is under way.
  child.kill('SIGINT');
  const { code, stdout } = await result;
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
  expect(existsSync(join(root, 'large.bin.mlv'))).toBe(false);
});

test('waits for a lock as long as it is told to, and tells for whom; without being told, a collection does not wait', async () => {
  const { root } = await rig.project('locked');
  const folder = join(root, '.git/mlv/cache/locks');
  await rig.mlv(root, ['gc', '--dry-run']);
  const held = join(folder, 'removal.2');
  // A process elsewhere gave a sign of life just now.
  const owner = { bootId: 'another', pidNamespace: '', pid: 7, startTime: '', host: 'elsewhere', since: 'today' };
  writeFileSync(held, `held\n${JSON.stringify({ ...owner, command: 'mlv gc', heartbeatMs: 60_000 })}\n`);
  const words = `${held} is held by process 7 on elsewhere (mlv gc) since today\n`;
  expect(await rig.mlv(root, ['gc', '--dry-run'])).toEqual({
    code: 1,
    stdout: '',
    stderr: `error: ${words}hint: Wait until it has ended, or end it, and try again; --wait-for-lock 10m does the waiting.\n`,
  });
  const { process: child, result } = rig.start(root, ['gc', '--dry-run', '--wait-for-lock', '1m']);
  await once(child.stderr ?? child, 'data');
  writeFileSync(held, 'free');
  expect(await result).toMatchObject({ code: 0, stderr: `waiting: ${words}` });
});
