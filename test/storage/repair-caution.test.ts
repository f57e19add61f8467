/** A repair condemns nothing that is good: what a listing left out, or what was altered on its way, is looked at again. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Home } from '../../src/storage/home.ts';
import { repairRemote } from '../../src/storage/repair-remote.ts';
import { surveyRemote } from '../../src/storage/verify-remote.ts';
import type { Rig, Tree } from './transfer-rig.ts';
import { addTree, contentOf, createRig, manyFiles, readTree, watch } from './transfer-rig.ts';

const LARGE = Buffer.alloc(9 << 20, 'large');
const files = { ...manyFiles(3_000), large: LARGE };
let rig: Rig;
let scratch: string;
let tree: Tree;
beforeEach(async () => {
  rig = createRig();
  scratch = mkdtempSync(join(tmpdir(), 'mlv-caution-'));
  tree = await addTree(rig.cache('a'), files);
  await rig.push('a', [tree]);
});
afterEach(() => {
  rig.dispose();
  rmSync(scratch, { recursive: true, force: true });
});

/** Surveys and repairs from a clone that has nothing, as long as `home` says what it says. */
async function repairThrough(home: Home) {
  const found = await surveyRemote({ home, scratch: join(scratch, 's'), description: undefined, share: 1, seed: 1 });
  try {
    const damages = found.damages.map(({ kind, reason }) => `${kind}: ${reason}`);
    const repaired = await repairRemote({
      survey: found,
      locate: () => undefined,
      readTree: () => undefined,
      kept: () => undefined,
      description: undefined,
      scratch: join(scratch, 'r'),
      label: 'today',
      roots: [],
      asOf: Date.now(),
    });
    return { damages, repaired };
  } finally {
    found.close();
  }
}

const NOTHING = { damages: [], repaired: { restored: 0, lost: [], reindexed: 0, setAside: [], isOvertaken: false } };

function keys(): string[] {
  return readdirSync(rig.remoteFolder, { recursive: true, encoding: 'utf8' }).sort();
}

/** Another clone gets everything, and nothing at the remote has changed. */
async function expectUntouched(before: readonly string[]): Promise<void> {
  expect(keys()).toEqual(before);
  const { missing, damaged, failed } = await rig.pull('b', [tree]);
  expect([missing, damaged, failed]).toEqual([[], [], []]);
  expect(readTree(rig.cache('b'), tree)).toEqual(contentOf(files));
}

test('what a listing leaves out is asked for by its name before it is called gone', async () => {
  const before = keys();
  const home: Home = {
    ...rig.home,
    async *list(prefix, signal) {
      if (!prefix.startsWith('index/')) return; // cut short
      yield* rig.home.list(prefix, signal);
    },
  };
  expect(await repairThrough(home)).toEqual(NOTHING);
  await expectUntouched(before);
});

test('bytes that are altered on their way once are read again before anything is called damaged', async () => {
  const before = keys();
  const seen = new Set<string>();
  const { home } = watch(rig.home);
  const altering: Home = {
    ...home,
    async read(key, range, signal) {
      const bytes = await home.read(key, range, signal);
      const at = `${key} ${range.offset}`;
      if (!seen.has(at)) bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
      seen.add(at);
      return bytes;
    },
    async readAll(key, limit, signal) {
      const bytes = await home.readAll(key, limit, signal);
      if (!seen.has(key)) bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
      seen.add(key);
      return bytes;
    },
  };
  expect(await repairThrough(altering)).toEqual(NOTHING);
  await expectUntouched(before);
});
