import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { PurgedContent } from '../../src/domain/purge-record.ts';
import { formatPurgeRecord, isPurgeReason, joinPurgeRecords, parsePurgeRecord } from '../../src/domain/purge-record.ts';

const A = 'ab'.repeat(32) as Digest;
const B = 'cd'.repeat(32) as Digest;
const parse = (text: string) => [...parsePurgeRecord(text, '.mlv/purged').values()];

describe('the record of what was purged', () => {
  test('says what, when and why', () => {
    expect(parse(`mlv-purged 1\n${A} 2026-11-21 consent withdrawn (GDPR, Art. 17)\n${B} 2026-10-05\n`)).toEqual([
      { digest: A, day: '2026-11-21', reason: 'consent withdrawn (GDPR, Art. 17)' },
      { digest: B, day: '2026-10-05', reason: undefined },
    ]);
    expect(parse('mlv-purged 1\n')).toEqual([]);
  });

  test('may be what a merge of two branches left: in any order, and the earliest day holds', () => {
    const lines = [`${B} 2026-11-21`, `${A} 2026-11-22 later`, `${A} 2026-11-21 first`, `${B} 2026-11-21 why`];
    const found = [
      { digest: A, day: '2026-11-21', reason: 'first' },
      { digest: B, day: '2026-11-21', reason: 'why' },
    ];
    expect(parse(`mlv-purged 1\n${lines.join('\n')}\n`)).toEqual(found);
    expect(parse(`mlv-purged 1\n${lines.toReversed().join('\n')}\n`)).toEqual(found);
  });

  test.each([
    ['nothing', '', 1],
    ['no header', `${A} 2026-11-21\n`, 1],
    ['no line end', `mlv-purged 1\n${A} 2026-11-21`, 1],
    ['marks of a conflict', `mlv-purged 1\n<<<<<<< HEAD\n${A} 2026-11-21\n=======\n>>>>>>> b\n`, 2],
    ['an empty line', `mlv-purged 1\n${A} 2026-11-21\n\n`, 3],
    ['half a hash', `mlv-purged 1\n${A.slice(1)} 2026-11-21\n`, 2],
    ['a hash as people read it', `mlv-purged 1\nb3:${A} 2026-11-21\n`, 2],
    ['no day', `mlv-purged 1\n${A}\n`, 2],
    ['a day that is none', `mlv-purged 1\n${A} 2026-13-21\n`, 2],
    ['two spaces', `mlv-purged 1\n${A} 2026-11-21  reason\n`, 2],
    ['a space at the end', `mlv-purged 1\n${A} 2026-11-21 \n`, 2],
    ['another system’s line ends', `mlv-purged 1\r\n${A} 2026-11-21\r\n`, 1],
    ['what steers a terminal', `mlv-purged 1\n${A} 2026-11-21 a\u001b[2J\n`, 2],
    ['what turns text around', `mlv-purged 1\n${A} 2026-11-21 a\u202eb\n`, 2],
    ['an endless reason', `mlv-purged 1\n${A} 2026-11-21 ${'a'.repeat(201)}\n`, 2],
  ])('refuses %s, and names the line', (_, text, line) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'purge-record-invalid',
        message: `.mlv/purged:${line}: this is no record of what was purged`,
      }),
    );
  });

  test('refuses a later format', () => {
    expect(() => parse('mlv-purged 2\nanything\n')).toThrow(expect.objectContaining({ code: 'purge-record-version' }));
  });

  test('is written in one way, whatever the order', () => {
    const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
    const content = fc.record({
      digest: digest as fc.Arbitrary<Digest>,
      day: fc
        .date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true })
        .map((date) => date.toISOString().slice(0, 10)),
      reason: fc.option(fc.string().filter(isPurgeReason), { nil: undefined }),
    });
    const record = (all: readonly PurgedContent[]) => new Map(all.map((each) => [each.digest, each]));
    fc.assert(
      fc.property(fc.array(content), fc.array(content), (some, more) => {
        const joined = joinPurgeRecords([record(some), record(more)]);
        const text = formatPurgeRecord(joined);
        expect(parsePurgeRecord(text, 'x')).toEqual(joined);
        expect(formatPurgeRecord(joinPurgeRecords([record(more), record(some)]))).toBe(text);
      }),
    );
  });
});
