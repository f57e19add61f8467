import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestToBytes } from '../../src/domain/digest.ts';
import { MlvError } from '../../src/domain/errors.ts';
import { formatTombstones, INDEX_FOLDER, keyPath } from '../../src/domain/remote-layout.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import type { Home } from '../../src/storage/home.ts';
import type { RepairedRemote } from '../../src/storage/repair-remote.ts';
import { repairRemote } from '../../src/storage/repair-remote.ts';
import { createRowCollector } from '../../src/storage/row-collector.ts';
import type { RemoteSurvey } from '../../src/storage/verify-remote.ts';
import { surveyRemote } from '../../src/storage/verify-remote.ts';
import type { Rig, Tree } from '../storage/transfer-rig.ts';
import {
  addTree,
  contentOf,
  createRig,
  digestOf,
  manyFiles,
  openEnds,
  readRows,
  readTree,
  watch,
} from '../storage/transfer-rig.ts';

const { hash } = hashEngine();
const files = { ...manyFiles(3_000), 'precious.txt': 'precious' };
let rig: Rig;
let scratch: string;
let tree: Tree;
beforeEach(async () => {
  rig = createRig();
  scratch = mkdtempSync(join(tmpdir(), 'mlv-survey-'));
  tree = await addTree(rig.cache('a'), files);
  await rig.push('a', [tree]);
});
afterEach(() => {
  rig.dispose();
  rmSync(scratch, { recursive: true, force: true });
});

let surveys = 0;

async function survey<T>(use: (found: RemoteSurvey) => T | Promise<T>, home: Home = rig.home, share = 1): Promise<T> {
  surveys += 1;
  const found = await surveyRemote({
    home,
    scratch: join(scratch, `s${surveys}`),
    description: undefined,
    share,
    seed: 1,
  });
  try {
    return await use(found);
  } finally {
    found.close();
  }
}

const damages = (): Promise<unknown[]> =>
  survey((found) => found.damages.map(({ kind, reason, digests }) => [kind, reason, digests.size]));

const today = Math.floor(Date.now() / 86_400_000);

/** Repairs with what a clone of this name has. */
function repair(name: string, home?: Home): Promise<RepairedRemote> {
  const cache = rig.cache(name);
  const mend = (found: RemoteSurvey): Promise<RepairedRemote> =>
    repairRemote({
      survey: found,
      locate: cache.locate,
      readTree: (digest) => (cache.has(digest) ? cache.read(digest) : undefined),
      kept: () => undefined,
      description: undefined,
      scratch: join(scratch, `r${surveys}`),
      label: 'today',
      roots: [{ digest: tree.digest, type: 'dir' }],
      asOf: Date.now(),
    });
  return survey(mend, home);
}

function dataPack(): string {
  const row = readRows(rig.remoteFolder).get(digestOf('precious'));
  if (row === undefined) throw new Error('no row');
  return join(rig.remoteFolder, keyPath(row.key));
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}

describe('a survey', () => {
  test('finds nothing wrong with what was pushed, in three listings, and reads each byte about once', async () => {
    const { home, counts } = watch(rig.home);
    expect(await survey((found) => [found.damages, found.unindexed, [...found.absent]], home)).toEqual([[], [], []]);
    expect(counts.lists).toBe(3);
    expect(counts.written).toEqual([]);
  });

  test('tells which of two descriptions was damaged: the remote, or what this machine has kept of it', async () => {
    const compare = async (description: string): Promise<unknown[]> => {
      surveys += 1;
      const found = await surveyRemote({
        home: rig.home,
        scratch: join(scratch, `s${surveys}`),
        description: Buffer.from(description),
        share: 1,
        seed: 1,
      });
      found.close();
      return found.damages.map(({ kind }) => kind);
    };
    expect(await compare('{"version":1}')).toEqual([]);
    writeFileSync(join(rig.remoteFolder, 'mlv.json'), '{"version":1}');
    expect(await compare('{"version":1}')).toEqual([]);
    expect(await compare('{"version":1}\n')).toEqual(['description']);
  });

  test('reads of data only the share that was asked for, and still compares all tables', async () => {
    const all = watch(rig.home);
    await survey(() => {}, all.home);
    const none = watch(rig.home);
    await survey(() => {}, none.home, 0);
    expect(none.counts.bytesRead).toBeLessThan(all.counts.bytesRead);
    const pack = dataPack();
    flip(pack, readFileSync(pack).length - 100); // in its table
    expect(await survey((found) => found.damages.length, rig.home, 0)).toBe(1);
  });

  test('finds a tree object that vouches for what is not there', async () => {
    const remote = await rig.remote('b');
    const parts = { pack: createRowCollector(), 'tree-pack': createRowCollector() };
    for (const digest of readRows(rig.remoteFolder).keys()) {
      const [place] = await remote.find([digest], 'blob');
      if (digest === digestOf('precious') || (place?.key.kind !== 'pack' && place?.key.kind !== 'tree-pack')) continue;
      parts[place.key.kind].add(place.key, [{ digest: digestToBytes(digest), ...place }]);
    }
    for (const name of readdirSync(join(rig.remoteFolder, 'index'))) rmSync(join(rig.remoteFolder, 'index', name));
    for (const part of Object.values(parts)) {
      const index = buildIndex({ ...part.take(), asOf: Date.now(), hash });
      await rig.home.write(INDEX_FOLDER + index.name, index.chunks);
    }
    expect(await damages()).toEqual([['tree', 'it vouches for 1 blobs that the remote does not have', 1]]);
  });

  test('finds rows that say what is not so, and roots that are not there', async () => {
    const [row] = [...readRows(rig.remoteFolder)].filter(([, { key }]) => key.kind === 'pack');
    const collector = createRowCollector();
    collector.add(row?.[1].key ?? { kind: 'pack', hash: digestOf('') }, [
      { digest: digestToBytes(digestOf('elsewhere')), offset: 40, length: 10 },
    ]);
    const index = buildIndex({ ...collector.take(), roots: [{ root: digestOf('root'), day: today }], hash });
    await rig.home.write(INDEX_FOLDER + index.name, index.chunks);
    expect(await damages()).toEqual([
      ['index', '1 of its rows say what is not so', 0],
      ['root', 'it was pushed, and the remote does not have it', 1],
    ]);
  });

  test('does not count out what cannot be read today', async () => {
    const failing: Home = {
      ...rig.home,
      read: (key, range, signal) => {
        if (!key.startsWith('packs/')) return rig.home.read(key, range, signal);
        return Promise.reject(new MlvError({ code: 'remote-read-failed', kind: 'io', message: 'no' }));
      },
    };
    const told = await survey(
      ({ damages: all, damagedKeys }) => [all.map(({ kind }) => kind), damagedKeys.size],
      failing,
    );
    expect(told).toEqual([['unreadable', 'unreadable'], 0]);
  });
});

describe('repair', () => {
  test('stores what is good under new keys, and kills the damaged one', async () => {
    const pack = dataPack();
    flip(pack, readFileSync(pack).indexOf('precious'));
    const { restored, lost, setAside } = await repair('a');
    expect([restored, lost, setAside]).toEqual([1, [], [pack.slice(rig.remoteFolder.length + 1)]]);
    expect(await damages()).toEqual([]);
    expect(readFileSync(pack).length).toBeGreaterThan(0);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    await rig.pull('c', [tree]);
    expect(readTree(rig.cache('c'), tree)).toEqual(contentOf(files));
    expect(await repair('a')).toEqual({ restored: 0, lost: [], reindexed: 0, setAside: [], isOvertaken: false });
  });

  test('leaves no tree object that vouches for what is lost, and all else within reach', async () => {
    const pack = dataPack();
    flip(pack, readFileSync(pack).indexOf('precious'));
    const { lost } = await repair('nobody');
    expect(lost).toEqual([digestOf('precious')]);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(await damages()).toEqual([]);
    const remote = await rig.remote('c');
    expect(await remote.find([tree.digest], 'tree')).toEqual([undefined]);
    expect(await rig.pull('c', [tree])).toMatchObject({ blobs: 3_000, damaged: [{ path: 'data/precious.txt' }] });
    // A whole copy makes it whole, without sending what is there.
    expect(await rig.push('a', [tree])).toMatchObject({ blobs: 1, missing: [] });
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(await rig.pull('c', [tree])).toMatchObject({ blobs: 1, missing: [] });
  });

  test('makes lost indexes anew from the packs, trees last, and notes the roots again', async () => {
    for (const name of readdirSync(join(rig.remoteFolder, 'index'))) rmSync(join(rig.remoteFolder, 'index', name));
    expect(await repair('nobody')).toMatchObject({ reindexed: 2, lost: [] });
    expect(await damages()).toEqual([]);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    const remote = await rig.remote('b');
    const roots = [];
    for (const index of remote.indexes()) roots.push(...(await index.whole()).roots());
    expect(roots).toEqual([{ root: tree.digest, day: today }]);
    await rig.pull('c', [tree]);
    expect(readTree(rig.cache('c'), tree)).toEqual(contentOf(files));
  });

  test('makes nothing of a lost index whose packs are damaged as well, but what is good', async () => {
    for (const name of readdirSync(join(rig.remoteFolder, 'index'))) rmSync(join(rig.remoteFolder, 'index', name));
    for (const name of readdirSync(join(rig.remoteFolder, 'packs'), { recursive: true })) {
      const path = join(rig.remoteFolder, 'packs', String(name));
      if (
        String(name).includes('/') &&
        readFileSync(path).includes('precious') &&
        !readFileSync(path).includes('mlv-tree')
      )
        flip(path, readFileSync(path).lastIndexOf('precious'));
    }
    await repair('nobody');
    expect(openEnds(rig.remoteFolder)).toEqual([]);
    expect(await rig.push('a', [tree])).toMatchObject({ blobs: 1 });
    await rig.pull('c', [tree]);
    expect(readTree(rig.cache('c'), tree)).toEqual(contentOf(files));
  });

  test('sets damaged tombstones aside', async () => {
    const { key, text } = formatTombstones(['packs/ab/gone'], { nonce: '0011223344556677', hash });
    await rig.home.write(key, [Buffer.from(`${text}x`)]);
    expect(await damages()).toHaveLength(1);
    await repair('a');
    expect(await damages()).toEqual([]);
    expect(readdirSync(join(rig.remoteFolder, 'damaged/today'))).toEqual([key.replace('/', '-')]);
    await rig.remote('fresh');
  });

  test('tells that somebody pushed meanwhile, and may rely on what has died; another one mends that', async () => {
    rmSync(dataPack());
    const later = await addTree(rig.cache('a'), { ...files, 'part-0/later': 'later' });
    const pushing: Home = {
      ...rig.home,
      async write(key, chunks, signal) {
        if (key.endsWith('.gc')) await rig.push('a', [later]);
        return rig.home.write(key, chunks, signal);
      },
    };
    expect((await repair('empty', pushing)).isOvertaken).toBe(true);
    expect(openEnds(rig.remoteFolder)).not.toEqual([]);
    expect((await repair('a')).isOvertaken).toBe(false);
    expect(openEnds(rig.remoteFolder)).toEqual([]);
  });

  test('may be interrupted between any two writes, and called again', async () => {
    const pack = dataPack();
    flip(pack, readFileSync(pack).indexOf('precious'));
    for (let allowed = 0; ; allowed++) {
      let writes = 0;
      const { home } = watch(rig.home, (call) => {
        if (call === 'write' && writes++ >= allowed) throw new Error('killed');
      });
      const isDone = await repair('a', home).then(
        () => true,
        () => false,
      );
      expect(openEndsBut(digestOf('precious'))).toEqual([]);
      if (isDone) break;
    }
    expect(await damages()).toEqual([]);
    await rig.pull('c', [tree]);
    expect(readTree(rig.cache('c'), tree)).toEqual(contentOf(files));
  });
});

/** While the damaged pack lives, reading all rows meets it. */
function openEndsBut(digest: string): string[] {
  try {
    return openEnds(rig.remoteFolder);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes(digest)) throw error;
    return [];
  }
}
