import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { bareArguments } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { createStyle } from '../../src/cli/format.ts';
import { commandHelp } from '../../src/cli/help.ts';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

describe.each(COMMANDS.map((entry) => [entry.name, entry] as const))('%s', (name, entry) => {
  test('has help of at most 80 columns, with an example of itself', async () => {
    const lines = commandHelp(entry, await entry.load(), createStyle(false));
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.at(-2)).toContain(`mlv ${name.replace(/ list$/, '')}`.trim());
  });

  test('gets the same arguments with and without a parser when no word follows', async () => {
    const command = await entry.load();
    const bare = bareArguments(command);
    if (bare === undefined) expect(() => parseArguments(name, command, [])).toThrow(`mlv ${name} needs a`);
    else expect(parseArguments(name, command, [])).toEqual(bare);
  });
});

test('every form of asking for help gives the same', async () => {
  const forms = [
    ['help', 'push'],
    ['push', '--help'],
    ['push', '-h'],
    ['-h', 'push', 'data'],
  ];
  const outputs = await Promise.all(forms.map((args) => rig.mlv(rig.folder, args)));
  expect(new Set(outputs.map(({ code, stdout }) => `${code}${stdout}`)).size).toBe(1);
  expect(outputs[0]?.stdout).toBe(`mlv push: send data to a remote

  mlv push [OPTIONS] [TARGET…]

Sends what the pointers here, and in the commits that HEAD leads to, name and
the remote does not have. git push comes after, so that nobody gets pointers to
data that is not there.

  TARGET  tracked paths, or paths inside them; everything when none is given

Options
  -r, --remote NAME   this remote, not the default one
  -j, --jobs N        at most N requests at once
      --rev REV       the data of this commit, branch or tag
      --all-branches  the data of all branches
      --all-tags      the data of all tags
      --all-commits   the data of every commit there is
      --run-cache     known results of stages, too

With every command
  -C DIR                    work as if started in DIR
  -q, --quiet               print errors, and what was asked for, only
  -v, --verbose             print long lists in full, and the causes of errors
      --json                print one JSON value
      --no-progress         no progress on stderr
      --wait-for-lock TIME  wait so long for what another process does: 30s, 10m
  -h, --help                explain the command

Example
  mlv push && git push
  Sends the data, then the commits
`);
});

test('mlv alone shows the commands and the next step', async () => {
  const { code, stdout } = await rig.mlv(rig.folder, []);
  const lines = stdout.split('\n');
  expect(code).toBe(0);
  for (const { name, isForGit } of COMMANDS)
    expect(new RegExp(`^  ${name.split(' ')[0] ?? ''} `, 'm').test(stdout)).toBe(isForGit !== true);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.at(-2)).toBe('This is no Git repository. Next: git init, then mlv init');
  const { root } = rig.repository('repository');
  expect((await rig.mlv(root, [])).stdout).toContain('\nThis Git repository is no project yet. Next: mlv init\n');
  await rig.mlv(root, ['init']);
  expect((await rig.mlv(root, [])).stdout).toContain(`\nYou are in the project ${root}. Next: mlv status\n`);
});

test('a group of commands lists them', async () => {
  const { stdout } = await rig.mlv(rig.folder, ['remote', '--help']);
  expect(stdout).toBe(`mlv remote
  mlv remote add      name a bucket or folder to send data to
  mlv remote list     list the remotes
  mlv remote modify   change a setting of a remote
  mlv remote default  show or choose the default remote
  mlv remote remove   forget a remote; its data stays

Each explains itself: mlv remote COMMAND --help
`);
});
