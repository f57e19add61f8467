import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import { keyPath } from '../../src/domain/remote-layout.ts';
import { readError } from '../../src/storage/folder-errors.ts';
import { openFolderHome } from '../../src/storage/folder-home.ts';
import type { Home } from '../../src/storage/home.ts';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { withEngine } from '../../src/storage/with-engine.ts';
import { describeHome } from '../storage/home-conformance.ts';
import type { Rig, Tree } from '../storage/transfer-rig.ts';
import { addTree, contentOf, createRig, digestOf, openEnds, readTree, watch } from '../storage/transfer-rig.ts';

const large = (letter: string): Buffer => Buffer.alloc(9_000_000, letter);
const files = { a: large('a'), b: large('b'), c: large('c'), 'small/d': 'd' };

let rig: Rig;
let tree: Tree;
beforeEach(async () => {
  rig = createRig();
  tree = await addTree(rig.cache('a'), files);
});
afterEach(() => rig.dispose());

function failure(code: string): MlvError {
  return new MlvError({ code, kind: 'io', message: `${code}: 500, again and again` });
}

/** A home that fails for the object of one letter, always with this code. */
function failingFor(letter: 'a' | 'b' | 'c', call: 'read' | 'write', code: string) {
  const key = keyPath({ kind: 'object', hash: digestOf(files[letter]) });
  return watch(rig.home, (name, at) => {
    if (name === call && at === key) throw failure(code);
  });
}

describe('an object that cannot be stored', () => {
  test('stops nothing else, and holds back what names it', async () => {
    const { home } = failingFor('b', 'write', 'remote-write-failed');
    const result = await rig.push('a', [tree], home);
    expect(result.failed).toEqual([
      { digest: digestOf(files.b), path: 'data/b', reason: 'remote-write-failed: 500, again and again' },
    ]);
    expect(result).toMatchObject({ objects: 2, indexes: 1, missing: [], damaged: [] });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    const again = await rig.push('a', [tree]);
    expect(again).toMatchObject({ objects: 1, failed: [] });
    await rig.pull('b', [tree]);
    expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(files));
  });

  test.each(['remote-full', 'credentials-expired', 'remote-not-writable', 'remote-missing'])(
    'stops all when it is for %s',
    async (code) => {
      const { home } = failingFor('a', 'write', code);
      await expect(rig.push('a', [tree], home)).rejects.toMatchObject({ code });
    },
  );

  test('stops all when one after the other cannot', async () => {
    const many = Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`f${at}`, large(String(at))]));
    const manyTree = await addTree(rig.cache('a'), many);
    let tried = 0;
    const { home } = watch(rig.home, (call, key) => {
      if (call !== 'write' || !key.startsWith('objects/')) return;
      tried += 1;
      throw failure('remote-unreachable');
    });
    await expect(rig.push('a', [manyTree], home)).rejects.toMatchObject({ code: 'remote-unreachable' });
    expect(tried).toBeLessThan(8);
  });
});

test('an object that cannot be read stops nothing else, and comes with the next fetch', async () => {
  await rig.push('a', [tree]);
  const { home } = failingFor('c', 'read', 'remote-read-failed');
  const result = await rig.pull('b', [tree], home);
  expect(result.failed.map(({ path }) => path)).toEqual(['data/c']);
  expect(readTree(rig.cache('b'), tree)).toEqual({ ...contentOf(files), c: undefined });
  expect(await rig.pull('b', [tree])).toMatchObject({ blobs: 1, failed: [] });
});

describe('a folder on a disk with bad moments', () => {
  /** A folder whose first reads fail so, through an engine. */
  function open(failures: number) {
    const folder = openFolderHome(rig.remoteFolder);
    const engine = createRequestEngine({ name: 'the folder', random: () => 0, tries: 3 });
    const stale = Object.assign(new Error('ESTALE: stale file handle, read'), { code: 'ESTALE', syscall: 'read' });
    let calls = 0;
    const flaky: Home = {
      ...folder,
      async read(key, range, signal) {
        if (++calls <= failures) throw readError(stale, rig.remoteFolder, key);
        return folder.read(key, range, signal);
      },
    };
    return { home: withEngine(flaky, engine), engine };
  }
  const range = { offset: 0, length: 1 };

  test('is asked again', async () => {
    await rig.home.write('index/x', [Buffer.from('x')]);
    const { home, engine } = open(2);
    expect((await home.read('index/x', range)).toString()).toBe('x');
    expect(engine.counters()).toEqual({ requests: 3, retries: 2, throttles: 0 });
  });

  test('is told when they do not pass', async () => {
    const { home } = open(9);
    await expect(home.read('index/x', range)).rejects.toMatchObject({
      code: 'remote-read-failed',
      message: 'cannot read index/x at the folder: ESTALE: stale file handle, read (tried 3 times in 0.3 s)',
      hint: 'Look at the disk, and try again.',
    });
  });
});

describeHome('a folder through an engine', async () => {
  const folders = createRig();
  mkdirSync(folders.remoteFolder);
  return {
    home: withEngine(folders.home, createRequestEngine({ name: 'the folder' })),
    dispose: async () => folders.dispose(),
  };
});
