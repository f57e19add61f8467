import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ParamValue } from '../../src/domain/pipeline.ts';
import { compareLeaves, flattenValue, formatLeaf, formatNumber } from '../../src/domain/value-diff.ts';

const NUMBER = fc.oneof(fc.integer(), fc.double({ noNaN: true }));

const VALUE: fc.Arbitrary<ParamValue> = fc.letrec<{ value: ParamValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    NUMBER,
    fc.string(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom('a', 'b', 'a.b', '', '"a"', '__proto__'), fc.string()), tie('value'), {
      maxKeys: 3,
    }),
  ),
})).value;

test('takes maps apart to dotted keys, sorted; lists and empty maps stay whole', () => {
  const value = {
    train: { lr: 0.1, layers: [64, { units: 32 }], extra: {} },
    seed: 1,
    note: null,
    'a.b': { '': true },
  };
  expect([...flattenValue(value)]).toEqual([
    ['"a.b".""', true],
    ['note', null],
    ['seed', 1],
    ['train.extra', {}],
    ['train.layers', [64, { units: 32 }]],
    ['train.lr', 0.1],
  ]);
  expect([...flattenValue(0.91)]).toEqual([['', 0.91]]);
  expect([...flattenValue({ lr: 0.1 }, 'train')]).toEqual([['train.lr', 0.1]]);
});

test('tells changed, added and removed keys, with the difference of numbers', () => {
  const before = flattenValue({ acc: 0.5, epochs: 10, name: 'a', gone: true, same: [1], flag: 1 });
  const after = flattenValue({ acc: 0.75, epochs: 8, name: 'b', added: null, same: [1], flag: '1' });
  const changed = [
    { key: 'acc', old: 0.5, new: 0.75, change: 0.25 },
    { key: 'added', new: null },
    { key: 'epochs', old: 10, new: 8, change: -2 },
    { key: 'flag', old: 1, new: '1' },
    { key: 'gone', old: true },
    { key: 'name', old: 'a', new: 'b' },
  ];
  expect(compareLeaves(before, after)).toEqual(changed);
  expect(compareLeaves(before, after, { all: true })).toEqual([...changed, { key: 'same', old: [1], new: [1] }]);
});

test('a value that becomes a map is gone, and its parts are new', () => {
  expect(compareLeaves(flattenValue({ a: 1 }), flattenValue({ a: { b: 2 } }))).toEqual([
    { key: 'a', old: 1 },
    { key: 'a.b', new: 2 },
  ]);
});

test('the order of keys makes no difference, nor does a number that is none on both sides', () => {
  const before = flattenValue({ list: [{ a: 1, b: NaN }], loss: NaN, zero: 0 });
  expect(compareLeaves(before, flattenValue({ loss: NaN, zero: -0, list: [{ b: NaN, a: 1 }] }))).toEqual([]);
  expect(compareLeaves(before, flattenValue({ loss: 1, zero: 0, list: [{ b: NaN }] }))).toEqual([
    { key: 'list', old: [{ a: 1, b: NaN }], new: [{ b: NaN }] },
    { key: 'loss', old: NaN, new: 1, change: NaN },
  ]);
});

test('cuts numbers to significant digits, never before the point', () => {
  const numbers = [0.912345678, 123456.789, 1.23456789e-7, 100, 1e21, -0.000123456, 0.1 + 0.2, NaN, -Infinity, 0];
  expect(numbers.map((value) => formatNumber(value, 5))).toEqual([
    '0.91235',
    '123457',
    '1.2346e-7',
    '100',
    '1e+21',
    '-0.00012346',
    '0.3',
    'nan',
    '-inf',
    '0',
  ]);
  expect(formatNumber(0.912345678, 2)).toBe('0.91');
  expect(formatNumber(12345.5, 1)).toBe('12346');
});

test('writes what is no number as JSON, texts as they are', () => {
  expect([true, null, 'a b', [1, 'x', { k: 2 }], {}].map((value) => formatLeaf(value, 5))).toEqual([
    'true',
    'null',
    'a b',
    '[1,"x",{"k":2}]',
    '{}',
  ]);
});

test('nothing differs from itself, and every difference is told from both sides', () => {
  fc.assert(
    fc.property(VALUE, VALUE, (one, other) => {
      const [before, after] = [flattenValue(one), flattenValue(other)];
      expect(compareLeaves(before, flattenValue(structuredClone(one)))).toEqual([]);
      const back = compareLeaves(after, before);
      expect(compareLeaves(before, after).map(({ key }) => key)).toEqual(back.map(({ key }) => key));
      // Applying the changes to one side gives the other.
      const applied = new Map(before);
      for (const change of compareLeaves(before, after)) {
        if (change.new === undefined) applied.delete(change.key);
        else applied.set(change.key, change.new);
      }
      expect(compareLeaves(applied, after)).toEqual([]);
    }),
  );
});

test('no two places of a value share a key', () => {
  const count = (value: ParamValue): number =>
    typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0
      ? 1
      : Object.values(value).reduce<number>((sum, part) => sum + count(part), 0);
  fc.assert(
    fc.property(VALUE, (value) => {
      expect(flattenValue(value).size).toBe(count(value));
    }),
  );
});
