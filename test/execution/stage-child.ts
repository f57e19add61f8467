/** Runs the command of the stage `train` under a claim in the project at a folder, until it is killed; prints its lines. */
import { foldersOf } from '../../src/workspace/open.ts';
import { begin } from './stage-rig.ts';

const [root = '', command = ''] = process.argv.slice(2);
const run = begin(
  foldersOf(root, undefined, {}),
  { commands: [command] },
  { onLine: (_, text) => process.stdout.write(`${text}\n`) },
);
await run.done;
