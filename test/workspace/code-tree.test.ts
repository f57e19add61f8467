import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { treePathToText } from '../../src/domain/tree-path.ts';
import { readEntries } from '../../src/domain/tree-reader.ts';
import { add } from '../../src/workspace/add.ts';
import { type CodeTree, storeCode } from '../../src/workspace/code-tree.ts';
import { init } from '../../src/workspace/init.ts';
import { openWorkspace, type Workspace } from '../../src/workspace/open.ts';
import { createStorageTasks } from '../../src/workspace/task-runner.ts';
import { executable } from '../support/folders.ts';
import { makeRepository } from '../support/git.ts';
import type { StageRig } from '../support/stage-rig.ts';
import { makeStageRig } from '../support/stage-rig.ts';

let rig: StageRig;
beforeEach(async () => {
  rig = await makeStageRig();
});
afterEach(() => rig.dispose());

const store = (outs: readonly string[] = [], workspace = rig.workspace): Promise<CodeTree> =>
  storeCode(workspace, { outs: outs.map((path) => path as RepoPath), tasks: rig.tasks });

/** What is in a tree of code, all of it from the cache: kind and content by path. */
function contentOf({ root }: CodeTree, workspace: Workspace = rig.workspace): Record<string, string> {
  const { read } = workspace.cache();
  return Object.fromEntries(
    [...readEntries(root, read)].map(({ path, kind, digest }) => [
      treePathToText(path),
      `${kind} ${read(digest).toString('utf8')}`,
    ]),
  );
}

describe('the code of a project', () => {
  it('is what Git tracks or would, as it is here, less what mlv keeps or is told to leave out', async () => {
    rig.write({
      '.gitignore': '*.log\n',
      '.mlvignore': '/notes\n',
      'train.py': 'print()',
      'run.sh': executable('#!/bin/sh'),
      'deep/.mlvignore': 'x.txt\n',
      'deep/x.txt': 'excluded',
      'deep/y.txt': 'y',
      'notes/a.md': 'excluded',
      'out.log': 'ignored',
      'params.yaml': 'lr: 1\n',
      'metrics.json': '{}',
      'mlv.lock': 'version: 0\nstages: {}\n',
      'data/a': 'tracked',
      'model/w': 'output',
      'gone.py': 'deleted',
    });
    symlinkSync('train.py', join(rig.root, 'latest'));
    await add(rig.workspace, { targets: ['data'], cwd: rig.root });
    rig.repository.git('add', '.');
    rig.remove('gone.py');
    rig.write({ 'train.py': 'print(1)' });
    const code = await store(['model', 'metrics.json']);
    expect(contentOf(code)).toEqual({
      '.gitignore': `f ${readFileSync(join(rig.root, '.gitignore'), 'utf8')}`,
      '.mlvignore': 'f /notes\n',
      'deep/.mlvignore': 'f x.txt\n',
      'deep/y.txt': 'f y',
      latest: 'l train.py',
      'params.yaml': 'f lr: 1\n',
      'run.sh': 'x #!/bin/sh',
      'train.py': 'f print(1)',
    });
    expect(code.files).toBe(8);
    expect(code.bytes).toBe(Object.values(contentOf(code)).reduce((sum, text) => sum + text.length - 2, 0));
  });

  it('is the same tree as long as nothing changes, and nothing is read then', async () => {
    rig.write({ 'a.py': 'a', 'b.py': 'b' });
    const first = await store();
    // What cannot be read is not.
    for (const name of ['a.py', 'b.py']) chmodSync(join(rig.root, name), 0o644);
    expect(await store()).toEqual(first);
    rig.write({ 'b.py': 'c' });
    const second = await store();
    expect(second.root).not.toBe(first.root);
    rig.write({ 'b.py': 'b' });
    expect(await store()).toEqual(first);
  });

  it('is in the cache, whatever is known of the files, once the cache has lost it', async () => {
    rig.write({ 'a.py': 'a' });
    const code = await store();
    rmSync(join(rig.root, '.git/mlv/cache'), { recursive: true });
    const workspace = await rig.reopen();
    const tasks = createStorageTasks(workspace.cache());
    const again = await storeCode(workspace, { outs: [], tasks });
    await tasks.close();
    expect(again).toEqual(code);
    expect(contentOf(again, workspace)).toMatchObject({ 'a.py': 'f a' });
  });

  it('brings submodules and other repositories along as plain folders, by their own rules', async () => {
    const nested = makeRepository(join(rig.root, 'vendor/lib'));
    nested.commit({ '.gitignore': 'build\n', 'lib.py': 'lib' });
    nested.write({ 'build/x': 'ignored', 'new.py': 'new' });
    const other = makeRepository(join(rig.root, '../other'));
    other.commit({ 'inner.py': 'inner' });
    rig.repository.git('submodule', '--quiet', 'add', other.root, 'sub');
    rig.repository.git('submodule', '--quiet', 'add', other.root, 'absent');
    rig.repository.git('submodule', '--quiet', 'deinit', '--force', 'absent');
    const content = contentOf(await store());
    expect(Object.keys(content).sort()).toEqual([
      '.gitmodules',
      'sub/inner.py',
      'vendor/lib/.gitignore',
      'vendor/lib/lib.py',
      'vendor/lib/new.py',
    ]);
  });

  it('is that of the project alone, where that is a part of the repository', async () => {
    rig.write({
      'app/main.py': 'main',
      'app/.gitignore': 'x\n',
      'app/x': 'ignored',
      'app-b/b.py': 'b',
      'lib/l.py': 'l',
    });
    const environment = rig.repository.env;
    const cwd = join(rig.root, 'app');
    await init({ cwd, environment, subdir: true });
    const workspace = await openWorkspace({ cwd, environment });
    expect(Object.keys(contentOf(await store([], workspace), workspace))).toEqual(['.gitignore', 'main.py']);
    await workspace.close();
  });

  it('is everything that is there where the project has no Git', async () => {
    const cwd = join(rig.root, '../plain');
    mkdirSync(cwd);
    const { env: environment } = rig.repository;
    await init({ cwd, environment, noGit: true });
    writeFileSync(join(cwd, 'a.py'), 'a');
    writeFileSync(join(cwd, '.mlvignore'), 'b.py\n');
    writeFileSync(join(cwd, 'b.py'), 'b');
    const workspace = await openWorkspace({ cwd, environment });
    const tasks = createStorageTasks(workspace.cache());
    const code = await storeCode(workspace, { outs: [], tasks });
    expect(contentOf(code, workspace)).toEqual({ '.mlvignore': 'f b.py\n', 'a.py': 'f a' });
    await tasks.close();
    await workspace.close();
  });

  it('is refused over 100 MB before anything is read, with what makes it so large', async () => {
    rig.write({ 'a.py': 'a', 'data/raw/2024/x.bin': '', 'data/raw/y.bin': '', 'weights.pt': '' });
    truncateSync(join(rig.root, 'data/raw/2024/x.bin'), 80e6);
    truncateSync(join(rig.root, 'data/raw/y.bin'), 15e6);
    truncateSync(join(rig.root, 'weights.pt'), 9e6);
    await expect(store()).rejects.toMatchObject({
      code: 'code-too-large',
      message: expect.stringMatching(/^the code has 104 MB in 4 files, and at most 100 MB go to a cluster$/),
      items: ['data/raw/  95 MB', 'weights.pt  9.0 MB', 'a.py  1 B'],
      hint: expect.stringContaining('.mlvignore'),
    });
    rig.write({ '.mlvignore': '*.bin\n' });
    expect((await store()).bytes).toBeLessThan(10e6);
  });

  it('is refused where a link leads out of it, or a name is none', async () => {
    symlinkSync('/etc/passwd', join(rig.root, 'link'));
    writeFileSync(Buffer.from(`${rig.root}/\xe9.py`, 'latin1'), '');
    await expect(store()).rejects.toMatchObject({
      code: 'code-unreadable',
      items: [expect.stringMatching(/: its name is not UTF-8$/)],
    });
    rmSync(Buffer.from(`${rig.root}/\xe9.py`, 'latin1'));
    await expect(store()).rejects.toMatchObject({
      code: 'code-unreadable',
      items: [expect.stringMatching(/^link: it is a symlink/)],
    });
    rig.write({ '.mlvignore': '/link\n' });
    expect(Object.keys(contentOf(await store()))).toEqual(['.mlvignore']);
  });
});
