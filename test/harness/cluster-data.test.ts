/** What goes to a cluster and what comes back, where that is not plain. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ClusterProject } from '../execution/kubernetes/stage-rig.ts';
import { makeClusterProject } from '../execution/kubernetes/stage-rig.ts';

const read = ({ root }: ClusterProject, name: string): string => readFileSync(join(root, name), 'utf8');
const isHere = ({ root }: ClusterProject, name: string): boolean => existsSync(join(root, name));

/** Two on the cluster in a row, in a folder below the root of the repository, and one here. */
const ROW = `stages:
  make:
    wdir: work
    cmd: mkdir big && cp ../only-here.txt big/rows && wc -l < ../only-here.txt > count
    deps: [../only-here.txt]
    outs: [big, {count: {push: false}}]
    image: busybox:1
    run_on: {kubernetes: gpu}
  here:
    cmd: cat work/big/rows > here.txt
    deps: [work/big]
    outs: [here.txt]
  next:
    cmd: cat work/big/rows >> all.txt && mkdir plots && cp work/big/rows plots/rows.csv
    deps: [work/big]
    outs: [{all.txt: {persist: true}}, {plots: {cache: false}}]
    image: busybox:1
    run_on: {kubernetes: gpu}
`;

test('two stages in a row hand their data over on the remote; only what Git keeps comes here', async () => {
  const project = await makeClusterProject(ROW, { 'only-here.txt': 'a\n', '.gitignore': 'only-here.txt\n' });
  const names = ['work/big/rows', 'work/count', 'all.txt', 'plots/rows.csv'];
  const here = () => names.filter((name) => isHere(project, name));
  expect((await project.run('repro', 'next')).code).toBe(0);
  expect(here()).toEqual(['plots/rows.csv']);
  await project.told('pull');
  expect(here()).toEqual(['work/big/rows', 'all.txt', 'plots/rows.csv']);

  // What somebody changed is not lost; what is made of that which persists goes on from it; nothing is to be run then.
  project.write({
    'only-here.txt': 'b\n',
    'work/big/rows': 'edited by hand\n',
    'plots/rows.csv': 'edited by hand, too\n',
  });
  expect((await project.run('repro', 'next')).code).toBe(0);
  expect(here()).toEqual(['plots/rows.csv']);
  expect(read(project, 'plots/rows.csv')).toBe('b\n');
  expect((await project.run('repro', 'next')).stderr).toContain('2 up to date');

  // What a stage here reads is brought; and what never came here persists, too.
  project.write({ 'only-here.txt': 'c\n' });
  expect((await project.run('repro')).stderr).toContain('3 ran');
  expect(read(project, 'here.txt')).toBe('c\n');
  await project.told('pull');
  expect(read(project, 'all.txt')).toBe('a\nb\nc\n');
  expect((await project.run('repro')).stderr).toContain('3 up to date');
});

test('an output of another remote is refused before anything is sent', async () => {
  const project = await makeClusterProject(
    `stages:\n  make:\n    cmd: 'true'\n    outs: [{made.txt: {remote: spare}}]\n    image: busybox:1\n    run_on: {kubernetes: gpu}\n`,
    {},
  );
  const { code, stderr } = await project.run('repro');
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(
      `error: stage make cannot run on a cluster: its output made.txt belongs to remote spare, and a pod stores all that it makes on store
hint: Take "remote" from that output in mlv.yaml, line 2, or "run_on" from the stage.
`,
    ),
  ]);
  expect(project.cluster.requests).toEqual([]);
});

test('stages here and there run beside each other, each up to its own limit; what always changes is sent each time', async () => {
  const there = (name: string) =>
    `  ${name}:\n    cmd: echo x > ${name}.txt\n    outs: [${name}.txt]\n    always_changed: true\n    image: busybox:1\n    run_on: {kubernetes: gpu}\n`;
  const here = (name: string) => `  ${name}:\n    cmd: sleep 0.3; echo x > ${name}.txt\n    outs: [${name}.txt]\n`;
  const project = await makeClusterProject(`stages:\n${there('a')}${there('b')}${here('c')}${here('d')}`, {});
  const { code, stderr } = await project.run('repro', '-j', '2');
  expect([code, stderr.split('\n').at(-2)]).toEqual([0, expect.stringMatching(/^✓ 4 ran in/)]);
  expect((await project.run('repro')).stderr).toContain('2 ran, 2 up to date');
  const names = project.cluster.list('jobs').map(({ metadata: { name } }) => name.replace(/[0-9a-f]{12}/, 'HASH'));
  expect(names).toEqual(['mlv-a-HASH', 'mlv-a-HASH-r1', 'mlv-b-HASH', 'mlv-b-HASH-r1']);
});
