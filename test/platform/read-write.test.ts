import type * as Fs from 'node:fs';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { writeFully, writeFullyTo } from '../../src/platform/read-write.ts';

/** At most so much is taken by one write; all of it where undefined. */
const { limits, calls } = vi.hoisted(() => ({ limits: { atOnce: Infinity }, calls: [] as number[] }));
vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof Fs>();
  return {
    ...fs,
    writeSync(file: number, bytes: Uint8Array, from: number, length: number, at: number | null) {
      calls.push(length);
      return fs.writeSync(file, bytes, from, Math.min(length, limits.atOnce), at);
    },
  };
});

/** No two pieces are alike. */
const BYTES = Buffer.from(Uint32Array.from({ length: 200_001 }, (_, index) => index).buffer);
const PIECE = 256 << 10;

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-write-'));
  path = join(folder, 'file');
  limits.atOnce = Infinity;
  calls.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(offset?: number): Buffer {
  writeFileSync(path, 'before ');
  const file = openSync(path, offset === undefined ? 'a' : 'r+');
  try {
    writeFully(file, BYTES, offset);
  } finally {
    closeSync(file);
  }
  return readFileSync(path);
}

test.each([Infinity, 100_003])('all bytes are written in their places, where one write takes %d of them', (atOnce) => {
  limits.atOnce = atOnce;
  expect(write().equals(Buffer.concat([Buffer.from('before '), BYTES]))).toBe(true);
  expect(write(3).equals(Buffer.concat([Buffer.from('bef'), BYTES]))).toBe(true);
  expect(Math.max(...calls)).toBe(PIECE);
});

test.each([Infinity, 100_003])('so they are while other work is done, where one write takes %d', async (atOnce) => {
  const file = await open(path, 'w');
  const lengths: number[] = [];
  const short = {
    write(bytes: Uint8Array, from: number, length: number) {
      lengths.push(length);
      return file.write(bytes, from, Math.min(length, atOnce));
    },
  };
  await file.write('before ');
  await writeFullyTo(short as FileHandle, BYTES);
  await file.close();
  expect(readFileSync(path).equals(Buffer.concat([Buffer.from('before '), BYTES]))).toBe(true);
  expect(Math.max(...lengths)).toBe(PIECE);
});
