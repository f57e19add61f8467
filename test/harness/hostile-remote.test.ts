/** A remote that whoever may write to it has made into something else: refused, in bounded memory and time, and the cache has nothing of it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes, digestToBytes } from '../../src/domain/digest.ts';
import { keyPath } from '../../src/domain/remote-layout.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import { createRowCollector } from '../../src/storage/row-collector.ts';
import { readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { Measured } from '../support/measured.ts';
import { measured } from '../support/measured.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { told } from '../support/told.ts';

const GIBIBYTE = 2 ** 30;
const NAME = 'a'.repeat(64);
const { hash } = hashEngine();

let rig: MlvRig;
let project: SharedProject;
let good: string;
beforeAll(async () => {
  rig = makeMlvRig();
  const large = Buffer.alloc(9 << 20, 'large');
  project = await shareProject(rig, 'base', { 'data/a': 'a', one: '1', large }, 'data', 'one', 'large');
  await told(rig, project.root, ['push']);
  good = `${project.remote}-good`;
  cpSync(project.remote, good, { recursive: true });
});
afterAll(() => rig.dispose());

let clone: TestRepository;
let count = 0;
beforeEach(() => {
  rmSync(project.remote, { recursive: true });
  cpSync(good, project.remote, { recursive: true });
  count += 1;
  clone = project.clone(`clone-${count}`);
});

async function run(...args: string[]): Promise<Measured> {
  const result = await measured(rig, clone.root, ['--no-progress', ...args]);
  expect([args, result.stderr.includes('bug'), result.code]).toEqual([args, false, expect.any(Number)]);
  expect(result.megabytes).toBeLessThan(400);
  expect(result.seconds).toBeLessThan(30);
  return result;
}

async function refusal(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect([args, code]).toEqual([args, 1]);
  return stdout + stderr;
}

function files(folder: string): string[] {
  return readdirSync(join(project.remote, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Of so many bytes, of which the disk keeps none. */
function plantHuge(path: string, bytes: number): void {
  writeFileSync(join(project.remote, path), '', { flag: 'a' });
  truncateSync(join(project.remote, path), bytes);
}

/** Says of a blob where it is. */
function claim(
  digest: Digest,
  place: { readonly key: Digest; readonly offset: number; readonly length: number },
): void {
  const rows = createRowCollector();
  const { key, ...range } = place;
  rows.add({ kind: 'pack', hash: key }, [{ digest: digestToBytes(digest), ...range }]);
  const index = buildIndex({ ...rows.take(), roots: [], hash });
  for (const file of files('index')) rmSync(file);
  writeFileSync(join(project.remote, 'index', index.name), Buffer.concat(index.chunks));
}

function digestOf(content: string | Buffer): Digest {
  return digestFromBytes(hash(Buffer.from(content as string)));
}

describe('what is larger than anything of its kind', () => {
  test.each([
    ['mlv.json', 5 * GIBIBYTE, 'mlv.json at'],
    [`index/${NAME}.gc`, 5 * GIBIBYTE, `index/${NAME}.gc at`],
    [`index/${NAME}`, 500 * GIBIBYTE, `index ${NAME} is damaged`],
  ])('%s of %d bytes is not read', async (path, bytes, message) => {
    plantHuge(path, bytes);
    expect(await refusal('pull')).toContain(message);
    expect(readFolder(clone.root, ['.git'])).not.toHaveProperty('one');
    expect(await refusal('verify', '--remote')).not.toContain('bug');
  });

  test('packs and objects that go on for ever are read as far as their rows say', async () => {
    for (const file of [...files('packs'), ...files('objects')]) {
      chmodSync(file, 0o644);
      truncateSync(file, 50 * GIBIBYTE);
    }
    expect((await run('pull')).code).toBe(0);
    expect(readFolder(clone.root, ['.git', 'large'])).toMatchObject({ one: 'file 1', 'data/a': 'file a' });
  });

  test('packs and objects cut short are told, and nothing of them stays', async () => {
    for (const file of [...files('packs'), ...files('objects')]) {
      chmodSync(file, 0o644);
      truncateSync(file, 70);
    }
    expect(await refusal('pull')).toContain('large (damaged on the remote)');
    expect(readdirSync(join(clone.root, '.git/mlv/cache/b3'), { recursive: true })).not.toContain(
      digestOf('1').slice(2),
    );
  });
});

describe('an index that says', () => {
  test.each([
    ['more than the pointer', 3 * GIBIBYTE],
    ['more than any disk has', 2 ** 47],
    ['less', 0],
  ])('of a file %s: nothing of it is fetched', async (_, length) => {
    const key = digestOf('a pack');
    const pack = keyPath({ kind: 'pack', hash: key });
    mkdirSync(join(project.remote, pack, '..'), { recursive: true });
    plantHuge(pack, 5 * GIBIBYTE);
    claim(digestOf('1'), { key, offset: 0, length });
    expect(await refusal('fetch', 'one')).toContain(
      'one (on the remote its size is not the one that its version says)',
    );
    expect(readFolder(join(clone.root, '.git/mlv/cache/tmp')) ?? {}).toEqual({});
  });

  test('of two files the same place gives one of them, and tells of the other', async () => {
    const key = digestOf('a pack');
    const pack = keyPath({ kind: 'pack', hash: key });
    writeFiles(project.remote, { [pack]: '1' });
    claim(digestOf('1'), { key, offset: 0, length: 1 });
    expect((await run('pull', 'one')).code).toBe(0);
    const other = project.clone(`clone-${count}-other`);
    claim(digestOf('a'), { key, offset: 0, length: 1 });
    expect((await rig.mlv(other.root, ['fetch', 'one'])).stdout).toContain('one');
  });
});

test('pipes in place of files are as good as nothing', async () => {
  for (const file of [...files('packs'), ...files('objects')]) {
    rmSync(file);
    execFileSync('mkfifo', [file]);
  }
  expect(await refusal('pull')).toContain('large (lost by the remote)');
  for (const file of [...files('index'), join(project.remote, 'mlv.json')]) {
    rmSync(file);
    execFileSync('mkfifo', [file]);
  }
  expect(await refusal('fetch')).toContain('there was a remote at');
});
