import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';

let rig: MlvRig;
let root: string;

beforeAll(async () => {
  rig = makeMlvRig();
  root = (await rig.project('pipeline')).root;
  mkdirSync(join(root, 'report'));
  writeFileSync(
    join(root, 'mlv.yaml'),
    `stages:
  train:
    foreach: [small, large]
    do:
      cmd: train \${item}
      deps: [data/clean]
      outs: ['model-\${item}']
  prepare:
    cmd: prepare
    deps: [raw.csv]
    outs: [data/clean]
    frozen: true
`,
  );
  writeFileSync(
    join(root, 'report/mlv.yaml'),
    'stages:\n  page:\n    cmd: page\n    deps: [../model-small, ../model-large]\n    outs: [page.html]\n',
  );
});
afterAll(() => rig.dispose());

async function dag(args: readonly string[], cwd = root): Promise<string> {
  const { code, stdout, stderr } = await rig.mlv(cwd, ['dag', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

test('draws the stages of all files as lanes', async () => {
  expect(await dag([])).toBe(`○    prepare (frozen)
├─●  train@small
● │  train@large
├─┘
●    report/mlv.yaml:page
`);
});

test('draws a target of this folder with what is before it', async () => {
  expect(await dag(['train@large'])).toBe('○  prepare (frozen)\n●  train@large\n');
  expect(await dag(['page', '--outs'], join(root, 'report'))).toBe(`○    data/clean (frozen)
├─●  model-small
● │  model-large
├─┘
●    report/page.html
`);
});

test('prints Mermaid, dot and JSON', async () => {
  expect(await dag(['train@small', '--format', 'mermaid'])).toBe(`flowchart TD
    stage_prepare["prepare (frozen)"]
    stage_train_40_small["train@small"]
    stage_prepare --> stage_train_40_small
`);
  expect(await dag(['train@small', '--format', 'dot'])).toBe(`digraph {
  node [shape=box]
  "prepare" [style="dashed"]
  "train@small"
  "prepare" -> "train@small"
}
`);
  const data = {
    nodes: [
      { id: 'prepare', kind: 'stage', frozen: true },
      { id: 'train@small', kind: 'stage' },
    ],
    edges: [{ from: 'prepare', to: 'train@small' }],
  };
  expect(JSON.parse(await dag(['train@small', '--format', 'json']))).toEqual(data);
  expect(JSON.parse(await dag(['train@small', '--json']))).toEqual(data);
});

test('refuses a format that it does not know', async () => {
  const { code, stderr } = await rig.mlv(root, ['dag', '--format', 'svg']);
  const expected = 'error: mlv dag does not know the format "svg"\nhint: Formats are text, mermaid, dot, json.\n';
  expect({ code, stderr }).toEqual({ code: 2, stderr: expected });
});

test('draws a cycle in its refusal, and says where there are no stages', async () => {
  const { root: cyclic } = await rig.project('cyclic');
  expect(await dag([], cyclic)).toBe('There are no stages: mlv.yaml declares none\n');
  writeFileSync(
    join(cyclic, 'mlv.yaml'),
    'stages:\n  a: {cmd: x, deps: [y], outs: [x]}\n  b: {cmd: y, deps: [x], outs: [y]}\n',
  );
  const { code, stderr } = await rig.mlv(cyclic, ['dag']);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `error: stages wait for each other: a → b → a
  a makes x, b depends on x
  b makes y, a depends on y
hint: Take one of these dependencies away, or split a stage so that the data goes one way.
`,
  });
});
