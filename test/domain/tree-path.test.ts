import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTreePath, treePathFromBytes, treePathFromText, treePathToText } from '../../src/domain/tree-path.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary-ascii' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('日本語/画像.png', 'e\u0301', '\u00e9', '😀', '100%', '%41', 'a\nb', '\u007f', '\ufffd', '\u0080'),
);

function reject(path: string): string {
  try {
    readTreePath(path);
    return 'accepted';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

describe('a path as trees write it', () => {
  test('escapes control characters and the percent sign, nothing else', () => {
    const all = Buffer.from(Array.from({ length: 128 }, (_, byte) => byte)).toString('latin1');
    const control = Array.from(
      { length: 32 },
      (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    ).join('');
    expect(treePathFromBytes(all)).toBe(
      `${control} !"#$%25&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`abcdefghijklmnopqrstuvwxyz{|}~%7F`,
    );
  });

  test('has one character for each byte of UTF-8, its normalisation as found', () => {
    expect([treePathFromText('é'), treePathFromText('e\u0301'), treePathFromText('日')]).toEqual([
      '\xc3\xa9',
      'e\xcc\x81',
      '\xe6\x97\xa5',
    ]);
  });

  test('comes back as the text it was made of, and is accepted', () => {
    fc.assert(
      fc.property(text, (path) => {
        const written = treePathFromText(path);
        expect([treePathToText(written), readTreePath(written)]).toEqual([path, path]);
      }),
    );
  });

  test('sorts by the bytes of UTF-8, which code units of UTF-16 do not', () => {
    const [emoji, halfwidth] = ['\u{1f600}', '\uffee'].map(treePathFromText);
    expect(['\u{1f600}', '\uffee'].toSorted()).toEqual(['\u{1f600}', '\uffee']);
    expect((emoji ?? '') > (halfwidth ?? '')).toBe(true);
    const plain = fc.string({ unit: 'binary' }).filter((value) => !/[\x00-\x1f%\x7f]/.test(value));
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        const [left, right] = [treePathFromText(a), treePathFromText(b)];
        expect(left < right ? -1 : left > right ? 1 : 0).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  test.each([
    ['a raw control character', 'a\nb'],
    ['a raw delete', 'a\x7f'],
    ['a lone percent sign', 'a%'],
    ['half an escape', 'a%0'],
    ['digits that are none', '%zz'],
    ['lower-case digits', '%0a'],
    ['an escape that is not needed', '%41'],
    ['an escaped slash', 'a%2Fb'],
    ['an escaped dot', '%2E%2E'],
    ['an escaped byte of UTF-8', '%C3%A9'],
    ['a byte that is not UTF-8', 'a\xff'],
    ['half a character', '\xc3'],
    ['an overlong form', '\xc0\xaf'],
    ['a surrogate', '\xed\xa0\x80'],
  ])('is refused with %s', (_, path) => {
    expect(reject(path)).toBe('tree-path-escape');
  });

  test('has one form only: UTF-8 with these escapes and no others', () => {
    const written = fc
      .array(
        fc.oneof(
          fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
          fc.constantFrom('%25', '%0A', '%', '\xc3\xa9'),
        ),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(written, (path) => {
        const isEscaped = /^(?:[ -$&-~\x80-\xff]|%(?:0[0-9A-F]|1[0-9A-F]|7F|25))*$/.test(path);
        expect(reject(path) === 'accepted').toBe(isEscaped && isUtf8(Buffer.from(path, 'latin1')));
      }),
    );
  });
});
