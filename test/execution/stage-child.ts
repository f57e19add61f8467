/**
 * Runs a command as the stage `train` under a claim in the project at a folder, until it is killed; prints its lines. With `die` it kills
 * itself when it is to note the command's process group, and prints that instead.
 */
import { writeSync } from 'node:fs';
import type { StageId } from '../../src/domain/pipeline.ts';
import type { StageClaim } from '../../src/execution/stage-claim.ts';
import { foldersOf } from '../../src/workspace/open.ts';
import { begin } from './stage-rig.ts';

const [root = '', command = '', die] = process.argv.slice(2);
const deadly: StageClaim = {
  stage: 'train' as StageId,
  noteLog: () => undefined,
  noteGroup(leader) {
    writeSync(1, `leader ${leader}\n`);
    process.kill(process.pid, 'SIGKILL');
  },
};
const run = begin(
  foldersOf(root, undefined, {}),
  { commands: [command] },
  { onLine: (_, text) => process.stdout.write(`${text}\n`), ...(die === 'die' && { claim: deadly }) },
);
await run.done;
