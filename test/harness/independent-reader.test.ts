/** A reader that was written from docs/formats.md alone restores what mlv has pushed. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Files } from '../support/folders.ts';
import { emptyFolder, executable, link, manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';

const READER = fileURLToPath(new URL('../support/independent-reader.mjs', import.meta.url));

const FILES: Files = {
  ...manyFiles(5_000, 'many/'),
  'nested/a/b/c/d/e/f.txt': 'deep\n',
  'a-b.txt': 'between\n',
  'a/b.txt': 'below\n',
  'a.txt': 'beside\n',
  'empty.txt': '',
  'same-1.txt': 'the same\n',
  'same-2.txt': 'the same\n',
  'bin/run': executable('#!/bin/sh\necho hi\n'),
  'folder/without/anything': emptyFolder,
  'links/up': link('../a/b.txt'),
  'links/far': link('../folder/without'),
  'links/nowhere': link('not-there'),
  'odd/100%': 'percent\n',
  'odd/%41': 'looks like an escape\n',
  'odd/new\nline': 'newline\n',
  'odd/tab\tand\x7f': 'control characters\n',
  'odd/ leading and trailing ': 'spaces\n',
  'odd/"quotes" \'n\' $(more) #;*?': 'shell\n',
  'odd/日本語.txt': 'Japanese\n',
  'odd/e\u0301': 'decomposed\n',
  'odd/\u{1f600}': 'emoji\n',
  'odd/.hidden': 'hidden\n',
  'odd/-rf': 'dash\n',
  [`odd/${'x'.repeat(255)}`]: 'long\n',
  'large.bin': Buffer.alloc(9_000_001, 'a large object, '),
  'just-below.bin': Buffer.alloc(8 * 1024 * 1024 - 1, 'not quite, '),
};

let rig: MlvRig;
let repository: TestRepository;
let remote: string;

beforeAll(async () => {
  rig = makeMlvRig();
  remote = join(rig.folder, 'remote');
  repository = await rig.project('project');
  writeFiles(join(repository.root, 'data'), FILES);
  writeFileSync(join(repository.root, 'model.bin'), 'weights\n');
  writeFiles(repository.root, { 'tool.sh': executable('#!/bin/sh\n') });
  await run('remote', 'add', '-d', 'store', remote);
  await run('add', 'data', 'model.bin', 'tool.sh');
  repository.git('commit', '--quiet', '-m', 'first');
  await run('push');
}, 120_000);
afterAll(() => rig.dispose());

async function run(...args: string[]): Promise<void> {
  const { code, stderr, stdout } = await rig.mlv(repository.root, args);
  if (code !== 0) throw new Error(`mlv ${args.join(' ')}: ${stderr}${stdout}`);
}

/** Restores what a pointer names into a new place, and returns that and what the reader says. */
function restore(name: string, pointer = readFileSync(join(repository.root, `${name}.mlv`), 'utf8')) {
  const target = join(rig.folder, `restored-${readdirSync(rig.folder).length}`);
  const file = `${target}.pointer`;
  writeFileSync(file, pointer);
  const output = execFileSync(process.execPath, [READER, remote, file, target], { env: rig.env, stdio: 'pipe' });
  return { target, said: JSON.parse(output.toString()) as { files: number; bytes: number; wasPushed: boolean } };
}

function diff(a: string, b: string): string {
  return execFileSync('diff', ['-r', '--no-dereference', a, b], { env: rig.env }).toString();
}

describe('the independent reader restores', () => {
  test('a folder with many pages, odd names, modes, links, empty folders and a large object', () => {
    const data = join(repository.root, 'data');
    const { target, said } = restore('data');
    expect(diff(data, target)).toBe('');
    expect(readFolder(target)).toEqual(readFolder(data));
    expect(said).toMatchObject({ files: Object.keys(FILES).length - 1, wasPushed: true });
    const objects = readdirSync(join(remote, 'objects'), { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.length > 2,
    );
    expect(objects).toHaveLength(1);
  });

  test('single files, executable or not', () => {
    const model = restore('model.bin').target;
    const tool = restore('tool.sh').target;
    expect(readFileSync(model, 'utf8')).toBe('weights\n');
    expect(readFileSync(tool, 'utf8')).toBe('#!/bin/sh\n');
    expect([model, tool].map((file) => (statSync(file).mode & 0o100) !== 0)).toEqual([false, true]);
  });

  test('each version after another push', async () => {
    const data = join(repository.root, 'data');
    const before = readFolder(data);
    appendFileSync(join(data, 'many/012/01234.txt'), 'changed\n');
    rmSync(join(data, 'many/003'), { recursive: true });
    writeFiles(data, { 'new/file.txt': 'new\n' });
    await run('add', 'data');
    repository.git('commit', '--quiet', '-m', 'second');
    await run('push');
    const { target } = restore('data');
    expect(diff(data, target)).toBe('');
    expect(readFolder(target)).toEqual(readFolder(data));
    expect(readFolder(restore('data', repository.git('show', 'HEAD~1:data.mlv')).target)).toEqual(before);
  });

  test('nothing when a byte on the remote has changed', () => {
    const packs = readdirSync(join(remote, 'packs'), { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.length > 2,
    );
    const [largest = ''] = packs
      .map((name) => join(remote, 'packs', name))
      .sort((a, b) => statSync(b).size - statSync(a).size);
    const bytes = readFileSync(largest);
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
    rmSync(largest);
    writeFileSync(largest, damaged);
    try {
      expect(() => restore('data')).toThrow('damaged in packs/');
    } finally {
      rmSync(largest);
      writeFileSync(largest, bytes);
    }
  });
});
