import { formatPurgeRecord, isPurgeReason, parsePurgeRecord } from '../../../src/domain/purge-record.ts';
import { isDigest } from '../../../src/domain/digest.ts';
import type { Surroundings, Target } from '../target.ts';
import { accepted, check, checkSame } from '../target.ts';

export function purgeRecordTargets({ fixture }: Surroundings): Target[] {
  return [
    {
      name: 'purge-record',
      seeds: [fixture('purged.txt'), 'mlv-purged 1\n', 'mlv-purged 12\nx\n', 'mlv-purged 1\n<<<<<<< HEAD\n=======\n'],
      words: ['mlv-purged 1\n', '2026-11-21', ' 9999-12-31 ', '\u202e', '\u2028', `${'ab'.repeat(32)} `, '\n', '\r\n'],
      run(input) {
        const record = parsePurgeRecord(input.toString('utf8'), 'purged');
        for (const [digest, { day, reason }] of record) {
          check(isDigest(digest) && /^\d{4}-\d{2}-\d{2}$/.test(day), 'digests and days');
          check(reason === undefined || isPurgeReason(reason), 'reasons that can be shown');
        }
        const text = formatPurgeRecord(record);
        const again = accepted('the parser', () => parsePurgeRecord(text, 'purged'));
        checkSame(again, record, 'what is written is what was read');
        check(formatPurgeRecord(again) === text, 'records are written in one way');
        return record;
      },
    },
  ];
}
