import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Digest } from '../../../src/domain/digest.ts';
import { isDigest } from '../../../src/domain/digest.ts';
import type { TreePath } from '../../../src/domain/tree-path.ts';
import { withLock } from '../../../src/platform/lock.ts';
import { openTraits } from '../../../src/storage/s3-traits.ts';
import { openUploadNotes } from '../../../src/storage/s3-upload-notes.ts';
import type { Content } from '../../../src/workspace/checkout-record.ts';
import {
  isSelected,
  joinSelections,
  mayHoldSelected,
  readCheckoutRecord,
  sameContent,
  selectionToBe,
  stateFiles,
  unfinished,
} from '../../../src/workspace/checkout-record.ts';
import { completeRoots } from '../../../src/workspace/complete-roots.ts';
import type { Workspace } from '../../../src/workspace/open.ts';
import { readPushedCommits } from '../../../src/workspace/pushed-commits.ts';
import { hash } from '../../support/trees.ts';
import type { Surroundings, Target } from '../target.ts';
import { check } from '../target.ts';

const HASH = 'ab'.repeat(32) as Digest;
const JSON_WORDS = ['{', '}', '[', ']', ':', ',', 'null', 'true', '1e999', '""', '"__proto__":', '\\u0000'];

export function noteTargets({ fixture, scratch }: Surroundings): Target[] {
  const note = { key: 'objects/ab', uploadId: 'u', partBytes: 16, digest: HASH, length: 99, hasCrc32: true };
  const owner = {
    bootId: 'b',
    pidNamespace: 'pid:[1]',
    pid: 1,
    startTime: '1',
    host: 'here',
    command: 'mlv add',
    since: '2026-01-01',
    heartbeatMs: 5000,
  };
  return [
    {
      name: 'checkout record',
      seeds: [
        fixture('checkout-record.json'),
        fixture('checkout-record.json').subarray(0, -66),
        `{"version":1,"path":"data/images","selected":"all","base":{"type":"file","hash":"${HASH}","exec":true},"next":{"content":{"type":"file","hash":"${HASH}","exec":false},"selected":["a"]}}\n`,
      ],
      words: [
        '"base":',
        '"target":',
        '"next":',
        '"content":',
        '"selected":"all"',
        '"restore":',
        '"earlier":[',
        ...JSON_WORDS,
      ],
      run: (input) => runCheckoutRecord(input, scratch),
    },
    {
      name: 'note of an upload',
      seeds: [JSON.stringify(note)],
      words: ['"key":', '"uploadId":', '"hasCrc32":', ...JSON_WORDS],
      run(input) {
        const folder = join(scratch, 'uploads');
        const name = createHash('sha256').update(note.key).digest('hex').slice(0, 32);
        write(join(folder, `${name}.json`), input);
        const found = openUploadNotes(folder).find(note);
        check(
          found === undefined || (typeof found.uploadId === 'string' && found.length === 99),
          'a note is of what is wanted',
        );
      },
    },
    {
      name: 'what a bucket can do',
      seeds: ['{"conditionalWrites":true,"crc32":false,"region":"eu-west-1"}\n'],
      words: ['"region":', '"crc32":', ...JSON_WORDS],
      run(input) {
        const path = join(scratch, 'traits.json');
        write(path, input);
        const { region = '', crc32 = true } = openTraits(path).get();
        check(typeof region === 'string' && typeof crc32 === 'boolean', 'traits are of their types');
      },
    },
    {
      name: 'pushed commits',
      seeds: [`${HASH}\n${'ab'.repeat(20)} 20000\n${HASH} 19999\n`],
      words: [`${HASH}\n`, ' 20000', HASH],
      run(input) {
        const folder = join(scratch, 'pushed');
        write(join(folder, 'pushed-commits'), input);
        check(
          readPushedCommits(folder, { tombstones: HASH, day: 20_000 }).every((commit) =>
            /^[0-9a-f]{40,64}$/.test(commit),
          ),
          'commits have the form of commits',
        );
      },
    },
    {
      name: 'complete roots',
      seeds: [`generation\n${HASH}\n`],
      words: ['generation\n', HASH],
      run(input) {
        const sharedFolder = join(scratch, 'shared');
        write(join(sharedFolder, 'complete-roots'), input);
        const workspace = { sharedFolder, cache: () => ({ generation: () => 'generation' }) } as unknown as Workspace;
        check([...completeRoots(workspace).read()].every(isDigest), 'roots are digests');
      },
    },
    {
      name: 'lock',
      // The first line is the file's number.
      seeds: [
        `1\nheld\n${JSON.stringify(owner)}\n`,
        `7\nheld\n${JSON.stringify({ ...owner, pid: 2 ** 40 })}`,
        '3\nfree',
        '999999999999998\nfree',
        'x\n',
      ],
      words: ['held\n', 'free', '"pid":', '"heartbeatMs":', ...JSON_WORDS],
      run: (input) => runLock(input, join(scratch, 'locks')),
    },
  ];
}

function write(path: string, bytes: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

/** With and without the checksum that its line has. */
function runCheckoutRecord(input: Buffer, scratch: string): void {
  const workspace = { prefix: '', ownFolder: join(scratch, 'own') } as unknown as Workspace;
  const path = 'data/images' as Parameters<typeof readCheckoutRecord>[1];
  const [line = ''] = input.toString('utf8').split('\n');
  const named: Content = { type: 'file', hash: HASH, exec: false };
  const isSummed = (input.length & 1) === 0;
  const bytes = isSummed ? Buffer.from(`${line}\n${hash(Buffer.from(line)).toString('hex')}\n`) : input;
  write(stateFiles(workspace, path).record, bytes);
  const record = readCheckoutRecord(workspace, path, named);
  for (const content of [record.base, ...unfinished(record)])
    check(content === undefined || (isDigest(content.hash) && sameContent(content, content)), 'content has a digest');
  const asked = ['a', 'a/b'] as TreePath[];
  for (const selection of [record.selected, record.target?.selected, record.target?.restore]) {
    if (selection === undefined) continue;
    isSelected(selection, 'a/b/c' as TreePath);
    mayHoldSelected(selection, 'a', 'b' as TreePath);
    joinSelections(selection, asked);
  }
  selectionToBe(record, asked, { content: named, isNamed: true });
  selectionToBe(record, asked, { content: { ...named, type: 'dir' }, isNamed: false });
}

/** A lock is taken, or refused; never waited for without end, and never taken by two. */
async function runLock(input: Buffer, folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const end = input.indexOf(0x0a);
  const number = input
    .toString('latin1', 0, Math.max(0, end))
    .replaceAll(/[^\w.-]/g, '')
    .slice(0, 60);
  write(join(folder, `fuzz.${number}`), input.subarray(end + 1));
  await withLock(folder, 'fuzz', { command: 'fuzz', waitMs: 0 }, (lock) => {
    lock.assertHeld();
    check(
      readdirSync(folder).filter((name) => /^fuzz\.[1-9]\d{0,14}$/.test(name)).length === 1,
      'one file is the lock',
    );
  });
}
