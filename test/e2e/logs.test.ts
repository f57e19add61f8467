import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { StageId } from '../../src/domain/pipeline.ts';
import type { ProjectFolders } from '../../src/workspace/open.ts';
import { findProject } from '../../src/workspace/open.ts';
import { begin } from '../execution/stage-rig.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';

let rig: MlvRig;
let root: string;
let folders: ProjectFolders;
let count = 0;

beforeAll(() => void (rig = makeMlvRig()));
afterAll(() => rig.dispose());
beforeEach(async () => {
  ({ root } = await rig.project(`project-${count++}`));
  folders = findProject(root, {});
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function plain(text: string): string {
  return text
    .replaceAll(/started \S+Z, in \S+/g, 'started TIME')
    .replaceAll(/after [\d.]+ s/g, 'after TIME')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE');
}

test('lists the last run of each stage, and prints one as it is', async () => {
  expect((await rig.mlv(root, ['logs'])).stdout).toBe('No stage has run here yet\n');
  await begin(folders, { commands: ['echo old'] }).done;
  await begin(folders, { commands: [String.raw`printf 'caf\351'`] }).done;
  await begin(folders, { id: 'sub/mlv.yaml:train' as StageId, commands: ['exit 1'] }).done.catch(() => undefined);
  const list = await rig.mlv(root, ['logs']);
  expect(
    plain(list.stdout)
      .split('\n')
      .slice(0, 2)
      .map((line) => line.split(/ {2,}/).slice(0, 3)),
  ).toEqual([
    ['sub/mlv.yaml:train', 'DATE', 'failed after TIME'],
    ['train', 'DATE', 'succeeded after TIME'],
  ]);
  const { stdout, stderr, code } = await rig.mlv(root, ['logs', 'train']);
  expect({ stdout: plain(stdout), stderr, code }).toEqual({
    stdout: "# mlv: stage train, started TIME\n$ printf 'caf\\351'\ncaf\ufffd\n# mlv: succeeded after TIME\n",
    stderr: '',
    code: 0,
  });
  const rows = (await rig.mlv(root, ['logs', 'sub/mlv.yaml:train', '--json'])).stdout.trim().split('\n');
  expect(rows.map((row) => Object.keys(JSON.parse(row) as object)[0])).toEqual(['line', 'line', 'line', 'result']);
  expect(JSON.parse(rows.at(-1) ?? '')).toMatchObject({ result: { stage: 'sub/mlv.yaml:train', outcome: 'failed' } });
});

test('a stage that never ran is told, with the one that may be meant', async () => {
  await begin(folders, {}).done;
  expect(await rig.mlv(root, ['logs', 'trian'])).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: there are no logs of a stage "trian"\nhint: Did you mean train?\n',
  });
});

test('-f goes on until the run of another process ends', async () => {
  const run = begin(folders, { commands: ['echo first; while ! test -e go; do sleep 0.02; done; echo last'] });
  await run.line(/first/);
  const now = await rig.mlv(root, ['logs', 'train']);
  expect(now.stdout).toMatch(/first\n$/);
  expect(now.stderr).toBe('stage train is still running: mlv logs -f train goes on with it\n');
  const follower = rig.start(root, ['logs', '-f', 'train']);
  await once(follower.process.stdout as NodeJS.EventEmitter, 'data');
  writeFileSync(join(root, 'go'), '');
  await run.done;
  const { stdout, code } = await follower.result;
  expect(plain(stdout)).toMatch(/first\nlast\n# mlv: succeeded after TIME\n$/);
  expect(code).toBe(0);
});
