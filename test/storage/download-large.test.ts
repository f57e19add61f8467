import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createBufferPool } from '../../src/platform/buffer-pool.ts';
import { fetchLarge } from '../../src/storage/download-large.ts';
import { openFolderHome } from '../../src/storage/folder-home.ts';
import type { Home } from '../../src/storage/home.ts';
import { digestOf } from './transfer-rig.ts';

const CONTENT = Buffer.alloc((16 << 20) + 1000, 'a large file, ');
const DIGEST = digestOf(CONTENT);
const KEY = { kind: 'object', hash: DIGEST } as const;
let folder: string;
let home: Home;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-large-'));
  home = openFolderHome(join(folder, 'remote'));
  await home.write(`objects/${DIGEST.slice(0, 2)}/${DIGEST}`, [CONTENT]);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const partialPath = (): string => join(folder, `partial-${DIGEST}`);

/** Fetches it; `onRead` is called before each piece. Returns the gathered bytes, and how many came from the remote. */
async function gather(onRead: () => void = () => {}) {
  let read = 0;
  const watched: Home = {
    ...home,
    clone: async () => false,
    async read(key, range, signal) {
      onRead();
      read += range.length;
      return home.read(key, range, signal);
    },
  };
  const path = await fetchLarge({
    home: watched,
    place: { key: KEY, offset: 0, length: CONTENT.length },
    digest: DIGEST,
    partialPath: partialPath(),
    pool: createBufferPool(64 << 20),
    onBytes: () => {},
    signal: new AbortController().signal,
  });
  return { isRight: path !== undefined && readFileSync(path).equals(CONTENT), isGiven: path !== undefined, read };
}

/** As a process in another container names what it gathers: nobody can tell whether it runs. */
const ELSEWHERE = '0123456789abcdef.7.1234-0000';
const HOUR_S = 3600;

describe('a large blob of which an earlier run left a part', () => {
  test('is gone on with', async () => {
    writeFileSync(partialPath(), CONTENT.subarray(0, 5000));
    expect(await gather()).toEqual({ isRight: true, isGiven: true, read: CONTENT.length - 5000 });
  });

  test('is gone on with where the other process is elsewhere, and has not written for long', async () => {
    const path = `${partialPath()}-${ELSEWHERE}`;
    writeFileSync(path, CONTENT.subarray(0, 5000));
    expect((await gather()).read).toBe(CONTENT.length);
    utimesSync(path, Date.now() / 1000 - HOUR_S, Date.now() / 1000 - HOUR_S);
    expect((await gather()).read).toBe(CONTENT.length - 5000);
  });

  test('is never given out wrong, though somebody else turns out to be writing to it', async () => {
    const path = `${partialPath()}-${ELSEWHERE}`;
    writeFileSync(path, CONTENT.subarray(0, 5000));
    utimesSync(path, Date.now() / 1000 - HOUR_S, Date.now() / 1000 - HOUR_S);
    const others = statSync(path).ino;
    const result = await gather(() => {
      for (const name of readdirSync(folder)) {
        const each = join(folder, name);
        if (statSync(each).ino === others) appendFileSync(each, 'what another process appends');
      }
    });
    expect(result).toEqual({ isRight: false, isGiven: false, read: CONTENT.length - 5000 });
    expect(readdirSync(folder)).toEqual(['remote']);
  });
});

test('a disk that fails while more is written fails the fetch, though it writes the rest', async () => {
  const length = (128 << 20) + 1000;
  const handle = await open(join(folder, 'any'), 'w');
  const flush = vi
    .spyOn(Object.getPrototypeOf(handle) as FileHandle, 'datasync')
    .mockRejectedValueOnce(new Error('the disk failed'));
  await handle.close();
  try {
    const fetched = fetchLarge({
      home: {
        ...home,
        clone: async () => false,
        read: async (_key, { into = Buffer.alloc(0) }) => into.fill(7),
      },
      place: { key: KEY, offset: 0, length },
      digest: digestOf(Buffer.alloc(length, 7)),
      partialPath: partialPath(),
      pool: createBufferPool(64 << 20),
      onBytes: () => {},
      signal: new AbortController().signal,
    });
    await expect(fetched).rejects.toThrow('the disk failed');
    expect(flush).toHaveBeenCalledOnce();
  } finally {
    flush.mockRestore();
  }
});
