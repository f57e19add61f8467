import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PodPatch } from '../../../src/domain/pipeline.ts';
import type { PodTemplate } from '../../../src/execution/kubernetes/objects.ts';
import { patchPod } from '../../../src/execution/kubernetes/pod-patch.ts';

const patched = (template: object, patch: PodPatch): unknown => patchPod(template as PodTemplate, patch);

test.each<[string, object, PodPatch, object]>([
  ['maps merge key by key', { a: { b: 1, c: 2 } }, { a: { c: 3, d: 4 } }, { a: { b: 1, c: 3, d: 4 } }],
  ['null takes a key out', { a: { b: 1 }, c: [1] }, { a: { b: null, x: null }, c: null }, { a: {} }],
  [
    'null takes nothing out of what is new',
    {},
    { a: { b: null, c: [{ name: 'x', d: null }] } },
    { a: { c: [{ name: 'x' }] } },
  ],
  [
    'other values are replaced, whatever they were',
    { a: 1, b: [1], c: { d: 1 } },
    { a: '1', b: 2, c: false },
    { a: '1', b: 2, c: false },
  ],
  [
    'a map takes the place of what is none',
    { a: [1], b: 'x' },
    { a: { c: 1 }, b: { d: 2 } },
    { a: { c: 1 }, b: { d: 2 } },
  ],
  [
    'named things merge by name, in their order, new ones last',
    { l: [{ name: 'a', v: 1, w: 1 }, { name: 'b' }] },
    { l: [{ name: 'c' }, { name: 'a', v: 2 }] },
    { l: [{ name: 'a', v: 2, w: 1 }, { name: 'b' }, { name: 'c' }] },
  ],
  [
    'mounts merge by their place',
    { volumeMounts: [{ name: 'work', mountPath: '/a' }] },
    {
      volumeMounts: [
        { name: 'work', mountPath: '/b' },
        { name: 'other', mountPath: '/a' },
      ],
    },
    {
      volumeMounts: [
        { name: 'other', mountPath: '/a' },
        { name: 'work', mountPath: '/b' },
      ],
    },
  ],
  [
    'lists of other things are replaced',
    { l: ['a', 'b'], m: [{ key: 'a' }] },
    { l: ['c'], m: [{ key: 'b', v: null }] },
    { l: ['c'], m: [{ key: 'b' }] },
  ],
  [
    'a list with a thing without a name is replaced',
    { l: [{ name: 'a' }] },
    { l: [{ name: 'b' }, { v: 1 }] },
    { l: [{ name: 'b' }, { v: 1 }] },
  ],
  ['an empty list adds nothing to named things', { l: [{ name: 'a' }] }, { l: [] }, { l: [{ name: 'a' }] }],
  [
    'within named things, too',
    { l: [{ name: 'a', env: [{ name: 'X', value: '1' }] }] },
    { l: [{ name: 'a', env: [{ name: 'Y', value: '2' }] }] },
    {
      l: [
        {
          name: 'a',
          env: [
            { name: 'X', value: '1' },
            { name: 'Y', value: '2' },
          ],
        },
      ],
    },
  ],
])('%s', (_, template, patch, expected) => {
  expect(patched(template, patch)).toEqual(expected);
});

test('applied twice is applied once, and an empty one changes nothing', () => {
  const key = fc.constantFrom('a', 'b', 'name', 'volumeMounts', 'mountPath', '__proto__');
  const { map } = fc.letrec<{ value: unknown; map: PodPatch }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, 1, 'x', 'y', true),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('map'),
    ),
    map: fc
      .array(fc.tuple(key, tie('value')), { maxLength: 4 })
      .map((entries) => Object.fromEntries(entries) as PodPatch),
  }));
  fc.assert(
    fc.property(map, map, (before, patch) => {
      const template = patched({}, before) as object;
      expect(patched(template, {})).toEqual(template);
      const once = patched(template, patch) as object;
      expect(patched(once, patch)).toEqual(once);
      expect(Object.getPrototypeOf(once)).toBe(Object.prototype);
    }),
    { numRuns: 5_000 },
  );
});
