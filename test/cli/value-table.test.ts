import { expect, test } from 'vitest';
import { createStyle } from '../../src/cli/format.ts';
import { markdownTable, textTable } from '../../src/cli/value-table.ts';

const plain = createStyle(false);

const TABLE = {
  columns: [
    { title: 'File', isName: true },
    { title: 'Metric', isName: true },
    { title: 'HEAD', align: 'right' },
    { title: 'Change', align: 'right' },
  ],
  rows: [
    [{ text: 'results/metrics.json' }, { text: 'acc' }, { text: '0.9' }, { text: '+0.05', paint: 'changed' }],
    [{ text: 'results/metrics.json' }, { text: 'loss.train' }, { text: '12.375' }, { text: '-1' }],
    [{ text: 'm.json' }, { text: 'name' }, { text: 'größer|a_b' }, { text: '' }],
  ],
} as const;

test('puts cells under each other, numbers to the right', () => {
  expect(textTable(TABLE, plain)).toEqual([
    'File                  Metric            HEAD  Change',
    'results/metrics.json  acc                0.9   +0.05',
    'results/metrics.json  loss.train      12.375      -1',
    'm.json                name        größer|a_b',
  ]);
});

test('cuts what is widest until it fits, of names the beginning, of values the end', () => {
  const lines = textTable(TABLE, plain, 40);
  expect(lines).toEqual([
    'File       Metric           HEAD  Change',
    '…ics.json  acc               0.9   +0.05',
    '…ics.json  …ss.train      12.375      -1',
    'm.json     name       größer|a_b',
  ]);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
});

test('cuts nothing to less than can be read, however narrow the terminal', () => {
  expect(textTable(TABLE, plain, 5)[1]).toBe('….json  acc        0.9   +0.05');
});

test('colours cells without moving them, and shows what would steer a terminal', () => {
  const rows = [[{ text: 'a\u001b[2J' }, { text: 'b' }, { text: '1', paint: 'good' }, { text: '' }]] as const;
  expect(textTable({ ...TABLE, rows }, createStyle(true))).toEqual([
    '\u001b[1mFile\u001b[22m      \u001b[1mMetric\u001b[22m  \u001b[1mHEAD\u001b[22m  \u001b[1mChange\u001b[22m',
    'a\\x1b[2J  b          \u001b[32m1\u001b[39m',
  ]);
});

test('writes Markdown that GitHub shows as the same texts', () => {
  expect(markdownTable(TABLE)).toEqual([
    '| File                 | Metric     |         HEAD | Change |',
    '| -------------------- | ---------- | -----------: | -----: |',
    '| results/metrics.json | acc        |          0.9 |  +0.05 |',
    '| results/metrics.json | loss.train |       12.375 |     -1 |',
    '| m.json               | name       | größer\\|a\\_b |        |',
  ]);
});
