import { expect, test } from 'vitest';
import { parseDataPath } from '../../src/domain/remote-layout.ts';

const HASH = 'ab'.repeat(32);

test('a pack or an object is known by its path', () => {
  expect(parseDataPath(`packs/ab/${HASH}`)).toEqual({ kind: 'pack', hash: HASH });
  expect(parseDataPath(`objects/ab/${HASH}.0011223344556677`)).toEqual({
    kind: 'object',
    hash: HASH,
    nonce: '0011223344556677',
  });
});

test.each([`packs/cd/${HASH}`, `lists/ab/${HASH}`, `packs/ab/${HASH}.00`, `packs/ab/x/${HASH}`, `/packs/ab/${HASH}`])(
  '%s is none',
  (path) => {
    expect(parseDataPath(path)).toBeUndefined();
  },
);
