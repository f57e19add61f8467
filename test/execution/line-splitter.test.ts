import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineSplitter } from '../../src/execution/line-splitter.ts';

function linesOf(pieces: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const splitter = createLineSplitter((text) => lines.push(text));
  for (const piece of pieces) splitter.push(piece);
  splitter.end();
  return lines;
}

test('lines are the same, however the bytes come', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '\u{1f600}', '\n', '\r', '\r\n', ' '), maxLength: 40 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(60)), (written, cuts) => {
      const bytes = Buffer.from(written);
      const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].toSorted((a, b) => a - b);
      const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
      expect(linesOf(pieces)).toEqual(linesOf([bytes]));
      if (!written.includes('\r')) {
        const expected = written.split('\n');
        expect(linesOf(pieces)).toEqual(expected.at(-1) === '' ? expected.slice(0, -1) : expected);
      }
    }),
  );
});

test('of a line that was written over, the last state is told', () => {
  expect(linesOf([Buffer.from('10%\r20%\r'), Buffer.from('30%\r\nx\r   \r\ny\r'), Buffer.from('\n')])).toEqual([
    '30%',
    'x',
    'y',
  ]);
});

test('what is longer than a line may be is cut between characters', () => {
  const lines = linesOf([Buffer.from(`a${'\u{1f600}'.repeat(20_000)}\nnext`)]);
  expect(lines.map((line) => line.length)).toEqual([16_383, 16_384, 7_234, 'next'.length]);
  expect(lines.slice(0, 3).join('')).toBe(`a${'\u{1f600}'.repeat(20_000)}`);
});

test('a bar that goes on for ever takes bounded memory, and its last state is told', () => {
  const lines: string[] = [];
  const splitter = createLineSplitter((text) => lines.push(text));
  for (let step = 0; step < 100_000; step++) splitter.push(Buffer.from(`\r${step} of many`));
  splitter.end();
  expect(lines).toEqual(['99999 of many']);
});
