import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { MlvError } from '../../src/domain/errors.ts';
import type { StageId } from '../../src/domain/pipeline.ts';
import { withStageClaim } from '../../src/execution/stage-claim.ts';
import { lastRuns } from '../../src/execution/stage-logs.ts';
import { isGroupAlive, signalGroup } from '../../src/platform/process-group.ts';
import type { ProjectFolders } from '../../src/workspace/open.ts';
import { bundleChild } from '../support/bundled-child.ts';
import { begin, newProject } from './stage-rig.ts';

const TRAIN = 'train' as StageId;
const FOREVER = 'echo leader $$; while :; do sleep 0.02; done';

let built: string;
let child: string;
let folders: ProjectFolders;

beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'mlv-stage-child-'));
  child = await bundleChild(new URL('stage-child.ts', import.meta.url), built);
});
afterAll(() => rmSync(built, { recursive: true }));
beforeEach(() => void (folders = newProject()));
afterEach(() => rmSync(folders.root, { recursive: true, force: true }));

/** Another process that runs the stage, once its command runs. */
async function startOther(command = FOREVER, die = ''): Promise<{ other: ChildProcess; leader: number }> {
  const other = spawn(process.execPath, [child, folders.root, command, die], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // The bundle is not where the packages are.
    env: { ...process.env, NODE_PATH: fileURLToPath(new URL('../../node_modules', import.meta.url)) },
  });
  const [line] = (await once(other.stdout as NodeJS.EventEmitter, 'data')) as [Buffer];
  return { other, leader: Number(String(line).trim().split(' ')[1]) };
}

async function killed(other: ChildProcess): Promise<void> {
  other.kill('SIGKILL');
  await once(other, 'exit');
}

function claimed(stage = TRAIN): Promise<string> {
  return withStageClaim(folders, stage, { command: 'a test' }, async () => 'free').catch(
    (error: MlvError) => `${error.code}: ${error.message} (${error.hint})`,
  );
}

function notePath(): string {
  const claims = join(folders.sharedFolder, 'claims');
  return join(claims, readdirSync(claims)[0] ?? '', 'run.json');
}

test('a stage that another process runs is refused, naming it; others are free', async () => {
  const { other, leader } = await startOther();
  try {
    const told = await claimed();
    expect(told).toMatch(/^stage-running: stage train is being run by another mlv: /);
    expect(told).toContain(`process ${other.pid} (a test)`);
    expect(await claimed('other' as StageId)).toBe('free');
    expect(lastRuns(folders).map(({ stage, outcome }) => [stage, outcome])).toEqual([['train', 'running']]);
  } finally {
    await killed(other);
    signalGroup(leader, 'SIGKILL');
  }
});

test('it can be waited for', async () => {
  const run = begin(folders, { commands: ['echo ready; while ! test -e go; do sleep 0.02; done'] });
  await run.line(/ready/);
  const waited: string[] = [];
  const next = withStageClaim(
    folders,
    TRAIN,
    {
      command: 'a test',
      waitMs: 60_000,
      onWait(held) {
        waited.push(held);
        writeFileSync(join(folders.root, 'go'), '');
      },
    },
    async () => 'free',
  );
  expect(await next).toBe('free');
  await run.done;
  expect(waited).toHaveLength(1);
});

test('after mlv was killed, its command is found, told and refused until it has ended', async () => {
  const { other, leader } = await startOther();
  await killed(other);
  expect(await claimed()).toBe(
    `stage-orphaned: stage train: the mlv that ran it was killed, and its command still runs (process group ${leader}) (Wait until it has ended, or end it: kill -TERM -${leader})`,
  );
  execFileSync('sh', ['-c', `kill -TERM -${leader}`]);
  while (isGroupAlive(leader)) await sleep(5);
  expect(await claimed()).toBe('free');
  expect(lastRuns(folders).map(({ outcome }) => outcome)).toEqual(['cut-short']);
  await begin(folders, { commands: ['echo again'] }).done;
  expect(lastRuns(folders).map(({ outcome }) => outcome)).toEqual(['succeeded']);
});

test('a number that was given to another process since is no command of ours', async () => {
  const { other, leader } = await startOther();
  await killed(other);
  const note = JSON.parse(readFileSync(notePath(), 'utf8')) as { leader: { startTime: string } };
  writeFileSync(notePath(), JSON.stringify({ leader: { ...note.leader, startTime: '1' } }));
  expect(await claimed()).toBe('free');
  signalGroup(leader, 'SIGKILL');
});

test('what was noted before this machine was started, is over; what runs elsewhere is not known to be', async () => {
  const { other, leader } = await startOther();
  await killed(other);
  const note = JSON.parse(readFileSync(notePath(), 'utf8')) as { leader: object };
  const path = notePath();
  writeFileSync(path, JSON.stringify({ leader: { ...note.leader, bootId: 'other', host: 'elsewhere' } }));
  expect(await claimed()).toContain('may still run on elsewhere, where this one cannot look');
  writeFileSync(path, JSON.stringify({ leader: { ...note.leader, bootId: 'other' } }));
  expect(await claimed()).toBe('free');
  signalGroup(leader, 'SIGKILL');
});

test('a command does not begin when mlv is killed before it has noted the process group', async () => {
  const { leader } = await startOther('echo > ran', 'die');
  while (isGroupAlive(leader)) await sleep(5);
  expect(existsSync(join(folders.root, 'ran'))).toBe(false);
  expect(await claimed()).toBe('free');
});

test('failures within are passed on, and free the claim', async () => {
  await expect(begin(folders, { commands: ['exit 1'] }).done).rejects.toMatchObject({ code: 'stage-failed' });
  expect(await claimed()).toBe('free');
});
