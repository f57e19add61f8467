import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import type { LockedOutput } from '../../src/domain/pipeline.ts';
import type { RunRecord } from '../../src/domain/run-record.ts';
import { formatRunRecord, MAX_RUN_RECORD_BYTES, parseRunRecord } from '../../src/domain/run-record.ts';
import { fileOf, version } from '../support/stages.ts';
import { digestOf } from '../support/trees.ts';

const RECORD: RunRecord = {
  fingerprint: digestOf('f'),
  stage: 'sub/mlv.yaml:train',
  outs: new Map<string, LockedOutput>([
    ['model', { type: 'dir', hash: digestOf('m'), size: 12, files: 3, cache: true, persist: false, push: true }],
    ['../bin/run', { ...fileOf('x'), exec: true, cache: false, persist: true, push: false, remote: 'big' }],
  ]),
  producer: { name: 'Ann', email: 'ann@example.com' },
  commit: 'a'.repeat(40),
  platform: 'linux-x64',
  finished: '2026-11-22T05:04:03Z',
  seconds: 12.5,
};

const TEXT = formatRunRecord(RECORD);

/** The record's text with something else in one place. */
function withField(change: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...(JSON.parse(TEXT) as object), ...change });
}

function withOutput(path: string, change: Readonly<Record<string, unknown>> = {}): string {
  const output = { cache: true, hash: `b3:${digestOf('m')}`, persist: false, push: true, size: 1, type: 'file' };
  return withField({ outs: { [path]: { ...output, ...change } } });
}

const output: fc.Arbitrary<LockedOutput> = fc
  .tuple(
    version,
    fc.record({ cache: fc.boolean(), persist: fc.boolean(), push: fc.boolean() }),
    fc.constantFrom({}, { remote: 'r' }),
  )
  .map(([a, b, c]) => ({ ...a, ...b, ...c }));
const record: fc.Arbitrary<RunRecord> = fc
  .record(
    {
      fingerprint: fc.nat(9).map((each) => digestOf(String(each))),
      stage: fc.string({ unit: 'grapheme' }),
      outs: fc
        .array(fc.tuple(fc.constantFrom('a', '../a', '../../x/y', '__proto__', 'é f'), output))
        .map((entries) => new Map(entries)),
      producer: fc.record({ name: fc.string(), email: fc.string() }),
      commit: fc.constantFrom('b'.repeat(40), 'c'.repeat(64)),
      platform: fc.string(),
      finished: fc.constantFrom('2026-11-22T05:04:03Z', '1999-01-01T00:00:00.123Z'),
      seconds: fc.double({ min: 0, noDefaultInfinity: true, noNaN: true }).map((each) => each + 0),
    },
    { requiredKeys: ['fingerprint', 'stage', 'outs', 'platform', 'finished', 'seconds'] },
  )
  .map((each) => each);

describe('a run record', () => {
  test('is a line of JSON, keys in order', () => {
    expect(TEXT).toBe(
      `{"commit":"${'a'.repeat(40)}","fingerprint":"b3:${digestOf('f')}","finished":"2026-11-22T05:04:03Z","outs":{` +
        `"../bin/run":{"cache":false,"exec":true,"hash":"b3:${digestOf('x')}","persist":true,"push":false,"remote":"big","size":1,"type":"file"},` +
        `"model":{"cache":true,"files":3,"hash":"b3:${digestOf('m')}","persist":false,"push":true,"size":12,"type":"dir"}},` +
        '"platform":"linux-x64","producer":{"email":"ann@example.com","name":"Ann"},"seconds":12.5,"stage":"sub/mlv.yaml:train","version":0}\n',
    );
  });

  test('says what was written, in one text whatever the order', () => {
    fc.assert(
      fc.property(record, (each) => {
        const text = formatRunRecord(each);
        expect(parseRunRecord(text, 'r')).toEqual(each);
        expect(formatRunRecord({ ...each, outs: new Map([...each.outs].toReversed()) })).toBe(text);
      }),
    );
  });

  test('may have fields that this mlv does not know', () => {
    expect(parseRunRecord(withField({ sig: 'later' }), 'r')).toEqual(RECORD);
  });

  test.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['null', 'null'],
    ['no version', withField({ version: '0' })],
    ['a bare fingerprint', withField({ fingerprint: digestOf('f') })],
    ['a stage that is no text', withField({ stage: 1 })],
    ['a list of outputs', withField({ outs: [] })],
    ['an absolute path', withOutput('/etc/passwd')],
    ['a path that climbs in the middle', withOutput('a/../../b')],
    ['a path that ends above', withOutput('..')],
    ['a path that is a folder above', withOutput('../')],
    ['a path into Git', withOutput('../.git/hooks/pre-commit')],
    ['a path into mlv', withOutput('.mlv/config.yaml')],
    ['a path with a backslash', withOutput('a\\b')],
    ['an empty path', withOutput('')],
    ['the folder itself', withOutput('.')],
    ['a hash that is none', withOutput('a', { hash: 'b3:12' })],
    ['a negative size', withOutput('a', { size: -1 })],
    ['a type of its own', withOutput('a', { type: 'link' })],
    ['a folder without number of files', withOutput('a', { type: 'dir' })],
    ['a folder that is executable', withOutput('a', { type: 'dir', files: 1, exec: true })],
    ['a file with a number of files', withOutput('a', { files: 1 })],
    ['an executable that is not', withOutput('a', { exec: false })],
    ['an option that is no flag', withOutput('a', { push: 'no' })],
    ['a remote that is no text', withOutput('a', { remote: 1 })],
    ['a commit that is an option', withField({ commit: '--exec=sh' })],
    ['a producer without address', withField({ producer: { name: 'Ann' } })],
    ['a producer that is null', withField({ producer: null })],
    ['a time without zone', withField({ finished: '2026-11-22T05:04:03' })],
    ['a negative duration', withField({ seconds: -1 })],
    ['too many bytes', `${TEXT}${' '.repeat(MAX_RUN_RECORD_BYTES)}`],
    ['too many bytes in few characters', withField({ stage: 'é'.repeat(MAX_RUN_RECORD_BYTES / 2) })],
    ['no end of brackets', '['.repeat(MAX_RUN_RECORD_BYTES)],
  ])('with %s is refused', (_, text) => {
    expect(() => parseRunRecord(text, 'r')).toThrow(expect.objectContaining({ code: 'run-record-invalid' }));
  });

  test('of a later version is refused as such', () => {
    expect(() => parseRunRecord(withField({ version: 1 }), 'r')).toThrow(
      expect.objectContaining({ code: 'run-record-version', kind: 'unsupported' }),
    );
  });

  test('that would be too large is not written', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => [`out/${index}`, RECORD.outs.get('model')] as const);
    const outs = new Map(many.flatMap(([path, each]) => (each === undefined ? [] : [[path, each] as const])));
    expect(() => formatRunRecord({ ...RECORD, outs })).toThrow(
      expect.objectContaining({ code: 'run-record-too-large' }),
    );
  });

  test('of any text is read, or refused as a record', () => {
    const cut = fc
      .tuple(fc.nat(TEXT.length), fc.nat(20), fc.string({ maxLength: 8 }))
      .map(([at, length, put]) => TEXT.slice(0, at) + put + TEXT.slice(at + length));
    const changed = fc
      .tuple(fc.constantFrom(...Object.keys(JSON.parse(TEXT) as object)), fc.jsonValue())
      .map(([key, value]) => withField({ [key]: value }));
    const texts = fc.oneof(fc.string(), fc.json(), cut, changed);
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const found = parseRunRecord(text, 'r');
          expect(parseRunRecord(formatRunRecord(found), 'r')).toEqual(found);
        } catch (error) {
          expect(error).toBeInstanceOf(MlvError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
