import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClusterResult, formatClusterResult, parseClusterResult } from '../../src/domain/cluster-result.ts';
import { type ClusterTask, formatClusterTask, parseClusterTask } from '../../src/domain/cluster-task.ts';
import { checkPath } from '../../src/domain/path-rules.ts';
import type { DataVersion, StageId } from '../../src/domain/pipeline.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { isJobUid, type JobUid, jobKey, parseJobKey } from '../../src/domain/remote-layout.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';

const digest = (digit: string): Digest => digit.repeat(64) as Digest;
const UID = '0f0e0d0c-1234-5678-9abc-def012345678' as JobUid;
const B3 = `b3:${'a'.repeat(64)}`;

const TASK = `{"code":"b3:${'c'.repeat(64)}","commands":["python train.py"],"fingerprint":"b3:${'f'.repeat(64)}","inputs":[{"files":2,"hash":"${B3}","path":"data","size":10,"type":"dir"},{"exec":true,"hash":"${B3}","path":"data/run","size":0,"type":"file"}],"outs":[{"cache":false,"path":"metrics.json","persist":false,"push":true},{"cache":true,"path":"model","persist":true,"previous":{"hash":"${B3}","size":3,"type":"file"},"push":true}],"remote":{"pathStyle":true,"region":"eu-north-1","url":"s3://data/team"},"stage":"train","version":0,"wdir":""}\n`;
const PARSED_TASK: ClusterTask = {
  stage: 'train' as StageId,
  fingerprint: digest('f'),
  commands: ['python train.py'],
  wdir: '' as RepoPath,
  code: digest('c'),
  inputs: [
    { path: 'data' as RepoPath, type: 'dir', hash: digest('a'), size: 10, files: 2 },
    { path: 'data/run' as RepoPath, type: 'file', hash: digest('a'), size: 0, exec: true },
  ],
  outs: [
    { path: 'metrics.json' as RepoPath, cache: false, persist: false, push: true },
    {
      path: 'model' as RepoPath,
      cache: true,
      persist: true,
      push: true,
      previous: { type: 'file', hash: digest('a'), size: 3 },
    },
  ],
  remote: { url: 's3://data/team', region: 'eu-north-1', pathStyle: true },
};
const RESULT = `{"fingerprint":"b3:${'f'.repeat(64)}","finished":"2026-11-22T05:04:03Z","job":"${UID}","outs":{"model":{"files":1,"hash":"${B3}","size":3,"type":"dir"}},"seconds":1.5,"task":"b3:${'e'.repeat(64)}","version":0}\n`;
const PARSED_RESULT: ClusterResult = {
  job: UID,
  task: digest('e'),
  fingerprint: digest('f'),
  outs: new Map([['model' as RepoPath, { type: 'dir', hash: digest('a'), size: 3, files: 1 }]]),
  seconds: 1.5,
  finished: '2026-11-22T05:04:03Z',
};

const version = fc.oneof(
  fc.record({ type: fc.constant('dir' as const), hash: fc.constant(digest('a')), size: fc.nat(), files: fc.nat() }),
  fc.record({ type: fc.constant('file' as const), hash: fc.constant(digest('b')), size: fc.nat() }),
  fc.record({
    type: fc.constant('file' as const),
    hash: fc.constant(digest('b')),
    size: fc.nat(),
    exec: fc.constant(true as const),
  }),
) as fc.Arbitrary<DataVersion>;
/** Names of which none is a folder of another. */
const paths = fc.uniqueArray(
  fc
    .array(fc.string({ minLength: 1, maxLength: 5, unit: 'grapheme' }), { minLength: 1, maxLength: 3 })
    .map((names) => names.join('/'))
    .filter((path) => checkPath(path) === undefined) as fc.Arbitrary<RepoPath>,
  { maxLength: 8, comparator: (a, b) => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`) },
);

describe('the task of a pod', () => {
  it('has one text', () => {
    expect(formatClusterTask(PARSED_TASK)).toBe(TASK);
    expect(parseClusterTask(TASK, 'task.json')).toEqual(PARSED_TASK);
  });

  it('is read as it was written, whatever it says', () => {
    fc.assert(
      fc.property(
        paths,
        fc.array(version, { minLength: 8, maxLength: 8 }),
        fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''))),
        fc.array(fc.boolean(), { minLength: 32, maxLength: 32 }),
        (all, versions, commands, flags) => {
          const isInput = all.map((_, at) => flags[at] === true);
          const task: ClusterTask = {
            ...PARSED_TASK,
            commands,
            code: flags[31] === true ? digest('c') : undefined,
            inputs: all.flatMap((path, at) => (isInput[at] === true ? { path, ...(versions[at] as DataVersion) } : [])),
            outs: all.flatMap((path, at) => {
              if (isInput[at] === true) return [];
              const [cache = false, persist = false, push = false] = flags.slice(8 + at);
              const previous = persist && cache ? { previous: versions[at] as DataVersion } : {};
              return { path, cache, persist, push, ...previous };
            }),
          };
          const text = formatClusterTask(task);
          const read = parseClusterTask(text, 'task');
          const byPath = (a: { path: string }, b: { path: string }): number => (a.path < b.path ? -1 : 1);
          expect(read).toEqual({ ...task, inputs: task.inputs.toSorted(byPath), outs: task.outs.toSorted(byPath) });
          expect(formatClusterTask(read)).toBe(text);
        },
      ),
    );
  });

  it.each([
    ['no JSON', TASK.slice(0, -3), /this is no task/],
    ['another version', TASK.replace('"version":0', '"version":1'), /format is version 1/],
    ['spaces', TASK.replace('{', '{ '), /one form/],
    ['a field that nobody knows', TASK.replace('"wdir"', '"who":1,"wdir"'), /one form/],
    ['inputs in another order', TASK.replace('"data"', '"zeta"').replace('"data/run"', '"beta"'), /one form/],
    ['a path that climbs', TASK.replace('"model"', '"../model"'), /no path in a project: "\.\.\/model"/],
    ["a path of Git's", TASK.replace('"model"', '"x/.GIT/hooks"'), /could be taken for a folder of Git/],
    ["a path of mlv's", TASK.replace('"data/run"', '"data/.mlv"'), /could be taken for a folder of Git/],
    ['the project as an input', TASK.replace('"data"', '""'), /no path in a project: "": it is empty/],
    ['a path twice', TASK.replace('"model"', '"data"'), /names a path twice: "data"/],
    [
      'an input inside an output',
      TASK.replace('"model"', '"zoo"').replace('"data/run"', '"zoo/run"'),
      /inside of another: "zoo\/run"/,
    ],
    ['an output inside a file', TASK.replace('"model"', '"data/run/model"'), /inside of another: "data\/run\/model"/],
    ['a folder without a count', TASK.replace('"files":2,', ''), /no version of data: "data"/],
    [
      'a previous version of what does not persist',
      TASK.replace('"persist":true', '"persist":false'),
      /only what persists/,
    ],
    ['a command with a NUL', TASK.replace('train.py', '\\u0000'), /"commands" must be/],
    ['a stage without a name', TASK.replace('"train"', '""'), /"stage" must be/],
    [
      'a profile',
      TASK.replace('"pathStyle"', '"profile":"x","pathStyle"'),
      /no setting of a remote is called "profile"/,
    ],
    ['credentials in the URL', TASK.replace('s3://data', 's3://a:b@data'), /"url" is not what it may be/],
    ['a text for a flag', TASK.replace('"pathStyle":true', '"pathStyle":"true"'), /"pathStyle" is not/],
    ["a folder of the user's machine", TASK.replace('s3://data/team', '../store'), /folder of another machine/],
    ['no remote', TASK.replace(/"remote":\{.*?\}/, '"remote":{}'), /has no URL/],
  ])('is refused with %s', (_, text, message) => {
    expect(() => parseClusterTask(text, 'task.json')).toThrow(message);
  });

  it('is refused unread where it is too large, and is not written so', () => {
    const commands = ['x'.repeat(1_000_000)];
    expect(() => formatClusterTask({ ...PARSED_TASK, commands })).toThrow(/reads and makes so many paths/);
    expect(() => parseClusterTask(' '.repeat(1_000_001), 'task.json')).toThrow(/larger than 1000000 bytes/);
  });
});

describe('the result of a Job', () => {
  it('has one text', () => {
    expect(formatClusterResult(PARSED_RESULT)).toBe(RESULT);
    expect(parseClusterResult(RESULT, 'jobs/x')).toEqual(PARSED_RESULT);
  });

  it('is read as it was written, whatever it says', () => {
    fc.assert(
      fc.property(
        paths,
        fc.array(version, { minLength: 8, maxLength: 8 }),
        fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
        (all, versions, seconds) => {
          const outs = new Map(all.map((path, at) => [path, versions[at] as DataVersion]));
          const result: ClusterResult = { ...PARSED_RESULT, outs, seconds };
          const read = parseClusterResult(formatClusterResult(result), 'result');
          expect({ ...read, seconds: 0 }).toEqual({ ...result, seconds: 0 });
          expect(read.seconds === result.seconds).toBe(true);
        },
      ),
    );
  });

  it.each([
    ['no JSON', RESULT.slice(1), /this is no result/],
    ['another version', RESULT.replace('"version":0', '"version":2'), /format is version 2/],
    ['a field that nobody knows', RESULT.replace('"version"', '"sig":1,"version"'), /one form/],
    ['another UID than there can be', RESULT.replace(UID, '../index/x'), /UID of a Job/],
    ['a path that climbs', RESULT.replace('"model"', '"../model"'), /no path of an output/],
    [
      'a path inside of another',
      RESULT.replace('"model":{', `"model":{"hash":"${B3}","size":1,"type":"file"},"model/x":{`),
      /inside of another: "model\/x"/,
    ],
    ['no version', RESULT.replace(B3, 'b3:x'), /no version of an output: "model"/],
    ['a time of another zone', RESULT.replace('03Z', '03+01:00'), /time in UTC/],
    ['endless seconds', RESULT.replace('1.5', '1e999'), /number from 0/],
  ])('is refused with %s', (_, text, message) => {
    expect(() => parseClusterResult(text, 'jobs/x')).toThrow(message);
  });

  it('is refused unread where it is too large', () => {
    expect(() => parseClusterResult(' '.repeat((1 << 20) + 1), 'jobs/x')).toThrow(/larger than 1048576 bytes/);
  });
});

it('a result has a key of its own, which leads nowhere else', () => {
  expect(jobKey(UID)).toBe(`jobs/${UID}`);
  expect(parseJobKey(`jobs/${UID}`)).toBe(UID);
  for (const key of [UID, `jobs/${UID}/x`, 'jobs/', `jobs/${UID.toUpperCase()}`, `runs/${UID}`])
    expect(parseJobKey(key)).toBeUndefined();
  expect(isJobUid(`${UID}\n`)).toBe(false);
});
