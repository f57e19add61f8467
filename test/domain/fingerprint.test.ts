import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fingerprintText } from '../../src/domain/fingerprint.ts';
import type { ParamValue, Stage, StageObservation } from '../../src/domain/pipeline.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { decide, lockedStage } from '../../src/domain/staleness.ts';
import { byPath, fileOf, outputOf, ranStage, seenOf, stageOf } from '../support/stages.ts';
import { digestOf } from '../support/trees.ts';

const PARTS = {
  commands: ['python train.py', 'echo done'],
  params: [{ file: 'sub/params.yaml' as RepoPath }],
  env: ['SEED', 'EMPTY'],
  tools: { python: 'python --version' },
};
const STAGE = stageOf('train', {
  ...PARTS,
  file: 'sub/mlv.yaml',
  deps: ['sub/train.py', 'shared/data'],
  outs: ['sub/model', outputOf('sub/state', { persist: true }), outputOf('sub/score.json', { cache: false })],
});
const SEEN = seenOf({
  deps: byPath({
    'sub/train.py': { ...fileOf('code'), exec: true },
    'shared/data': { type: 'dir', hash: digestOf('d'), size: 9, files: 2 },
  }),
  params: byPath({
    'sub/params.yaml': new Map<string, ParamValue>([
      ['net', { w: 8, d: '3' }],
      ['lr', 0.1],
    ]),
  }),
  env: new Map([
    ['SEED', digestOf('7')],
    ['EMPTY', null],
  ]),
  tools: new Map([['python', 'Python 3.12.1']]),
  outs: byPath({ 'sub/state': fileOf('s'), 'sub/model': fileOf('m') }),
});
const TEXT = fingerprintText(STAGE, SEEN);

const changedStage = (parts: Partial<Stage>): string => fingerprintText({ ...STAGE, ...parts }, SEEN);
const changedSeen = (parts: Partial<StageObservation>): string => fingerprintText(STAGE, { ...SEEN, ...parts });
const params = (value: ParamValue): string =>
  changedSeen({ params: byPath({ 'sub/params.yaml': new Map([['x', value]]) }) });

/** With its maps and fields the other way round. */
function reversed(seen: StageObservation): StageObservation {
  const turn = <K, V>(map: ReadonlyMap<K, V>): Map<K, V> => new Map([...map].toReversed());
  return {
    outs: turn(seen.outs),
    tools: turn(seen.tools),
    env: turn(seen.env),
    params: turn(new Map([...seen.params].map(([file, values]) => [file, turn(values)]))),
    deps: turn(seen.deps),
  };
}

describe('the text behind a fingerprint', () => {
  test('is canonical, relative to the folder of the file', () => {
    expect(TEXT).toBe(
      '{"commands":["python train.py","echo done"],' +
        `"deps":{"../shared/data":{"exec":false,"hash":"b3:${digestOf('d')}","type":"dir"},"train.py":{"exec":true,"hash":"b3:${digestOf('code')}","type":"file"}},` +
        `"env":{"EMPTY":null,"SEED":"b3:${digestOf('7')}"},"image":null,` +
        `"outs":{"model":{"cache":true,"persist":false},"score.json":{"cache":false,"persist":false},"state":{"cache":true,"persist":true,"previous":{"exec":false,"hash":"b3:${digestOf('s')}","type":"file"}}},` +
        '"params":{"params.yaml":{"lr":0.1,"net":{"d":"3","w":8}}},"shell":"sh","tools":{"python":"Python 3.12.1"},"version":0,"wdir":"."}',
    );
  });

  test('is the same for equal stages in two folders', () => {
    const other = stageOf('renamed', {
      ...PARTS,
      file: 'elsewhere/mlv.yaml',
      deps: ['elsewhere/train.py', 'shared/data'],
      outs: [
        'elsewhere/model',
        outputOf('elsewhere/state', { persist: true }),
        outputOf('elsewhere/score.json', { cache: false }),
      ],
    });
    const move = <T>(map: ReadonlyMap<RepoPath, T>): Map<RepoPath, T> =>
      new Map([...map].map(([path, value]) => [path.replace('sub/', 'elsewhere/') as RepoPath, value]));
    const seen = { ...SEEN, deps: move(SEEN.deps), params: move(SEEN.params), outs: move(SEEN.outs) };
    expect(fingerprintText(other, seen)).toBe(TEXT);
  });

  test('is the same whatever the order of maps', () => {
    expect(fingerprintText(STAGE, reversed(SEEN))).toBe(TEXT);
    fc.assert(
      fc.property(ranStage, ({ stage, seen }) => {
        const text = fingerprintText(stage, seen);
        expect(
          fingerprintText({ ...stage, deps: stage.deps.toReversed(), outs: stage.outs.toReversed() }, reversed(seen)),
        ).toBe(text);
      }),
    );
  });

  test.each([
    ['a command', changedStage({ commands: ['python train.py'] })],
    ['the order of commands', changedStage({ commands: STAGE.commands.toReversed() })],
    ['commands joined', changedStage({ commands: [STAGE.commands.join('\n')] })],
    ['the shell', fingerprintText(STAGE, SEEN, 'cmd')],
    ['the working folder', changedStage({ wdir: '' as RepoPath })],
    ['a dependency', changedSeen({ deps: new Map([...SEEN.deps, ['sub/train.py' as RepoPath, fileOf('new')]]) })],
    [
      'the mode of a dependency',
      changedSeen({ deps: new Map([...SEEN.deps, ['sub/train.py' as RepoPath, fileOf('code')]]) }),
    ],
    [
      'the type of a dependency',
      changedSeen({ deps: new Map([...SEEN.deps, ['shared/data' as RepoPath, fileOf('d')]]) }),
    ],
    ['the number of dependencies', changedStage({ deps: ['sub/train.py' as RepoPath] })],
    ['a parameter', params(1)],
    ['the type of a parameter', params('1')],
    ['a parameter in a list', params([1])],
    ['a parameter that is no number', params(NaN)],
    ['a parameter without end', params(Infinity)],
    ['a parameter without beginning', params(-Infinity)],
    ['a parameter that says so', params('.inf')],
    ['a parameter that is null', params(null)],
    ['the file of a parameter', changedSeen({ params: byPath({ 'params.yaml': new Map() }) })],
    [
      'a variable',
      changedSeen({
        env: new Map([
          ['SEED', digestOf('8')],
          ['EMPTY', null],
        ]),
      }),
    ],
    [
      'a variable that is set',
      changedSeen({
        env: new Map([
          ['SEED', digestOf('7')],
          ['EMPTY', digestOf('')],
        ]),
      }),
    ],
    ['the version of a tool', changedSeen({ tools: new Map([['python', 'Python 3.13.0']]) })],
    ['the image', changedStage({ image: 'python:3.12' })],
    ['the digest of the image', changedStage({ image: `python@sha256:${'1'.repeat(64)}` })],
    ['the declared outputs', changedStage({ outs: STAGE.outs.slice(1) })],
    ['where an output is kept', changedStage({ outs: STAGE.outs.map((out) => ({ ...out, cache: true })) })],
    ['whether an output stays', changedStage({ outs: STAGE.outs.map((out) => ({ ...out, persist: false })) })],
    ['what was at an output that stays', changedSeen({ outs: byPath({ 'sub/state': fileOf('new') }) })],
    ['nothing at an output that stays', changedSeen({ outs: byPath({ 'sub/state': 'deleted' as const }) })],
  ])('differs with %s', (_, text) => {
    expect(text).not.toBe(TEXT);
  });

  test('differs with each of these in another way', () => {
    const values: ParamValue[] = [
      1,
      '1',
      [1],
      { a: 1 },
      NaN,
      Infinity,
      -Infinity,
      '.inf',
      null,
      'null',
      true,
      'true',
      [],
      {},
      '',
    ];
    expect(new Set(values.map(params)).size).toBe(values.length);
  });

  test('is the same with what does not change the result', () => {
    const other: Stage = {
      ...STAGE,
      line: 99,
      desc: 'trains',
      meta: { a: 1 },
      frozen: true,
      alwaysChanged: true,
      mutex: ['gpu'],
      resources: { cpu: 4 },
      timeout: 60,
      retries: 2,
      kubernetes: 'big',
      cluster: {
        secrets: ['db'],
        queue: 'team',
        pendingTimeout: 60,
        noRetryExitCodes: [2],
        checkpoint: 'sub/checkpoints' as RepoPath,
        pod: { spec: { priorityClassName: 'high' } },
      },
      tools: { python: 'python -V' },
      outs: STAGE.outs.map((out) => ({ ...out, kind: 'metric', push: false, remote: 'r', labels: ['x'], plot: {} })),
    };
    expect(fingerprintText(other, SEEN)).toBe(TEXT);
    const sizes = new Map([...SEEN.deps].map(([path, each]) => [path, each && { ...each, size: 1 }]));
    const outs = byPath({ 'sub/state': fileOf('s'), 'sub/model': fileOf('another') });
    expect(changedSeen({ deps: sizes, outs })).toBe(TEXT);
    expect(changedSeen({ outs: byPath({ 'sub/state': fileOf('s'), 'sub/model': 'deleted' as const }) })).toBe(TEXT);
  });

  test('has of an image its digest, whatever it is called', () => {
    const digest = `sha256:${'1'.repeat(64)}`;
    const texts = [`python@${digest}`, `python:3.12@${digest}`, `mirror.example.org:5000/a/python@${digest}`].map(
      (image) => changedStage({ image }),
    );
    expect(texts[0]).toContain(`"image":"@${digest}"`);
    expect(new Set(texts).size).toBe(1);
    const others = ['python:3.12', 'python:3.13', 'mirror.example.org/python:3.12', digest].map((image) =>
      changedStage({ image }),
    );
    expect(new Set([...texts, ...others]).size).toBe(5);
  });

  test('is the same if and only if the stage would be up to date, but for outputs', () => {
    fc.assert(
      fc.property(
        ranStage,
        ranStage,
        fc.subarray(['deps', 'params', 'env', 'tools'] as const),
        ({ stage, seen, made }, other, keys) => {
          const now = { ...seen, outs: made };
          // Another world for the same stage: parts of what another one saw.
          const changes = Object.fromEntries(keys.filter((key) => key !== 'deps').map((key) => [key, other.seen[key]]));
          const deps = keys.includes('deps')
            ? new Map([...seen.deps].map(([path, version]) => [path, other.seen.deps.get(path) ?? version]))
            : seen.deps;
          const later: StageObservation = { ...now, ...changes, deps };
          const locked = lockedStage(stage, seen, made);
          const isUpToDate = decide({ stage, locked, seen: later, isForced: false }).type === 'up-to-date';
          expect(fingerprintText(stage, later) === fingerprintText(stage, now)).toBe(isUpToDate);
        },
      ),
      { numRuns: 300 },
    );
  });
});
