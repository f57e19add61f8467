/** What pipelines are refused for, and what of the project that leaves: nothing on record, nothing lost. */
import { symlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { readFolder } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { makePipeline } from '../support/pipeline.ts';
import type { TestPipeline } from '../support/pipeline.ts';

let rig: MlvRig;
let count = 0;

beforeAll(() => void (rig = makeMlvRig()));
afterAll(() => rig.dispose());

/** A project with these files, `mlv.yaml` among them. */
async function project(files: Readonly<Record<string, string>>): Promise<TestPipeline> {
  const p = await makePipeline(rig, `project-${count++}`);
  p.write(files);
  return p;
}

/** What `mlv repro` prints that fails, and what is otherwise in the work tree afterwards. */
async function refused(p: TestPipeline, ...args: string[]) {
  const before = readFolder(p.root, ['.git']) ?? {};
  const { code, stdout, stderr } = await p.mlv(['repro', '--no-progress', ...args]);
  const after = readFolder(p.root, ['.git']) ?? {};
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (path) => before[path] !== after[path],
  );
  return { code, stdout, stderr: stderr.replaceAll(/\d+\.\d s/g, 'TIME'), changed };
}

describe.concurrent('refused before anything runs', () => {
  test('a cycle, drawn', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': `stages:
  prepare:
    cmd: touch ran && cat model > clean
    deps: [model]
    outs: [clean]
  features:
    cmd: touch ran && cat clean > features
    deps: [clean]
    outs: [features]
  train:
    cmd: touch ran && cat features > model
    deps: [features]
    outs: [model]
`,
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "error: stages wait for each other: prepare → features → train → prepare
        prepare makes clean, features depends on clean
        features makes features, train depends on features
        train makes model, prepare depends on model
      hint: Take one of these dependencies away, or split a stage so that the data goes one way.
      ",
        "stdout": "",
      }
    `);
  });

  test('two stages with one output', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one: {cmd: touch ran a, outs: [a]}\n',
      'sub/mlv.yaml': 'stages:\n  two:\n    cmd: touch ran\n    outs: [../a]\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "error: two stages make a: one (mlv.yaml:2) and sub/mlv.yaml:two (sub/mlv.yaml:2)
      hint: Give each stage outputs of its own.
      ",
        "stdout": "",
      }
    `);
  });

  test('an output inside the output of another', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one: {cmd: touch ran, outs: [data]}\n  two: {cmd: touch ran, outs: [data/deep/x]}\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "error: an output lies inside another one: data/deep/x of two (mlv.yaml:3) inside data of one (mlv.yaml:2)
      hint: Let one of the stages write to another place.
      ",
        "stdout": "",
      }
    `);
  });

  test('a dependency that nobody makes and that is not there', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one:\n    cmd: touch ran a\n    deps: [input.csv, src]\n    outs: [a]\n',
      'src/code': '',
      a: 'mine\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "one ✗ stage one reads input.csv, which is not there
      ✗ 1 failed in TIME
      error: stage one reads input.csv, which is not there
      hint: No stage makes it: put it there, or correct "deps" in mlv.yaml, line 2.
      ",
        "stdout": "",
      }
    `);
    const { code, stdout } = await p.mlv(['plan']);
    expect({ code, stdout }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "stdout": "blocked  one
                 never ran
                 missing dependency input.csv
      1 stage: 1 blocked
      ",
      }
    `);
  });

  test('a dependency that a stage makes which was not asked for', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': `stages:
  one: {cmd: touch a, outs: [a]}
  two: {cmd: touch b, deps: [a], outs: [b]}
  three: {cmd: touch c, deps: [b], outs: [c], frozen: true}
  four: {cmd: touch d, deps: [c], outs: [d]}
`,
    });
    expect((await refused(p, '-s', 'two')).stderr).toMatchInlineSnapshot(`
      "two ✗ stage two reads a, which is not there
      ✗ 1 failed in TIME
      error: stage two reads a, which is not there
      hint: Stage one makes a: mlv repro one
      "
    `);
    expect((await refused(p, 'four')).stderr).toMatchInlineSnapshot(`
      "four  ✗ stage four reads c, which is not there
      ✗ 1 failed, 1 frozen in TIME
      error: stage four reads c, which is not there
      hint: Stage three makes c, and is frozen: mlv unfreeze three
      "
    `);
  });

  test('an output that a pointer keeps, or lies in such, or holds one', async ({ expect }) => {
    const p = await project({ 'data/x': 'x\n', 'other/deep/y': 'y\n', model: 'm\n' });
    await p.mlv(['add', 'data', 'other/deep', 'model']);
    const outs = ['model', 'data/made', 'other'];
    const told: unknown[] = [];
    for (const out of outs) {
      p.write({ 'mlv.yaml': `stages:\n  one:\n    cmd: touch ran\n    outs: [${out}]\n` });
      told.push(await refused(p));
    }
    expect(told).toMatchInlineSnapshot(`
      [
        {
          "changed": [],
          "code": 1,
          "stderr": "error: model, which stage one makes (mlv.yaml:2), is tracked by model.mlv
      hint: Stop tracking model, "mlv remove model"; or let the stage write to another place.
      ",
          "stdout": "",
        },
        {
          "changed": [],
          "code": 1,
          "stderr": "error: data/made, which stage one makes (mlv.yaml:2), lies in data, which is tracked by data.mlv
      hint: Stop tracking data, "mlv remove data"; or let the stage write to another place.
      ",
          "stdout": "",
        },
        {
          "changed": [],
          "code": 1,
          "stderr": "error: other, which stage one makes (mlv.yaml:2), holds other/deep, which is tracked by other/deep.mlv
      hint: Stop tracking other/deep, "mlv remove other/deep"; or let the stage write to another place.
      ",
          "stdout": "",
        },
      ]
    `);
  });

  test('an output that Git keeps, or of which it keeps a part', async ({ expect }) => {
    const p = await project({ model: 'm\n', 'data/x': 'x\n', 'data/y': 'y\n' });
    p.git('add', 'model', 'data/y');
    const told: unknown[] = [];
    for (const out of ['model', 'data']) {
      p.write({ 'mlv.yaml': `stages:\n  one:\n    cmd: touch ran\n    outs: [${out}]\n` });
      told.push(await refused(p));
    }
    expect(told).toMatchInlineSnapshot(`
      [
        {
          "changed": [],
          "code": 1,
          "stderr": "error: model, which stage one makes (mlv.yaml:2), is tracked by Git
      hint: Take it out of Git, the files stay: git rm -r --cached model. Or leave it to Git: "cache: false".
      ",
          "stdout": "",
        },
        {
          "changed": [],
          "code": 1,
          "stderr": "error: data, which stage one makes (mlv.yaml:2), holds data/y, which is tracked by Git
      hint: Take it out of Git, the files stay: git rm -r --cached data. Or leave it to Git: "cache: false".
      ",
          "stdout": "",
        },
      ]
    `);
    p.write({ 'mlv.yaml': 'stages:\n  one:\n    cmd: echo new > model\n    outs: [{model: {cache: false}}]\n' });
    expect(await p.repro()).toEqual({ one: 'ran' });
    expect([p.read('model'), await p.isKept('m\n')]).toEqual(['new\n', true]);
  });

  test('an output that is a symlink, or lies behind one', async ({ expect }) => {
    const p = await project({ 'real/x': 'x\n' });
    symlinkSync('real', `${p.root}/link`);
    const told: unknown[] = [];
    for (const out of ['link', 'link/x']) {
      p.write({ 'mlv.yaml': `stages:\n  one:\n    cmd: touch ran\n    outs: [${out}]\n` });
      told.push(await refused(p));
    }
    expect(told).toMatchInlineSnapshot(`
      [
        {
          "changed": [],
          "code": 1,
          "stderr": "error: link, which stage one makes (mlv.yaml:2), is a symlink
      hint: Remove the link (rm link), and let the stage make a file or folder there. Or name in "outs" what the link leads to.
      ",
          "stdout": "",
        },
        {
          "changed": [],
          "code": 1,
          "stderr": "error: link is a symlink, and link/x, which stage one makes (mlv.yaml:2), lies in it
      hint: Name the folder that it leads to, or replace the link by a folder.
      ",
          "stdout": "",
        },
      ]
    `);
    expect(p.read('real/x')).toBe('x\n');
  });

  test('a bad template, with its place', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'vars:\n  - rate: 1\nstages:\n  one:\n    cmd: touch ran ${rat}\n    outs: [ran]\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "error: mlv.yaml:5:20: nothing is called rat in \${rat}
        5 |     cmd: touch ran \${rat}
          |                    ^
      hint: Did you mean rate?
      ",
        "stdout": "",
      }
    `);
  });

  test('a stage that depends on what it makes', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one:\n    cmd: touch ran a\n    deps: [a]\n    outs: [a]\n',
      a: 'mine\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "error: mlv.yaml:2: stage one both depends on a and makes it: it would be out of date whenever it has run
      hint: Write to another place. For what the command goes on with from run to run, drop the dependency and set "persist: true" on the output.
      ",
        "stdout": "",
      }
    `);
  });

  test('no stage at all; and where to begin', async ({ expect }) => {
    const p = await project({ 'mlv.yaml': '{}\n' });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "error: no mlv.yaml here declares a stage
      hint: mlv stage add NAME -d INPUT -o OUTPUT -- COMMAND declares one.
      ",
        "stdout": "",
      }
    `);
  });
});

describe.concurrent('failed, with nothing recorded and nothing lost', () => {
  test('a command that fails; what was at its output is in the cache', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': `stages:
  one: {cmd: echo 1 > a, outs: [a]}
  two:
    cmd: |
      echo part > b
      echo oh no >&2
      exit 3
    deps: [a]
    outs: [b]
  three: {cmd: cat b > c, deps: [b], outs: [c]}
`,
      b: 'mine\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [
          "b",
          ".gitignore",
          "a",
          "mlv.lock",
        ],
        "code": 1,
        "stderr": "one   ▸ runs: never ran
      one   ✓ done in TIME
      two   ▸ runs: never ran
      two   | oh no
      two   ✗ stage two failed: \`exit 3\` exited with 3
      three ⊘ not run: two failed
      ✗ 1 failed, 1 ran, 1 blocked in TIME
      error: stage two failed: \`exit 3\` exited with 3
        oh no
      hint: mlv logs two shows all that it printed.
      ",
        "stdout": "",
      }
    `);
    expect(await p.isKept('mine\n')).toBe(true);
    // Nor is it when somebody writes there after the failure.
    p.write({ b: 'mended by hand\n' });
    await refused(p);
    expect(await p.isKept('mended by hand\n')).toBe(true);
    expect(p.read('mlv.lock')?.match(/^ {2}\w+:/gm)).toEqual(['  one:']);
  });

  test('a command that is not there', async ({ expect }) => {
    const p = await project({ 'mlv.yaml': 'stages:\n  one: {cmd: no-such-program --x, outs: [a]}\n' });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [],
        "code": 1,
        "stderr": "one ▸ runs: never ran
      one | /bin/sh: 1: no-such-program: not found
      one ✗ stage one failed: \`no-such-program --x\` exited with 127 (command not found)
      ✗ 1 failed in TIME
      error: stage one failed: \`no-such-program --x\` exited with 127 (command not found)
        /bin/sh: 1: no-such-program: not found
      hint: Look whether the program is installed, and in PATH. mlv logs one shows all that it printed.
      ",
        "stdout": "",
      }
    `);
  });

  test('a command that makes no output', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one:\n    cmd: touch a\n    outs: [a, b, c]\n',
      b: 'mine\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [
          "b",
          "a",
        ],
        "code": 1,
        "stderr": "one ▸ runs: never ran
      one ✗ stage one did not make b, c
      ✗ 1 failed in TIME
      error: stage one did not make b, c
      hint: Its command succeeded all the same: let it write there, or correct "outs" in mlv.yaml, line 2.
      ",
        "stdout": "",
      }
    `);
    expect(await p.isKept('mine\n')).toBe(true);
    p.write({ b: 'made by hand\n' });
    await refused(p);
    expect(await p.isKept('made by hand\n')).toBe(true);
  });

  test('a stage that rewrites its own dependency', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one:\n    cmd: cat in > a && echo more >> in\n    deps: [in]\n    outs: [a]\n',
      in: '1\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [
          "in",
          "a",
        ],
        "code": 1,
        "stderr": "one ▸ runs: never ran
      one ✗ in changed while stage one ran, which reads it: what the outputs were made from is not known
      ✗ 1 failed in TIME
      error: in changed while stage one ran, which reads it: what the outputs were made from is not known
      hint: A stage must not change what it depends on; let it write an output of its own. If it was you, run it again.
      ",
        "stdout": "",
      }
    `);
    expect((await refused(p)).code).toBe(1);
    p.write({ 'mlv.yaml': 'stages:\n  one:\n    cmd: cat in > a\n    deps: [in]\n    outs: [a]\n' });
    expect(await p.repro()).toEqual({ one: 'ran' });
  });

  test('a stage that rewrites its own parameters', async ({ expect }) => {
    const p = await project({
      'mlv.yaml':
        'stages:\n  one:\n    cmd: "echo rate: 2 > params.yaml; touch a"\n    params: [rate]\n    outs: [a]\n',
      'params.yaml': 'rate: 1\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [
          "params.yaml",
          "a",
        ],
        "code": 1,
        "stderr": "one ▸ runs: never ran
      one ✗ params.yaml changed while stage one ran, which reads it: what the outputs were made from is not known
      ✗ 1 failed in TIME
      error: params.yaml changed while stage one ran, which reads it: what the outputs were made from is not known
      hint: A stage must not change what it depends on; let it write an output of its own. If it was you, run it again.
      ",
        "stdout": "",
      }
    `);
  });

  test('a stage that makes an output which is a symlink, or a folder with one that leads out', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one:\n    cmd: ln -s in a\n    outs: [a]\n',
      in: '1\n',
    });
    expect(await refused(p)).toMatchInlineSnapshot(`
      {
        "changed": [
          "a",
        ],
        "code": 1,
        "stderr": "one ▸ runs: never ran
      one ✗ a, which stage one makes (mlv.yaml:2), is a symlink
      ✗ 1 failed in TIME
      error: a, which stage one makes (mlv.yaml:2), is a symlink
      hint: Remove the link (rm a), and let the stage make a file or folder there. Or name in "outs" what the link leads to.
      ",
        "stdout": "",
      }
    `);
  });

  test('a folder to run in that is not there, and Kubernetes', async ({ expect }) => {
    const p = await project({
      'mlv.yaml': 'stages:\n  one:\n    cmd: touch ../a\n    wdir: none\n    outs: [../a]\n',
    });
    expect((await refused(p)).stderr).toMatchInlineSnapshot(`
      "one ✗ stage one runs in none, which is not a folder
      ✗ 1 failed in TIME
      error: stage one runs in none, which is not a folder
      hint: Make it, or correct wdir in mlv.yaml, line 2.
      "
    `);
    p.write({ 'mlv.yaml': 'stages:\n  one:\n    cmd: touch a\n    run_on: {kubernetes: big}\n    outs: [a]\n' });
    expect((await refused(p)).stderr).toMatchInlineSnapshot(`
      "error: stage one is to run on Kubernetes by the profile "big", which the settings do not have (mlv.yaml, line 2)
      hint: Set what it needs, for one: mlv config kubernetes.big.namespace NAMESPACE
      "
    `);
  });
});
