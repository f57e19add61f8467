import { checkPath } from '../../../src/domain/path-rules.ts';
import { formatRunRecord, parseRunRecord } from '../../../src/domain/run-record.ts';
import type { Target } from '../target.ts';
import { accepted, check, checkSame } from '../target.ts';

const HASH = `b3:${'ab'.repeat(32)}`;

export function runRecordTargets(): Target[] {
  return [
    {
      name: 'run-record',
      seeds: [
        `{"commit":"${'c'.repeat(40)}","fingerprint":"${HASH}","finished":"2026-11-22T05:04:03Z","outs":{"../x":{"cache":true,"hash":"${HASH}","persist":false,"push":true,"size":1,"type":"file"},"m":{"cache":true,"files":1,"hash":"${HASH}","persist":false,"push":true,"size":1,"type":"dir"}},"platform":"linux-x64","producer":{"email":"a@b","name":"A"},"seconds":1.5,"stage":"train","version":0}\n`,
        '{"version":1}',
        '[]',
      ],
      words: [
        HASH,
        '"exec":true',
        '"remote":"r"',
        '"files":0',
        '../',
        '..',
        '.git',
        '__proto__',
        'null',
        '1e999',
        '-0',
      ],
      run(input) {
        const record = parseRunRecord(input.toString('utf8'), 'record');
        for (const path of record.outs.keys())
          check(checkPath(path.replace(/^(?:\.\.\/)*/, '')) === undefined, 'paths of outputs');
        const text = formatRunRecord(record);
        const again = accepted('the parser', () => parseRunRecord(text, 'record'));
        checkSame(again, record, 'what is written is what was read');
        check(formatRunRecord(again) === text, 'records are written in one way');
        return record;
      },
    },
  ];
}
