/** Clones of what strangers made: nothing outside the clone is read into it or written, no command hangs or fills the memory. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { identities, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { Measured } from '../support/measured.ts';
import { measured } from '../support/measured.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { told } from '../support/told.ts';

let rig: MlvRig;
let project: SharedProject;
/** Beside all clones: whatever leads out of them leads there. */
let outside: string;
let before: Record<string, string>;
beforeAll(async () => {
  rig = makeMlvRig();
  project = await shareProject(rig, 'base', { 'data/a': 'a', 'data/sub/b': 'b', one: '1' }, 'data', 'one');
  await told(rig, project.root, ['push']);
  outside = join(rig.folder, 'outside');
  writeFiles(outside, { a: 'mine', b: 'mine', secret: 'PRIVATE KEY\n', 'folder/c': 'mine' });
  before = identities(outside);
});
afterAll(() => rig.dispose());

let clone: TestRepository;
let count = 0;
beforeEach(() => {
  count += 1;
  clone = project.clone(`clone-${count}`);
});

async function run(...args: string[]): Promise<Measured> {
  const result = await measured(rig, clone.root, ['--no-progress', ...args]);
  expect([args, result.stderr.includes('bug'), result.code]).toEqual([args, false, expect.any(Number)]);
  expect(result.megabytes).toBeLessThan(400);
  expect(result.seconds).toBeLessThan(20);
  return result;
}

async function refusal(...args: string[]): Promise<string> {
  const { code, stderr } = await run(...args);
  expect([args, code]).toEqual([args, 1]);
  return stderr;
}

function plant(path: string, target: string): void {
  const absolute = join(clone.root, path);
  rmSync(absolute, { recursive: true, force: true });
  mkdirSync(dirname(absolute), { recursive: true });
  symlinkSync(target, absolute);
}

function plantPipe(path: string): void {
  rmSync(join(clone.root, path), { recursive: true, force: true });
  execFileSync('mkfifo', [join(clone.root, path)]);
}

/** So many bytes, of which the disk keeps none. */
function plantHuge(path: string, bytes: number): void {
  writeFileSync(join(clone.root, path), '#');
  truncateSync(join(clone.root, path), bytes);
}

const GIBIBYTE = 2 ** 30;

describe('symlinks that Git checked out', () => {
  const VERBS: string[][] = [
    ['pull'],
    ['checkout', '--force'],
    ['checkout', '--relink', 'data'],
    ['status'],
    ['commit'],
    ['add', 'data'],
    ['unprotect', 'data'],
    ['remove', '--data', 'data'],
  ];

  test.each([
    ['a tracked folder', 'data', '../outside'],
    ['a folder inside', 'data/sub', '../../outside'],
    ['a tracked file', 'one', '../outside/a'],
    ['a file inside', 'data/a', '../../outside/a'],
    ['the way through the root', 'data', '/'],
  ])('in place of %s lead no command out', async (_, path, target) => {
    plant(path, target === '/' ? outside : target);
    for (const verb of VERBS) await run(...verb);
    expect(identities(outside)).toEqual(before);
  });

  test('on the way to a pointer, or to where one is to be, are refused', async () => {
    plant('q', '..');
    plant('r', '../outside');
    writeFileSync(join(rig.folder, 'x.mlv'), readFileSync(join(clone.root, 'one.mlv')));
    const behind = 'lies behind a symlink that leads out of the project';
    for (const args of [
      ['status', 'q/x'],
      ['pull', 'q/x.mlv'],
      ['checkout', '--force', 'q/x'],
      ['remove', '--data', 'q/x'],
      ['move', 'q/x', 'y'],
      ['move', 'one', 'r/one'],
      ['add', 'r/a'],
      ['add', join(outside, 'a'), '-o', 'r/new'],
    ])
      expect([args, await refusal(...args)]).toEqual([args, expect.stringContaining(behind)]);
    rmSync(join(rig.folder, 'x.mlv'));
    expect(identities(outside)).toEqual(before);
  });

  test('are no pointers', async () => {
    writeFiles(outside, { 'p.mlv': readFileSync(join(clone.root, 'one.mlv')) });
    plant('one.mlv', '../outside/p.mlv');
    expect(await refusal('pull', 'one')).toContain('one.mlv is a symlink, and no pointer is one');
    expect((await run('pull')).stdout).not.toContain('one');
    plant('one.mlv', '/dev/zero');
    expect(await refusal('status', 'one')).toContain('one.mlv is a symlink');
    rmSync(join(outside, 'p.mlv'));
    before = identities(outside);
  });
});

describe('files that are none, or have no end', () => {
  test('in place of a pointer are named, and read no further than a pointer goes', async () => {
    plantHuge('one.mlv', 100_000_000);
    for (const args of [['status'], ['pull'], ['gc', '--yes']])
      expect(await refusal(...args)).toContain('one.mlv is larger than');
    plantPipe('one.mlv');
    expect(await refusal('status', 'one')).toContain('one.mlv is not a file');
    rmSync(join(clone.root, 'one.mlv'));
    mkdirSync(join(clone.root, 'one.mlv'));
    expect(await refusal('pull', 'one')).toContain('nothing tracked by mlv matches one');
    expect((await run('pull')).code).toBe(0);
  });

  test('in place of settings', async () => {
    plantHuge('.mlv/config.yaml', 4 * GIBIBYTE);
    expect(await refusal('status')).toContain('.mlv/config.yaml is larger than 262144 bytes');
    plantPipe('.mlv/config.yaml');
    expect(await refusal('status')).toContain('is not in an mlv project');
  });

  test('in place of lists of what to ignore', async () => {
    await run('pull');
    plantPipe('.mlvignore');
    plantPipe('data/.mlvignore');
    expect((await run('status')).stdout).toContain('.mlvignore: it is not a file');
    plant('.mlvignore', '/dev/zero');
    rmSync(join(clone.root, 'data/.mlvignore'));
    expect((await run('status')).code).toBe(0);
    plantHuge('.gitignore', GIBIBYTE);
    expect(await refusal('status')).toContain('.gitignore is larger than 16777216 bytes');
  });

  test('are patterns that take for ever elsewhere', async () => {
    await run('pull');
    const text = [...Array.from({ length: 9_000 }, (_, at) => `${'**/x/'.repeat(5)}${at}`), '*a*a*a*a*a*a*a*a*b\n'];
    writeFiles(clone.root, { '.mlvignore': text.join('\n'), '.gitignore': `${text.join('\n')}/data\n/one\n` });
    writeFiles(clone.root, { [`${'x/'.repeat(60)}y`]: '', [`data/${'a'.repeat(200)}`]: '' });
    expect((await run('status')).stdout).toContain('1 added');
    writeFiles(clone.root, { '.mlvignore': '*.a\n'.repeat(10_001) });
    expect(await refusal('status')).toContain('.mlvignore has 10001 patterns with wildcards');
  });
});

describe('pointers', () => {
  test.each(['.git', '.GIT', 'git~1', '.git.', 'x/.git', '.g\u200cit', '.mlv', 'x/.MLV', '.mlv/config.yaml'])(
    'of %j are refused, and nothing is written',
    async (path) => {
      writeFiles(clone.root, { [`${path}.mlv`]: readFileSync(join(clone.root, 'data.mlv')) });
      const all = readFolder(clone.root, ['.git/mlv']);
      for (const verb of ['pull', 'checkout', 'status', 'fetch'])
        expect(await refusal(verb)).toContain('error: not a path that mlv can track: ');
      expect(readFolder(clone.root, ['.git/mlv'])).toEqual(all);
    },
  );

  test.each([
    ['a size that no disk has', 'size: 1', 'size: 9007199254740991', 'MB are to be fetched, and the disk of'],
    [
      'a size that no number has',
      'size: 1',
      `size: ${'9'.repeat(400)}`,
      'one.mlv:4:7: "size" must be a number of bytes',
    ],
    ['another size', 'size: 1', 'size: 2', 'one (on the remote its size is not the one that its version says)'],
    ['another version', 'version: 1', 'version: 99', 'one.mlv'],
    ['aliases', 'size: 1', 'size: 1\na: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]', 'one.mlv'],
    ['nothing but brackets', 'size: 1', '['.repeat(250_000), 'one.mlv'],
    ['nothing but mistakes', 'size: 1', '"\n'.repeat(120_000), 'one.mlv'],
  ])('with %s are refused', async (_, from, to, message) => {
    const file = join(clone.root, 'one.mlv');
    writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
    expect(await refusal('pull')).toContain(message);
    expect(existsSync(join(clone.root, 'one'))).toBe(false);
  });

  test('that count more files than there are bring what is there', async () => {
    const file = join(clone.root, 'data.mlv');
    const text = readFileSync(file, 'utf8').replace('size: 2', 'size: 9007199254740991');
    writeFileSync(file, text.replace('files: 2', 'files: 1000000000'));
    expect((await run('pull')).code).toBe(0);
    expect(readFolder(join(clone.root, 'data'))).toEqual({ a: 'file a', 'sub/b': 'file b' });
  });
});

test('folders as deep as paths go are brought, looked at and taken away', async () => {
  const { root, git } = clone;
  const deep = `deep/${'a/'.repeat(1_500)}`;
  writeFiles(root, { [`${deep}x`]: 'x', [`${deep}y`]: 'y' });
  await run('add', 'deep');
  git('commit', '--quiet', '--message=deep');
  rmSync(join(root, 'deep'), { recursive: true });
  for (const args of [
    ['checkout', 'deep'],
    ['status', 'deep'],
    ['remove', '--data', 'deep'],
  ])
    expect([args, (await run(...args)).code]).toEqual([args, 0]);
  expect(existsSync(join(root, 'deep'))).toBe(false);
});
