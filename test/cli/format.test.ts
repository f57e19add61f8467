import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  columns,
  countOf,
  createStyle,
  formatBytes,
  formatCount,
  formatDuration,
  shorten,
  visible,
  wrap,
} from '../../src/cli/format.ts';

const plain = createStyle(false);

test('counts have commas and a noun', () => {
  expect([0, 999, 1000, 990_000, 12_345_678].map(formatCount)).toEqual(['0', '999', '1,000', '990,000', '12,345,678']);
  expect([countOf(1, 'file'), countOf(2000, 'file'), countOf(2, 'entry', 'entries')]).toEqual([
    '1 file',
    '2,000 files',
    '2 entries',
  ]);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [1_350_000, '1.4 MB'],
  [9_949_999, '9.9 MB'],
  [9_950_000, '10 MB'],
  [999_499_999, '999 MB'],
  [999_500_000, '1.0 GB'],
  [Number.MAX_SAFE_INTEGER, '9.0 PB'],
])('%i bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test('sizes have at most three digits, whatever they are', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      expect(formatBytes(bytes)).toMatch(/^(?:\d{1,3}|\d\.\d) (?:B|kB|MB|GB|TB|PB)$/);
    }),
  );
});

test('durations name their two largest units', () => {
  expect([0.4, 8, 125, 4320, 360_000].map(formatDuration)).toEqual([
    '0 s',
    '8 s',
    '2 min 5 s',
    '1 h 12 min',
    '100 h 0 min',
  ]);
});

test('characters that could steer a terminal are shown, not sent', () => {
  expect(visible('a\u001b[2Jb\n\u009b\u202ec é 日本')).toBe('a\\x1b[2Jb\\x0a\\x9b\\u202ec é 日本');
});

test('columns stand under each other, colours and wide letters not counted', () => {
  const style = createStyle(true);
  const lines = columns(
    [
      [style.good('ok'), 'x', 'first'],
      ['other', 'yy', ''],
    ],
    '  ',
  );
  expect(lines).toEqual(['  \u001b[32mok\u001b[39m     x   first', '  other  yy']);
});

test('a long list ends in the number of what is left out', () => {
  const lines = Array.from({ length: 1200 }, (_, index) => `line ${index}`);
  expect(shorten(lines, 3, plain, '  ')).toEqual(['line 0', 'line 1', '  … and 1,198 more']);
  expect(shorten(lines.slice(0, 3), 3, plain)).toEqual(['line 0', 'line 1', 'line 2']);
  expect(shorten(lines, Infinity, plain)).toEqual(lines);
});

test('text is wrapped between words', () => {
  expect(wrap('aaa bbb ccc dddddddddd e', 7)).toEqual(['aaa bbb', 'ccc', 'dddddddddd', 'e']);
});
