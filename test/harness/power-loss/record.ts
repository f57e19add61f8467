/** A scene, prepared, and the command's changes recorded. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { MlvRig } from '../../support/mlv.ts';
import { lookAt, type Look } from './checks.ts';
import type { Code } from './code.ts';
import { type Change, readJournal } from './journal.ts';
import { openDisk } from './disk.ts';
import { wholeState } from './survivors.ts';
import { writeState } from './write-state.ts';
import { projectIn, type Scene } from './scenes.ts';

const execute = promisify(execFile);
const RECORDER = fileURLToPath(new URL('recorder.cjs', import.meta.url));

export interface Recording {
  readonly scene: Scene;
  /** Before the command; not to be changed, as states are made from it. */
  readonly before: Look;
  readonly after: Look;
  readonly changes: readonly Change[];
}

export async function record(
  { rig, origin: origins, code }: { readonly rig: MlvRig; readonly origin: string; readonly code: Code },
  scene: Scene,
): Promise<Recording> {
  const origin = scene.pipeline === undefined ? origins : join(origins, 'pipeline');
  const slug = scene.name.replaceAll(/[^a-z]+/g, '-');
  const before = join(rig.folder, `${slug}-before`);
  mkdirSync(before);
  const project = projectIn(rig, before);
  await execute('cp', ['-a', join(origin, 'v2'), join(before, 'store')]);
  await execute('git', ['clone', '--quiet', join(origin, 'project'), project.root], { env: rig.env });
  await scene.prepare(project);
  rmSync(join(before, 'store'), { recursive: true });
  // A remote that has less than at the last look would be another one.
  if (scene.store === 'nothing' || scene.store === 'v1')
    rmSync(join(project.root, '.git/mlv/remotes'), { recursive: true, force: true });
  await execute('cp', ['-a', join(origin, scene.store), join(before, 'store')]);

  const after = join(rig.folder, `${slug}-after`);
  const disk = openDisk(before);
  writeState(disk, wholeState(disk), after, [before]);
  const journal = join(rig.folder, `${slug}-journal`);
  const env = {
    ...rig.env,
    NODE_OPTIONS: `--require=${RECORDER}`,
    MLV_POWER_ROOT: after,
    MLV_POWER_JOURNAL: journal,
    MLV_POWER_CODE: code.folder,
    ...(scene.clones === true && { MLV_POWER_CLONES: '1' }),
  };
  const run = [code.main, '--no-progress', ...scene.args];
  await execute(process.execPath, run, { cwd: join(after, 'project'), env });
  const changes = readJournal(readFileSync(journal));
  rmSync(journal);
  return { scene, before: lookAt(before), after: lookAt(after), changes };
}
