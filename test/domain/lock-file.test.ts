import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLock } from '../../src/domain/lock-document.ts';
import type { LockedStages } from '../../src/domain/lock-file.ts';
import { formatLock, parsePlainLock } from '../../src/domain/lock-file.ts';
import type { DataVersion, LockedStage, ParamValue } from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { digestOf } from '../support/trees.ts';

const text = fc.oneof(
  fc.constantFrom(
    'python train.py',
    'true',
    'no',
    '.',
    '.5',
    '1e3',
    '-',
    '---',
    '~',
    'a: b',
    'a #b',
    '__proto__',
    '=',
    '<<',
    "'",
    '{',
    '',
  ),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const path = fc.constantFrom(
  'data',
  'a b',
  'sub/x',
  'sub/deep/äö',
  'true',
  '0',
  'x{y}',
  'a #b',
) as fc.Arbitrary<RepoPath>;
const digest = fc.nat(5).map((each) => digestOf(String(each)));
const count = fc.maxSafeNat();
const version: fc.Arbitrary<DataVersion> = fc.oneof(
  fc.record({ type: fc.constant('file' as const), hash: digest, size: count }),
  fc.record({ type: fc.constant('file' as const), hash: digest, size: count, exec: fc.constant(true as const) }),
  fc.record({ type: fc.constant('dir' as const), hash: digest, size: count, files: count }),
);
const flags = fc.record({ cache: fc.boolean(), persist: fc.boolean(), push: fc.boolean() });
const output = fc
  .tuple(version, flags, fc.constantFrom({}, { remote: 'archive' }))
  .map(([a, b, c]) => ({ ...a, ...b, ...c }));
const value = fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.parse(JSON.stringify(json)) as ParamValue);
const map = <K, V>(key: fc.Arbitrary<K>, of: fc.Arbitrary<V>): fc.Arbitrary<Map<K, V>> =>
  fc.array(fc.tuple(key, of), { maxLength: 3 }).map((entries) => new Map(entries));
const stage: fc.Arbitrary<LockedStage> = fc
  .record({
    commands: fc.array(text, { minLength: 1, maxLength: 3 }),
    wdir: fc.constantFrom('', 'sub', 'sub/deep', 'other') as fc.Arbitrary<RepoPath>,
    deps: map(path, version),
    params: map(path, map(text, value)),
    env: map(text, fc.option(digest)),
    tools: map(text, text),
    outs: map(path, output),
  })
  .chain((each) => fc.constantFrom(each, { ...each, image: 'python:3.12' }));

describe('a lock file', () => {
  test('says what was written, to its own parser and to any YAML parser', () => {
    fc.assert(
      fc.property(map(text, stage), fc.constantFrom('mlv.lock', 'sub/mlv.lock'), (stages, file) => {
        const written = formatLock(stages, file as RepoPath);
        expect(parsePlainLock(written, file as RepoPath)).toEqual(stages);
        expect(parseLock(written, file as RepoPath)).toEqual(stages);
      }),
    );
  });

  test('is the same text whatever the order', () => {
    fc.assert(
      fc.property(map(text, stage), (stages) => {
        const reversed = new Map([...stages].toReversed());
        expect(formatLock(reversed, 'mlv.lock' as RepoPath)).toBe(formatLock(stages, 'mlv.lock' as RepoPath));
      }),
    );
  });

  test('is text that people can read', () => {
    const data: DataVersion = { type: 'dir', hash: digestOf('a'), size: 12, files: 3 };
    const stages: LockedStages = new Map([
      [
        'train',
        {
          commands: ['python train.py --lr 0.1'],
          wdir: 'model' as RepoPath,
          deps: new Map([
            ['model/train.py' as RepoPath, { type: 'file', hash: digestOf('b'), size: 7 }],
            ['features' as RepoPath, data],
          ]),
          params: new Map([
            [
              'model/params.yaml' as RepoPath,
              new Map<string, ParamValue>([
                ['lr', 0.1],
                ['name', 'a: b'],
              ]),
            ],
          ]),
          env: new Map([['SEED', null]]),
          tools: new Map([['python', 'Python 3.12.1']]),
          outs: new Map([
            [
              'model/metrics.json' as RepoPath,
              { type: 'file', hash: digestOf('c'), size: 2, cache: false, persist: false, push: true },
            ],
          ]),
        },
      ],
    ]);
    expect(formatLock(stages, 'model/mlv.lock' as RepoPath))
      .toBe(`# What each stage last used and made. Written by mlv; belongs into Git.
version: 0
stages:
  train:
    cmd: python train.py --lr 0.1
    deps:
      ../features: {type: dir, hash: b3:${digestOf('a')}, size: 12, files: 3}
      train.py: {hash: b3:${digestOf('b')}, size: 7}
    params:
      params.yaml:
        lr: 0.1
        name: "a: b"
    env:
      SEED: null
    tools:
      python: Python 3.12.1
    outs:
      metrics.json: {hash: b3:${digestOf('c')}, size: 2, cache: false}
`);
  });

  test('in another form is left to the YAML parser', () => {
    const written = formatLock(new Map(), 'mlv.lock' as RepoPath);
    expect(parsePlainLock(`# mine\n${written}`, 'mlv.lock' as RepoPath)).toBeUndefined();
    expect(parsePlainLock(written.replace('{}', '{} # none'), 'mlv.lock' as RepoPath)).toBeUndefined();
  });

  test.each([
    ['version: 7\nstages: {}\n', 'lock-version'],
    ['stages: {}\n', 'lock-invalid'],
    ['version: 0\nstages: []\n', 'lock-invalid'],
    ['version: 0\nstages: {a: {cmd: 1}}\n', 'lock-invalid'],
    ['version: 0\nstages: {a: {cmd: x, outs: {../x: {hash: 1}}}}\n', 'lock-invalid'],
    ['version: 0\nstages: {a: {cmd: x, outs: {x: {hash: b3:12, size: 1}}}}\n', 'lock-invalid'],
    ['version: 0\nstages: {a: {cmd: x, deps: {.git/x: {}}}}\n', 'lock-invalid'],
    ['<<<<<<< ours\nversion: 0\n=======\nversion: 0\n>>>>>>> theirs\n', 'lock-conflict'],
  ])('that is wrong is refused: %j', (content, code) => {
    expect(() => parseLock(content, 'mlv.lock' as RepoPath)).toThrow(expect.objectContaining({ code }));
  });
});
