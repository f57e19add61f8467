import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  asRead,
  emptyFolder,
  executable,
  identities,
  link,
  manyFiles,
  readFolder,
  writeFiles,
} from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import { makeRepository, repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

/** A new project with these files. */
async function project(name: string, files: Parameters<typeof writeFiles>[1] = {}): Promise<TestRepository> {
  const repository = await rig.project(name);
  writeFiles(repository.root, files);
  return repository;
}

/** Pointers and `.gitignore` files, and what is staged: what a refused command may not change. */
function recorded(repository: TestRepository): unknown {
  const files = readFolder(repository.root, ['.git', '.mlv']) ?? {};
  const names = Object.keys(files).filter((path) => path.endsWith('.mlv') || path.endsWith('.gitignore'));
  return [names.map((name) => [name, files[name]]), repository.git('status', '--porcelain', '--untracked-files=no')];
}

describe('what can be added', () => {
  test('a file: a pointer and a line in .gitignore, both staged', async () => {
    const { root, git } = await project('file', { 'model.bin': 'weights\n' });
    expect(await told(rig, root, ['add', 'model.bin'])).toBe(
      'new  model.bin  8 B\n\nStaged in Git: 2 files. Next: git commit\n',
    );
    expect(readFolder(root, ['.git', '.mlv'])).toEqual({
      '.gitignore': 'file /model.bin\n',
      'model.bin': 'file weights\n',
      'model.bin.mlv':
        'file version: 1\ntype: file\nhash: b3:6068b55fec267a852f945db1e60e6007aa919612e1a7c97078ab175bcb0601de\nsize: 8\n',
    });
    expect(git('status', '--porcelain')).toBe('A  .gitignore\nA  .mlv/config.yaml\nA  model.bin.mlv');
  });

  test('a directory, with executables, symlinks, empty folders and folders named like files', async () => {
    const files = {
      'data/a.txt': 'a',
      'data/a/b.txt': 'b',
      'data/a-b': 'c',
      'data/run.sh': executable('#!/bin/sh\n'),
      'data/a/link': link('../a.txt'),
      'data/none': emptyFolder,
      'data/empty': '',
      'data/.hidden': 'h',
    };
    const { root } = await project('directory', files);
    expect(await told(rig, root, ['add', 'data'])).toContain('new  data  7 files, 22 B\n');
    rmSync(join(root, 'data'), { recursive: true });
    await told(rig, root, ['checkout']);
    expect(asRead(files)).toEqual(prefixed('data', readFolder(join(root, 'data'))));
    expect(await told(rig, root, ['status'])).toBe('1 path unchanged (7 files, 22 B)\n');
  });

  test('names of every kind, in a directory and by themselves', async () => {
    const names = [
      'with space',
      ' leading',
      'trailing ',
      'tab\there',
      'new\nline',
      'carriage\r',
      'percent%41',
      '%',
      '#hash',
      '!bang',
      '*star*',
      '[x]?',
      'back`tick$HOME',
      '"quoted"',
      "it's",
      '-dash',
      '--force',
      '12:30',
      '~',
      'é',
      'e\u0301',
      '日本語',
      '🎉',
      'x'.repeat(255),
      'ü'.repeat(127),
      '.gitignore',
      '.gitattributes',
      'con',
      'bell\u0007',
      'del\u007f',
    ];
    const inside = Object.fromEntries(names.map((name) => [`all/${name}`, `content of ${name}`]));
    // The pointer's name has to fit, too.
    const outside = names.filter((name) => Buffer.byteLength(name) <= 251 && !name.startsWith('.git'));
    const { root, git } = await project('names', {
      ...inside,
      ...Object.fromEntries(outside.map((name) => [name, `data ${name}`])),
    });
    await told(rig, root, ['add', 'all', '--', ...outside]);
    git('commit', '--quiet', '-m', 'names');
    // Had one line in .gitignore missed its file, or taken a pointer with it, Git would tell.
    expect(git('status', '--porcelain', '--ignored=no')).toBe('');
    expect(
      git('ls-files', '-z')
        .split('\0')
        .filter((name) => name.endsWith('.mlv') && !name.startsWith('.mlv/'))
        .sort(),
    ).toEqual(['all', ...outside].map((name) => `${name}.mlv`).sort());
    const before = readFolder(root, ['.git', '.mlv']);
    for (const name of ['all', ...outside]) rmSync(join(root, name), { recursive: true });
    await told(rig, root, ['checkout']);
    expect(readFolder(root, ['.git', '.mlv'])).toEqual(before);
    expect((await data<{ clean: boolean }>(rig, root, ['status'])).clean).toBe(true);
  });

  test('a line in .gitignore hides its one file, and none that is named alike', async () => {
    const { root, git } = await project('ignore-lines', {
      'a*': '1',
      ab: '2',
      'sub/a*': '3',
      'x ': '4',
      x: '5',
      '.gitignore': '# mine\n*.log',
    });
    await told(rig, root, ['add', 'a*', 'x ']);
    expect(readFileSync(join(root, '.gitignore'), 'utf8')).toBe('# mine\n*.log\n/a\\*\n/x\\ ');
    expect(
      git('status', '--porcelain', '-z', '--untracked-files=all')
        .split('\0')
        .filter((line) => line.startsWith('??'))
        .sort(),
    ).toEqual(['?? ab', '?? sub/a*', '?? x']);
  });

  test('several at once, each named in whatever way', async () => {
    const { root } = await project('several', { 'in/a': 'a', 'in/b': 'b', c: 'c' });
    expect(await told(rig, join(root, 'in'), ['add', 'a', './b', '../c', '../c', join(root, 'in', 'a')])).toBe(
      'new  in/a  1 B\nnew  in/b  1 B\nnew  c     1 B\n\nStaged in Git: 5 files. Next: git commit\n',
    );
    expect(readFileSync(join(root, 'in/.gitignore'), 'utf8')).toBe('/a\n/b\n');
  });

  test('what patterns match, expanded by mlv', async () => {
    const { root } = await project('glob', {
      'in/a.jpg': '1',
      'in/b.jpg': '2',
      'in/c.txt': '3',
      'in/deep/d.jpg': '4',
      'in/.e.jpg': '5',
    });
    expect(await told(rig, root, ['add', '--glob', 'in/*.jpg'])).toContain('new  in/a.jpg  1 B\nnew  in/b.jpg  1 B\n');
    expect(await told(rig, join(root, 'in'), ['add', '--glob', '**/*.{jpg,txt}'])).toContain(
      'new  in/c.txt       1 B\nnew  in/deep/d.jpg  1 B\n2 paths unchanged\n',
    );
    expect(await refusal(rig, root, ['add', '--glob', 'in/*.png'])).toBe(
      'error: nothing matches in/*.png in the project\n' +
        'hint: Patterns are relative to where you are; quote them, so that your shell leaves them alone.\n',
    );
    expect(await refusal(rig, root, ['add', '--glob', 'no/such/*'])).toContain(
      'error: nothing matches no/such/* in the project\n',
    );
  });

  test('a description and a remote of its own are kept in the pointer', async () => {
    const { root } = await project('described', { model: '1' });
    await told(rig, root, ['remote', 'add', 'archive', join(rig.folder, 'archive')]);
    await told(rig, root, ['add', 'model', '--desc', 'the model: v1', '--remote', 'archive']);
    const text = readFileSync(join(root, 'model.mlv'), 'utf8');
    expect(text.split('\n').slice(4)).toEqual(['remote: archive', 'desc: "the model: v1"', '']);
    expect(await refusal(rig, root, ['add', 'model', '-r', 'nowhere'])).toBe(
      'error: there is no remote "nowhere"\nhint: "mlv remote list" shows what there is; "mlv remote add nowhere URL" adds it.\n',
    );
  });

  test('data outside the project, copied to where -o says; the original stays', async () => {
    const { root } = await project('import');
    const source = { 'raw/a': 'a', 'raw/sub/b': executable('b'), 'raw/l': link('a') };
    writeFiles(rig.folder, source);
    expect(await told(rig, root, ['add', '../raw', '-o', 'data/raw', '--desc', 'raw'])).toContain(
      'new  data/raw  3 files, 3 B\n',
    );
    expect(readFolder(join(root, 'data'))).toMatchObject({ ...asRead(source), '.gitignore': 'file /raw\n' });
    expect(readFolder(join(rig.folder, 'raw'))).toEqual(readFolder(join(root, 'data/raw')));
    expect(await told(rig, root, ['status'])).toBe('1 path unchanged (3 files, 3 B)\n');
    expect(await refusal(rig, root, ['add', '../raw', '-o', 'data/raw'])).toContain('error: data/raw is there already');
    expect(await refusal(rig, root, ['add', '../raw', '-o', 'data/raw/more'])).toContain('is inside something tracked');
    expect(await refusal(rig, root, ['add', '../raw', '../raw', '-o', 'b'], { code: 2 })).toContain(
      'error: -o takes exactly one source\n',
    );
    expect(await refusal(rig, root, ['add', '../nothing', '-o', 'b'])).toContain('error: ../nothing does not exist\n');
    expect(await refusal(rig, root, ['add', '../raw', '-o', '../b'])).toContain('error: ../b is outside the project');
    writeFiles(rig.folder, { 'one file': executable('1') });
    await told(rig, root, ['add', '../one file', '-o', 'one']);
    expect(readFolder(root, ['.git', '.mlv', 'data'])).toMatchObject({ one: 'exec 1' });
  });

  test('nothing is staged where core.autostage is off', async () => {
    const { root, git } = await project('no-autostage', { model: '1' });
    await told(rig, root, ['config', 'core.autostage', 'false']);
    git('commit', '--quiet', '--all', '-m', 'settings');
    expect(await told(rig, root, ['add', 'model'])).toBe('new  model  1 B\n');
    expect(git('status', '--porcelain')).toBe('?? .gitignore\n?? model.mlv');
  });
});

describe('adding again', () => {
  test('what did not change writes nothing at all', async () => {
    const { root, git } = await project('again', {
      ...manyFiles(2_500, 'data/'),
      'data/l': link('x'),
      'data/none': emptyFolder,
      model: '1',
    });
    await told(rig, root, ['add', 'data', 'model']);
    git('commit', '--quiet', '-m', '1');
    git('status');
    // Times of what was made just now may still be looked at twice.
    await new Promise((resolve) => setTimeout(resolve, 150));
    await told(rig, root, ['add', 'data', 'model']);
    const before = identities(root);
    expect(await told(rig, root, ['add', 'data', 'model'])).toBe('2 paths unchanged\n');
    const after = identities(root);
    // Probe files tell the disk's clock and what links it makes; their folders remember that they were there.
    for (const times of [before, after]) for (const folder of ['.git/mlv', '.git/mlv/cache/tmp']) delete times[folder];
    expect(after).toEqual(before);
  });

  test('edits make a new version; comments and unknown keys of the pointer stay', async () => {
    const { root, git } = await project('edits', { 'data/a': '1', 'data/b': '2', 'data/c': '3', 'data/d/e': '4' });
    await told(rig, root, ['add', 'data']);
    git('commit', '--quiet', '-m', '1');
    appendFileSync(join(root, 'data.mlv'), '# keep me\nlicence: MIT\n');
    writeFiles(root, { 'data/b': '22', 'data/new/f': '5' });
    rmSync(join(root, 'data/d'), { recursive: true });
    renameSync(join(root, 'data/c'), join(root, 'data/cc'));
    chmodSync(join(root, 'data/a'), 0o755);
    expect(await told(rig, root, ['add', 'data'])).toBe(
      'updated  data  4 files, 5 B; 2 added, 2 changed, 2 removed\n\nStaged in Git: 1 file. Next: git commit\n',
    );
    expect(readFileSync(join(root, 'data.mlv'), 'utf8')).toMatch(
      /^version: 1\ntype: dir\nhash: b3:[0-9a-f]{64}\nsize: 5\nfiles: 4\n# keep me\nlicence: MIT\n$/,
    );
  });

  test('paths inside a tracked directory record those alone', async () => {
    const { root } = await project('inside', { 'data/a': '1', 'data/b': '2' });
    await told(rig, root, ['add', 'data']);
    writeFiles(root, { 'data/a': '11', 'data/b': '22', 'data/c/1': '3', 'data/c-2': '4', 'data/d': '5' });
    expect(await told(rig, root, ['add', 'data/a', 'data/c', 'data/c-2', 'data/c/1'])).toContain(
      'updated  data  4 files, 5 B; 2 added, 1 changed\n',
    );
    expect(await told(rig, root, ['status'])).toBe(
      'data  modified: 1 added, 1 changed\n    changed  data/b\n    added    data/d\n\n  mlv commit  records what was modified\n',
    );
    expect(await told(rig, root, ['add', 'data', 'data/b'])).toContain(
      'updated  data  5 files, 7 B; 1 added, 1 changed\n',
    );
    expect(await told(rig, root, ['status'])).toBe('1 path unchanged (5 files, 7 B)\n');
  });

  test('a file becomes a directory, and a directory a file', async () => {
    const { root } = await project('types', { thing: '1' });
    await told(rig, root, ['add', 'thing']);
    rmSync(join(root, 'thing'));
    writeFiles(root, { 'thing/a': '1', 'thing/b': '2' });
    expect(await told(rig, root, ['add', 'thing'])).toContain('updated  thing  2 files, 2 B');
    expect(await told(rig, root, ['status'])).toBe('1 path unchanged (2 files, 2 B)\n');
    rmSync(join(root, 'thing'), { recursive: true });
    writeFiles(root, { thing: executable('run') });
    expect(await told(rig, root, ['add', 'thing'])).toContain('updated  thing  3 B');
    expect(readFileSync(join(root, 'thing.mlv'), 'utf8')).toMatch(
      /^version: 1\ntype: file\nhash: b3:[0-9a-f]{64}\nsize: 3\nexec: true\n$/,
    );
  });

  test('the same size and time do not hide an edit made right after', async () => {
    const { root } = await project('racy', { 'data/a': '1' });
    for (let round = 0; round < 3; round++) {
      writeFiles(root, { 'data/a': `a${round}` });
      await told(rig, root, ['add', 'data']);
      writeFiles(root, { 'data/a': `b${round}` });
      expect(await told(rig, root, ['status'])).toContain('changed  data/a\n');
    }
  });
});

describe('what is refused, and leaves every pointer as it was', () => {
  let repository: TestRepository;
  let root: string;
  beforeAll(async () => {
    repository = await project('refusals', {
      'data/a': '1',
      'outer/inner/a': '1',
      'outer/b': '2',
      'ok.txt': 'ok',
      'in-git.txt': 'g',
      'git-folder/a': '1',
    });
    ({ root } = repository);
    await told(rig, root, ['add', 'data', 'outer/inner']);
    repository.git('add', 'in-git.txt', 'git-folder');
    repository.git('commit', '--quiet', '-m', '1');
    // Each refusal is asked for together with something that could be added.
  });

  async function refused(...targets: string[]): Promise<string> {
    const before = recorded(repository);
    const refusedWith = await refusal(rig, root, ['add', 'ok.txt', ...targets]);
    expect(recorded(repository)).toEqual(before);
    return refusedWith;
  }

  test('overlapping outputs', async () => {
    expect(await refused('outer')).toBe(
      'error: outer holds outer/inner, which is tracked by itself\n' +
        'hint: Stop tracking that with "mlv remove outer/inner" (its data stays), then add outer.\n',
    );
    writeFiles(root, { 'fresh/a': '1' });
    expect(await refused('fresh', 'fresh/a')).toBe(
      'error: fresh/a lies inside fresh, which is being added as well\n' +
        'hint: Add the outer one alone: a folder is versioned with all that is in it.\n',
    );
  });

  test('paths outside the project, by name and through symlinks', async () => {
    expect(await refused('..')).toContain(`error: .. is outside the project at ${root}\n`);
    expect(await refused('/etc/passwd')).toBe(
      `error: /etc/passwd is outside the project at ${root}\n` +
        'hint: Copy the data into the project first, or let mlv do it: "mlv add /etc/passwd -o DEST".\n',
    );
    symlinkSync('/etc', join(root, 'etc'));
    expect(await refused('etc/passwd')).toContain(
      'error: etc/passwd lies behind a symlink that leads out of the project\n',
    );
  });

  test('a symlink', async () => {
    symlinkSync('data', join(root, 'to-data'));
    expect(await refused('to-data')).toBe(
      'error: to-data is a symlink to data\nhint: Add what it leads to, or replace it by a copy.\n',
    );
    symlinkSync('nowhere', join(root, 'dangling'));
    expect(await refused('dangling')).toContain('error: dangling is a symlink to nowhere\n');
  });

  test('a pointer, the project, what is not there, and folders of Git and mlv', async () => {
    expect(await refused('data.mlv')).toBe('error: data.mlv is a pointer\nhint: Name the data: "mlv add data".\n');
    expect(await refused('nothing')).toContain('error: nothing does not exist\n');
    expect(await refused('data/nothing')).toContain('error: data/nothing does not exist\n');
    for (const own of ['.git', '.git/config', '.mlv/config.yaml'])
      expect(await refused(own)).toContain('could be taken for a folder of Git or mlv');
    expect(await refusal(rig, root, ['add', '.'], { code: 2 })).toContain(
      'error: mlv add takes the data that it shall track, not the whole project\n',
    );
    expect(await refusal(rig, root, ['add'], { code: 2 })).toBe('error: mlv add needs a PATH\nhint: mlv add --help\n');
  });

  test('what .mlvignore excludes', async () => {
    writeFiles(root, { '.mlvignore': '/ignored/\n*.tmp\n', 'ignored/a': '1', 'x.tmp': '1', 'data/y.tmp': '1' });
    expect(await refused('ignored')).toBe(
      'error: ignored is excluded by .mlvignore\nhint: Change the line there to track it.\n',
    );
    expect(await refused('x.tmp')).toContain('error: x.tmp is excluded by .mlvignore\n');
    expect(await refused('data/y.tmp')).toContain('error: data/y.tmp is excluded by .mlvignore\n');
    expect(await refusal(rig, root, ['commit', 'data/y.tmp'])).toContain(
      'error: data/y.tmp is excluded by .mlvignore\n',
    );
  });

  test('what Git tracks, and where Git would ignore the pointer', async () => {
    expect(await refused('in-git.txt')).toBe(
      'error: in-git.txt is tracked by Git\nhint: Take it out of Git first, the data stays: git rm -r --cached in-git.txt\n',
    );
    expect(await refused('git-folder')).toContain('error: git-folder/a is tracked by Git\n');
    writeFiles(root, { 'build/.gitignore': '*\n', 'build/model': '1' });
    expect(await refused('build/model')).toBe(
      'error: Git ignores build/model.mlv, so nobody would get the pointer\n' +
        'hint: Find the line that does it: git check-ignore -v build/model.mlv\n',
    );
  });

  test('sockets and fifos, by name and inside a folder', async () => {
    mkdirSync(join(root, 'special'));
    execFileSync('mkfifo', [join(root, 'fifo'), join(root, 'special/fifo')]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'special/socket'), resolve));
    try {
      expect(await refused('fifo')).toBe(
        'error: fifo is neither a file nor a folder\nhint: Sockets, pipes and devices cannot be versioned.\n',
      );
      expect(await refused('special/socket')).toContain('error: special/socket is neither a file nor a folder\n');
      expect(await refused('special')).toBe(
        'error: 2 paths in special cannot be added\n' +
          '  fifo: it is not a file, folder or symlink\n' +
          '  socket: it is not a file, folder or symlink\n' +
          'hint: Nothing was changed. Mend them, or exclude them with lines in .mlvignore, and run the command again.\n',
      );
    } finally {
      server.close();
    }
  });

  test('names that are not UTF-8, and symlinks that lead out of the dataset', async () => {
    mkdirSync(join(root, 'bad/deep'), { recursive: true });
    writeFileSync(Buffer.concat([Buffer.from(join(root, 'bad/deep/')), Buffer.from([0x61, 0xff, 0xfe])]), '');
    writeFiles(root, {
      'bad/abs': link('/etc/passwd'),
      'bad/deep/out': link('../../data'),
      'bad/fine': link('deep/../fine'),
      'bad/ok': link('deep/ok'),
    });
    expect(await refused('bad')).toBe(
      'error: 4 paths in bad cannot be added\n' +
        '  deep/a\\xff\\xfe: its name is not UTF-8\n' +
        '  abs: it is a symlink to "/etc/passwd", which is not "../" and then plain names: it is absolute\n' +
        '  deep/out: it is a symlink to "../../data", which leads out of the dataset\n' +
        '  fine: it is a symlink to "deep/../fine", which is not "../" and then plain names: ".." is not a name\n' +
        'hint: Nothing was changed. Mend them, or exclude them with lines in .mlvignore, and run the command again.\n',
    );
    writeFiles(root, { '.mlvignore': 'abs\nout\nfine\n' });
    expect(await refused('bad')).toBe(
      'error: a path in bad cannot be added\n' +
        '  deep/a\\xff\\xfe: its name is not UTF-8\n' +
        'hint: Nothing was changed. Mend them, or exclude them with lines in .mlvignore, and run the command again.\n',
    );
  });

  test('names that trees may not hold', async () => {
    writeFiles(root, {
      'odd/.GIT/config': '1',
      'odd/back\\slash': '2',
      'odd/git~1': '3',
      'odd/c:d': '4',
      'odd/fine': '5',
    });
    expect((await refused('odd')).split('\n').slice(0, -2).sort()).toEqual([
      '  .GIT: its name cannot be versioned: ".GIT" could be taken for a folder of Git or mlv',
      '  back\\slash: its name cannot be versioned: a name may not contain a backslash',
      '  c:d: its name cannot be versioned: "c:d" starts like a drive',
      '  git~1: its name cannot be versioned: "git~1" could be taken for a folder of Git or mlv',
      'error: 4 paths in odd cannot be added',
    ]);
  });
});

describe('the kinds of project', () => {
  test('one without Git', async () => {
    const root = join(rig.folder, 'plain');
    mkdirSync(root);
    await told(rig, root, ['init', '--no-git']);
    writeFiles(root, { 'data/a': '1', 'data/b': '2' });
    expect(await told(rig, root, ['add', 'data'])).toBe('new  data  2 files, 2 B\n');
    writeFiles(root, { 'data/a': '11' });
    expect(await told(rig, root, ['commit'])).toContain('updated  data  2 files, 3 B; 1 changed\n');
    rmSync(join(root, 'data'), { recursive: true });
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual({ a: 'file 11', b: 'file 2' });
    expect(existsSync(join(root, '.mlv/local/cache'))).toBe(true);
  });

  test('one in a sub-folder of the repository, used from a folder inside and through a symlink', async () => {
    const { root, git } = rig.repository('mono');
    mkdirSync(join(root, 'team/project/deep'), { recursive: true });
    await told(rig, join(root, 'team/project'), ['init', '--subdir']);
    writeFiles(join(root, 'team/project'), { 'deep/a': '1' });
    expect(await told(rig, join(root, 'team/project/deep'), ['add', 'a'])).toContain('new  deep/a  1 B\n');
    expect(git('status', '--porcelain').split('\n')).toEqual([
      'A  team/project/.mlv/config.yaml',
      'A  team/project/deep/.gitignore',
      'A  team/project/deep/a.mlv',
    ]);
    symlinkSync(join(root, 'team/project'), join(rig.folder, 'short-cut'));
    writeFiles(root, { 'team/project/b': '2' });
    expect(await told(rig, join(rig.folder, 'short-cut'), ['add', 'b', 'deep/a'])).toContain(
      'new  b  1 B\n1 path unchanged\n',
    );
    expect(await told(rig, join(root, 'team'), ['-C', 'project', 'status'])).toBe('2 paths unchanged (2 files, 2 B)\n');
    expect(await refusal(rig, root, ['status'])).toContain('is not in an mlv project');
  });

  test('linked worktrees share the cache and keep records of their own', async () => {
    const { root, git } = await project('worktrees', { 'data/a': '1', 'data/b': '2' });
    await told(rig, root, ['add', 'data']);
    git('commit', '--quiet', '-m', '1');
    const other = join(rig.folder, 'worktrees-linked');
    git('worktree', 'add', '--quiet', other, '-b', 'other');
    expect(await told(rig, other, ['status'])).toContain('data  not checked out: 2 files\n');
    await told(rig, other, ['checkout']);
    expect(readFolder(join(other, 'data'))).toEqual({ a: 'file 1', b: 'file 2' });
    writeFiles(other, { 'data/c': '3' });
    await told(rig, other, ['add', 'data']);
    repositoryAt(other).git('commit', '--quiet', '-m', '2');
    expect(await told(rig, root, ['status'])).toBe('1 path unchanged (2 files, 2 B)\n');
    git('merge', '--quiet', 'other');
    await told(rig, root, ['checkout']);
    expect(readFolder(join(root, 'data'))).toEqual({ a: 'file 1', b: 'file 2', c: 'file 3' });
  });

  test('a submodule, and a repository whose Git folder lies elsewhere', async () => {
    const library = rig.repository('library');
    library.commit({ readme: 'hello' });
    const parent = rig.repository('parent');
    parent.git('submodule', '--quiet', 'add', library.root, 'module');
    const apart = makeRepository(join(rig.folder, 'apart'), `--separate-git-dir=${join(rig.folder, 'apart.git')}`);
    for (const [root, store] of [
      [join(parent.root, 'module'), join(parent.root, '.git/modules/module/mlv/cache')],
      [apart.root, join(rig.folder, 'apart.git/mlv/cache')],
    ] as const) {
      await told(rig, root, ['init']);
      writeFiles(root, { 'data/a': '1' });
      await told(rig, root, ['add', 'data']);
      expect(await told(rig, root, ['status'])).toBe('1 path unchanged (1 file, 1 B)\n');
      expect(existsSync(store)).toBe(true);
      expect(repositoryAt(root).git('status', '--porcelain')).toBe('A  .gitignore\nA  .mlv/config.yaml\nA  data.mlv');
    }
    expect(await refusal(rig, rig.repository('bare-of-mlv').root, ['add', 'x'])).toContain('hint: mlv init\n');
  });
});

function prefixed(folder: string, files: Record<string, string> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(files ?? {}).map(([path, content]) => [`${folder}/${path}`, content]));
}
