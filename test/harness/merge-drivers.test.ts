/** How the drivers are set up and taken away, what they do where something is missing, and what Git shows of data. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DriverStatus } from '../../src/workspace/git-drivers.ts';
import { installDrivers, readDriverStatus, removeDrivers } from '../../src/workspace/git-drivers.ts';
import type { Workspace } from '../../src/workspace/open.ts';
import { openWorkspace } from '../../src/workspace/open.ts';
import { asRead, readFolder, writeFiles } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import { makeMergeProject, mergeProject, setUpDrivers } from '../support/merge-rig.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const PROGRAM = { program: ['/opt/my tools/mlv', "it's 100%"] };
const BLOCK = '# mlv: begin\n*.mlv merge=mlv diff=mlv\nmlv.lock merge=mlv-lock\n.gitignore merge=union\n# mlv: end\n';

async function inWorkspace<T>(root: string, work: (workspace: Workspace) => Promise<T>): Promise<T> {
  const workspace = await openWorkspace({ cwd: root, environment: rig.env });
  try {
    return await work(workspace);
  } finally {
    await workspace.close();
  }
}

const statusOf = (root: string): Promise<DriverStatus> =>
  inWorkspace(root, (workspace) => readDriverStatus(workspace, PROGRAM));

describe('the drivers', () => {
  test.each<[string, string | undefined]>([
    ['no .gitattributes', undefined],
    ['one with lines of its own', '*.txt text\n'],
    ['one whose last line has no end', '*.txt text'],
    ['one with line ends of another system', '*.txt text\r\n\r\n'],
  ])('are set up and taken away again, with %s', async (_, before) => {
    const { root, git } = await rig.project(`attributes-${String(before?.length)}-${String(before?.endsWith('\n'))}`);
    const file = join(root, '.gitattributes');
    if (before !== undefined) writeFileSync(file, before);
    const config = readFileSync(join(root, '.git/config'), 'utf8');
    expect(await statusOf(root)).toEqual({ attributes: 'absent', configuration: 'absent', others: [] });

    const install = () => inWorkspace(root, (workspace) => installDrivers(workspace, PROGRAM));
    expect(await install()).toEqual({ attributesChanged: true });
    expect(await statusOf(root)).toEqual({ attributes: 'installed', configuration: 'installed', others: [] });
    expect(readFileSync(file, 'utf8').replace(/^# mlv: begin.*/m, '# mlv: begin')).toBe(
      `${before ?? ''}${before?.endsWith('t') === true ? '\n' : ''}${BLOCK}`,
    );
    expect(git('check-attr', 'merge', 'diff', '--', 'sub/data.mlv', 'mlv.lock', '.gitignore')).toBe(
      'sub/data.mlv: merge: mlv\nsub/data.mlv: diff: mlv\nmlv.lock: merge: mlv-lock\nmlv.lock: diff: unspecified\n.gitignore: merge: union\n.gitignore: diff: unspecified',
    );
    expect(git('diff', '--cached', '--name-only')).toContain('.gitattributes');
    expect(await install()).toEqual({ attributesChanged: false });

    // Somebody goes on writing after it.
    writeFileSync(file, `${readFileSync(file, 'utf8')}*.bin -text\n`);
    expect(await inWorkspace(root, removeDrivers)).toEqual({ attributesChanged: true });
    expect(readFileSync(file, 'utf8')).toBe(`${before ?? ''}*.bin -text\n`);
    expect(readFileSync(join(root, '.git/config'), 'utf8')).toBe(config);
    expect(await inWorkspace(root, removeDrivers)).toEqual({ attributesChanged: false });

    if (before === undefined) {
      rmSync(file);
      await install();
      await inWorkspace(root, removeDrivers);
      expect(existsSync(file)).toBe(false);
    }
  });

  test('of somebody else stay, and stop the installation', async () => {
    const { root, git } = await rig.project('others');
    git('config', 'merge.mlv.driver', 'my-own %A');
    await expect(inWorkspace(root, (workspace) => installDrivers(workspace, PROGRAM))).rejects.toMatchObject({
      code: 'driver-not-ours',
      items: ['merge.mlv.driver = my-own %A'],
    });
    expect(existsSync(join(root, '.gitattributes'))).toBe(false);
    expect(await statusOf(root)).toMatchObject({ configuration: 'other', others: ['merge.mlv.driver = my-own %A'] });
    await inWorkspace(root, removeDrivers);
    expect(git('config', 'merge.mlv.driver')).toBe('my-own %A');
  });

  test('are not written through a link', async () => {
    const { root } = await rig.project('linked');
    writeFileSync(join(rig.folder, 'elsewhere'), 'mine\n');
    symlinkSync(join(rig.folder, 'elsewhere'), join(root, '.gitattributes'));
    await expect(inWorkspace(root, (workspace) => installDrivers(workspace, PROGRAM))).rejects.toMatchObject({
      code: 'gitattributes-linked',
    });
    expect(readFileSync(join(rig.folder, 'elsewhere'), 'utf8')).toBe('mine\n');
  });

  test('work from a project in a folder of the repository, and in a linked work tree', async () => {
    const repository = rig.repository('mono');
    const root = join(repository.root, 'team/project');
    mkdirSync(root, { recursive: true });
    await told(rig, root, ['init', '--subdir']);
    await setUpDrivers(rig, root);
    const { git, record, tryGit } = mergeProject(rig, repositoryAt(root));
    git('add', '--all');
    await record('data', { a: '1', b: '1' });
    git('switch', '--quiet', '-c', 'topic');
    await record('data', { a: '1', b: '2' });
    git('switch', '--quiet', 'main');
    await record('data', { a: '2', b: '1' });
    const linked = join(rig.folder, 'linked-tree');
    git('worktree', 'add', '--quiet', '--detach', linked, 'main');
    expect(tryGit('merge', '--no-edit', 'topic').isDone).toBe(true);
    const other = mergeProject(rig, repositoryAt(join(linked, 'team/project')));
    expect(other.tryGit('merge', '--no-edit', 'topic').isDone).toBe(true);
    expect(git('diff', 'HEAD', other.git('rev-parse', 'HEAD'))).toBe('');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '2', b: '2' }));
    expect(git('show', 'topic')).toContain('\n+b  1  ');
  });

  test('leave text and marks where mlv is not set up, or not there any more', async () => {
    const project = await makeMergeProject(rig, 'gone');
    const { root, git, record, tryGit } = project;
    await record('data', { a: '1', b: '1' });
    git('switch', '--quiet', '-c', 'topic');
    await record('data', { a: '1', b: '2' });
    git('switch', '--quiet', 'main');
    await record('data', { a: '2', b: '1' });
    const inPlace = async (): Promise<void> => {
      const { isDone, output } = tryGit('merge', 'topic');
      expect([isDone, output]).toEqual([false, expect.stringContaining('CONFLICT (content)')]);
      expect(readFileSync(join(root, 'data.mlv'), 'utf8')).toMatch(/^<{7} [\s\S]*^={7}$[\s\S]*^>{7} /m);
      // Whoever sets it up then, or had not, resolves it all the same: there is nothing left to choose.
      expect(await told(rig, root, ['checkout', '--ours', 'data'])).toContain(
        'data  resolved, staged in Git. Next: git commit\n',
      );
      expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '2', b: '2' }));
      git('reset', '--quiet', '--hard');
      await told(rig, root, ['checkout']);
    };
    await inWorkspace(root, (workspace) => installDrivers(workspace, { program: ['/nowhere/mlv'] }));
    await inPlace();
    expect(git('log', '-p', '-1')).toContain('+hash: b3:');
    await inWorkspace(root, removeDrivers);
    git('reset', '--quiet', '--hard');
    await inPlace();
  });

  test('leave to Git what is no pointer', async () => {
    const { root, git, commit, tryGit } = await makeMergeProject(rig, 'no-pointer');
    commit({ 'notes.mlv': 'one\ntwo\nthree\nfour\n' });
    git('switch', '--quiet', '-c', 'topic');
    commit({ 'notes.mlv': 'one\ntwo\nthree\nfive\n' });
    git('switch', '--quiet', 'main');
    commit({ 'notes.mlv': 'ONE\ntwo\nthree\nfour\n' });
    expect(tryGit('merge', '--no-edit', 'topic').isDone).toBe(true);
    expect(readFileSync(join(root, 'notes.mlv'), 'utf8')).toBe('ONE\ntwo\nthree\nfive\n');
  });

  test('fetch the lists that the cache lacks, or tell why they cannot be merged', async () => {
    const project = await makeMergeProject(rig, 'missing');
    const { root, git, record, tryGit } = project;
    const remote = join(rig.folder, 'store');
    await told(rig, root, ['remote', 'add', '-d', 'store', remote]);
    await record('data', { a: '1', b: '1' });
    git('switch', '--quiet', '-c', 'topic');
    await record('data', { a: '1', b: '2' });
    git('switch', '--quiet', 'main');
    await record('data', { a: '2', b: '1' });
    await told(rig, root, ['push']);
    await told(rig, root, ['push', '--all-branches']);
    const cache = join(root, '.git/mlv/cache');
    rmSync(cache, { recursive: true });
    renameSync(remote, `${remote}-away`);
    expect(tryGit('merge', 'topic').output).toContain('  data: cannot be merged: ');
    git('merge', '--abort');
    renameSync(`${remote}-away`, remote);
    expect(tryGit('merge', '--no-edit', 'topic').isDone).toBe(true);
    await told(rig, root, ['pull']);
    expect(readFolder(join(root, 'data'))).toEqual(asRead({ a: '2', b: '2' }));
  });
});

describe('mlv.lock', () => {
  const lock = (stages: Record<string, string>): string =>
    `version: 1\nstages:\n${Object.entries(stages)
      .map(([name, cmd]) => `  ${name}:\n    cmd: ${cmd}\n`)
      .join('')}`;

  test('is merged stage by stage; a stage that both changed is dropped, and told', async () => {
    const { root, git, commit, tryGit } = await makeMergeProject(rig, 'lock');
    commit({ 'mlv.lock': lock({ clean: '1', gone: '1', train: '1' }) });
    git('switch', '--quiet', '-c', 'topic');
    commit({ 'mlv.lock': lock({ clean: '1', eval: '3', train: '3' }) });
    git('switch', '--quiet', 'main');
    commit({ 'mlv.lock': lock({ clean: '2', gone: '1', train: '2' }) });
    const { isDone, output } = tryGit('merge', '--no-edit', 'topic');
    expect([isDone, output]).toEqual([
      true,
      expect.stringContaining(
        'mlv.lock: stage train was changed on both sides; its record is dropped, and it will run again\n',
      ),
    ]);
    expect(readFileSync(join(root, 'mlv.lock'), 'utf8')).toBe(lock({ clean: '2', eval: '3' }));
  });

  test("is Git's to merge where it is no such file", async () => {
    const { root, git, commit, tryGit } = await makeMergeProject(rig, 'no-lock');
    commit({ 'mlv.lock': 'stages: [1]\n' });
    git('switch', '--quiet', '-c', 'topic');
    commit({ 'mlv.lock': 'stages: [2]\n' });
    git('switch', '--quiet', 'main');
    commit({ 'mlv.lock': 'stages: [3]\n' });
    expect(tryGit('merge', 'topic').isDone).toBe(false);
    expect(readFileSync(join(root, 'mlv.lock'), 'utf8')).toBe(
      '<<<<<<< ours\nstages: [3]\n=======\nstages: [2]\n>>>>>>> theirs\n',
    );
  });
});

describe('what Git shows of data', () => {
  test('git diff, git show and git log -p tell files', async () => {
    const { root, git, record } = await makeMergeProject(rig, 'shown');
    await record('data', { a: '1', b: '1', 'sub/c': '1' }, 'first');
    await record('data', { a: '1', 'b%': '1', 'sub/c': '22', 'new\nline': '' }, 'second');
    const shown = git('show', '--format=', 'HEAD');
    const lines = shown.split('\n').filter((line) => !/^(?:diff|index|---|\+\+\+|@@)/.test(line));
    expect(lines.map((line) => line.replace(/ {2}[0-9a-f]{10}$/, '').replace(/b3:\w+/, 'b3:'))).toEqual([
      ' version: 1',
      ' type: dir',
      '-hash: b3:',
      '-size: 3',
      '-files: 3',
      '+hash: b3:',
      '+size: 4',
      '+files: 4',
      ' ',
      ' a  1',
      '-b  1',
      '-sub/c  1',
      '+b%25  1',
      '+new%0Aline  0',
      '+sub/c  2',
    ]);
    expect(git('log', '-p', '--format=', '-1')).toBe(shown);
    // What is in the work tree, and what is no pointer at all.
    writeFiles(root, { 'data/a': '333' });
    await told(rig, root, ['add', 'data']);
    expect(git('diff', '--cached')).toMatch(/^-a {2}1 .*\n\+a {2}3 /m);
    writeFileSync(join(root, 'data.mlv'), 'nonsense\n');
    expect(git('diff')).toContain('+nonsense');
    expect(git('diff')).toContain('-a  3  ');
  });

  test('without the lists of files: what the pointer says', async () => {
    const { root, git, record } = await makeMergeProject(rig, 'unlisted');
    await record('data', { a: '1' }, 'first');
    await record('data', { a: '2' }, 'second');
    rmSync(join(root, '.git/mlv'), { recursive: true });
    const lines = git('show', '--format=').split('\n').slice(4);
    expect(lines.map((line) => line.replace(/b3:\w+/, 'b3:'))).toEqual([
      '@@ -1,5 +1,5 @@',
      ' version: 1',
      ' type: dir',
      '-hash: b3:',
      '+hash: b3:',
      ' size: 1',
      ' files: 1',
    ]);
  });
});
