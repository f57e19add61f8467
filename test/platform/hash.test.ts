import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashEngine, loadEngine } from '../../src/platform/hash.ts';

interface Vectors {
  readonly cases: readonly { readonly input_len: number; readonly hash: string }[];
}

const vectors = JSON.parse(
  readFileSync(new URL('../../fixtures/blake3/vectors.json', import.meta.url), 'utf8'),
) as Vectors;

const native = loadEngine('native');
const webassembly = loadEngine('webassembly');

function pattern(length: number): Buffer {
  return Buffer.alloc(length, Buffer.from(Array.from({ length: 251 }, (_, index) => index)));
}

describe.each([native, webassembly])('$name BLAKE3', (engine) => {
  test('gives the published digests in one call', () => {
    const digests = vectors.cases.map(({ input_len }) => ({
      input_len,
      hash: engine.hash(pattern(input_len)).toString('hex'),
    }));
    expect(digests).toEqual(vectors.cases);
  });

  test('gives the published digests piece by piece', () => {
    const digests = vectors.cases.map(({ input_len }) => {
      const bytes = pattern(input_len);
      const hasher = engine.createHasher();
      for (let start = 0; start < input_len; start += 1000) hasher.update(bytes.subarray(start, start + 1000));
      return { input_len, hash: hasher.digest().toString('hex') };
    });
    expect(digests).toEqual(vectors.cases);
  });

  test('keeps hashers that are used in turns apart', () => {
    const bytes = pattern(5000);
    const [one, other] = [engine.createHasher(), engine.createHasher()];
    one.update(bytes.subarray(0, 2000));
    other.update(bytes);
    one.update(bytes.subarray(2000));
    expect(one.digest()).toEqual(other.digest());
  });

  test('hashes just the part of a buffer that a view shows', () => {
    const whole = Uint8Array.from(pattern(300));
    expect(engine.hash(whole.subarray(100, 200))).toEqual(engine.hash(Buffer.from(whole.slice(100, 200))));
  });
});

test('both engines agree however the input is split', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 8 }), (pieces) => {
      const whole = native.hash(Buffer.concat(pieces));
      for (const engine of [native, webassembly]) {
        const hasher = engine.createHasher();
        for (const piece of pieces) hasher.update(piece);
        expect(hasher.digest()).toEqual(whole);
      }
    }),
  );
});

test('WebAssembly gives its memory back after each hasher', () => {
  const bytes = pattern(1024 * 1024);
  for (let round = 0; round < 200; round++) webassembly.hash(bytes);
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().external;
  for (let round = 0; round < 200_000; round++) webassembly.hash(bytes.subarray(0, 16));
  const after = process.memoryUsage().arrayBuffers + process.memoryUsage().external;
  expect(after - before).toBeLessThan(64 * 1024 * 1024);
});

test('the native engine is preferred, and chosen once', () => {
  expect(hashEngine().name).toBe('native');
  expect(hashEngine()).toBe(hashEngine());
});
