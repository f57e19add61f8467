import { expect, test } from 'vitest';
import { checkoutLines } from '../../src/cli/checkout-text.ts';
import { createStyle } from '../../src/cli/format.ts';
import { createOutput } from '../../src/cli/output.ts';
import { recordedLines } from '../../src/cli/recorded-text.ts';
import { statusLines } from '../../src/cli/status-text.ts';
import { fetchLines, pushLines } from '../../src/cli/transfer-text.ts';
import { MlvError } from '../../src/domain/errors.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { parseRepoPath } from '../../src/domain/repo-path.ts';
import type { StatusItem } from '../../src/workspace/status.ts';

const plain = createStyle(false);

function item(path: string, differing: Partial<StatusItem> = {}): StatusItem {
  return {
    path: parseRepoPath(path),
    type: 'dir',
    state: 'unchanged',
    added: 0,
    changed: 0,
    removed: 0,
    changes: [],
    files: 1000,
    size: 1_400_000,
    notCheckedOut: 0,
    notInCache: false,
    outOfDate: false,
    unfinishedCheckout: false,
    problems: [],
    ...differing,
  };
}

const status = (items: StatusItem[], isVerbose = false): string =>
  statusLines({ items, merges: [], clean: false }, plain, isVerbose).join('\n');

test('status tells each thing that differs, and what to do about it', () => {
  const changes = Array.from({ length: 16 }, (_, index) => ({
    path: `data/${index}.jpg`,
    kind: index < 12 ? ('added' as const) : index < 15 ? ('changed' as const) : ('removed' as const),
  }));
  const items = [
    item('data', { state: 'modified', added: 12, changed: 3, removed: 1, changes }),
    item('labels.csv', { type: 'file', state: 'missing', files: 1 }),
    item('models/net.bin', { type: 'file', notInCache: true, files: 1 }),
    item('raw', { files: 1_000_000, notCheckedOut: 990_000 }),
    item('same'),
    item('too'),
  ];
  expect(status(items)).toBe(`data            modified: 12 added, 3 changed, 1 removed
    added  data/0.jpg
    added  data/1.jpg
    added  data/2.jpg
    added  data/3.jpg
    … and 12 more
labels.csv      missing
models/net.bin  not in cache
raw             990,000 of 1,000,000 files not checked out
2 paths unchanged (2,000 files, 2.8 MB)

  mlv commit     records what was modified
  mlv pull       gets what is not here
  mlv pull PATH  brings the rest of what is partly checked out`);
  expect(
    status(items, true)
      .split('\n')
      .filter((line) => line.startsWith('    ')),
  ).toHaveLength(16);
});

test('status tells of any number of changes', () => {
  const changes = Array.from({ length: 200_000 }, (_, index) => ({ kind: 'added' as const, path: `${index}` }));
  const text = status([item('data', { state: 'modified', added: changes.length, changes })], true);
  expect(text.split('\n').filter((line) => line.startsWith('    added  '))).toHaveLength(200_000);
});

test('status tells of checkouts that are to come, unfinished ones, refused paths and what is not pushed', () => {
  expect(
    status([
      item('a', { outOfDate: true }),
      item('b', { unfinishedCheckout: true }),
      item('c', { state: 'modified', problems: [{ path: 'c/pipe', reason: 'it is a pipe' }] }),
      item('d', { remote: { name: 'store', missing: true } }),
      item('e', { state: 'not-checked-out', notCheckedOut: 1000 }),
    ]),
  ).toBe(`a  pointer names another version
b  checkout is unfinished
c  modified, 1 path cannot be recorded
    refused  c/pipe: it is a pipe
d  not on store
e  not checked out: 1,000 files

  mlv commit    records what was modified
  mlv checkout  brings the data to what the pointers say
  mlv push      sends what the remote does not have`);
});

test('status of what is as it should be is one line', () => {
  expect(status([item('a'), item('b')])).toBe('2 paths unchanged (2,000 files, 2.8 MB)');
});

test('names cannot steer the terminal', () => {
  const change = { path: 'a/\u001b[2J', kind: 'added' as const };
  expect(status([item('a', { state: 'modified', added: 1, changes: [change] })])).toContain('added  a/\\x1b[2J');
});

test('add and commit tell what was recorded and what comes next', () => {
  const hash = '0'.repeat(64) as Digest;
  const counts = { hash, added: 0, changed: 0, removed: 0 };
  const lines = recordedLines(
    {
      items: [
        {
          path: parseRepoPath('data'),
          type: 'dir',
          outcome: 'updated',
          files: 1012,
          size: 1_400_000,
          ...counts,
          added: 12,
          removed: 1,
        },
        { path: parseRepoPath('labels.csv'), type: 'file', outcome: 'new', files: 1, size: 512, ...counts },
        { path: parseRepoPath('raw'), type: 'dir', outcome: 'unchanged', files: 1, size: 1, ...counts },
      ],
      staged: ['data.mlv', 'labels.csv.mlv', '.gitignore'],
    },
    plain,
  );
  expect(lines.join('\n')).toBe(`updated  data        1,012 files, 1.4 MB; 12 added, 1 removed
new      labels.csv  512 B
1 path unchanged

Staged in Git: 3 files. Next: git commit`);
});

test('checkout tells what it wrote, removed and kept', () => {
  const items = [
    { path: parseRepoPath('data'), written: 1000, removed: 3, kept: 2, bytes: 1_400_000 },
    { path: parseRepoPath('labels.csv'), written: 1, removed: 0, kept: 0, bytes: 512 },
    { path: parseRepoPath('raw'), written: 0, removed: 0, kept: 0, bytes: 0 },
  ];
  expect(
    checkoutLines(
      { items, overwritten: ['data/a'], purged: ['raw/x was purged on 2026-11-21: .mlv/purged'] },
      plain,
    ).join('\n'),
  ).toBe(`data        1,000 files written, 1.4 MB; 3 files removed; 2 edits kept
labels.csv  1 file written, 512 B
1 edit overwritten
    data/a
raw/x was purged on 2026-11-21: .mlv/purged`);
  expect(checkoutLines({ items: items.slice(2), overwritten: [], purged: [] }, plain)).toEqual([
    'Nothing to check out',
  ]);
});

test('push and fetch tell what moved, and what could not', () => {
  const sent = {
    name: 'store',
    url: '../store',
    blobs: 12_340,
    bytes: 1.2e9,
    packs: 38,
    objects: 1,
    indexes: 1,
    upToDate: false,
  };
  const idle = {
    name: 'archive',
    url: '/mnt/archive',
    blobs: 0,
    bytes: 0,
    packs: 0,
    objects: 0,
    indexes: 0,
    upToDate: true,
  };
  const failed = [{ path: 'new.bin', reason: 'cannot write it: 500 (tried 10 times in 60 s)' }];
  expect(pushLines({ remotes: [sent, idle], missing: ['old.bin'], needsRepair: false, failed }, plain).join('\n'))
    .toBe(`store    ../store      sent 12,340 blobs, 1.2 GB in 38 packs and 1 large object
archive  /mnt/archive  up to date

missing: Not sent, because neither the cache nor the remote has it
  old.bin
hint: Push it from the clone that added it; everything else was sent.

failed: Everything else was transferred
  new.bin: cannot write it: 500 (tried 10 times in 60 s)
hint: Run the same command again: what was transferred is not transferred again.`);
  const missing = Array.from({ length: 100 }, (_, index) => `data/${index}`);
  const lines = fetchLines(
    {
      remotes: [{ ...idle, blobs: 3, bytes: 2000, upToDate: false }],
      missing,
      needsRepair: false,
      purged: [],
      failed: [],
    },
    plain,
  );
  expect([lines[0], lines.length, ...lines.slice(-2)]).toEqual([
    'archive  /mnt/archive  got 3 blobs, 2.0 kB',
    24,
    '  … and 81 more',
    'hint: Push it from where it is ("mlv push" in the clone that added it), then fetch again.',
  ]);
});

async function printed(options: { isJson?: boolean; isVerbose?: boolean }, error: unknown) {
  const written = { stdout: '', stderr: '' };
  const output = createOutput({
    isJson: false,
    isQuiet: false,
    isVerbose: false,
    environment: {},
    stdout: { write: (text) => (written.stdout += text), send: () => Promise.resolve(true) },
    stderr: { write: (text) => (written.stderr += text) },
    ...options,
  });
  const code = await output.failure(error);
  return { code, ...written };
}

const items = Array.from({ length: 1000 }, (_, index) => `data/${index}`);
const conflict = new MlvError({
  code: 'both-changed',
  kind: 'conflict',
  message: 'both sides changed',
  items,
  hint: 'Choose one',
});

test('the list of an error is short for people and whole for programs', async () => {
  const { code, stdout, stderr } = await printed({}, conflict);
  const lines = stderr.split('\n');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect([lines[0], lines[1], lines.length]).toEqual(['error: both sides changed', '  data/0', 23]);
  expect(lines.slice(20)).toEqual(['  … and 981 more', 'hint: Choose one', '']);
  expect((await printed({ isVerbose: true }, conflict)).stderr.split('\n')).toHaveLength(1003);
  const json = await printed({ isJson: true }, conflict);
  expect(json.stderr).toBe('');
  expect(JSON.parse(json.stdout)).toEqual({
    error: { code: 'both-changed', message: 'both sides changed', hint: 'Choose one', items },
  });
});

test.each([
  ['usage', 2],
  ['refused', 1],
  ['interrupted', 130],
] as const)('an error of kind %s exits with %i', async (kind, code) => {
  expect((await printed({}, new MlvError({ code: 'x', kind, message: 'x' }))).code).toBe(code);
});

test('what the system says is told with the path and what to do', async () => {
  const error = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    path: '/disk/file',
  });
  expect(await printed({}, error)).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: /disk/file: no space left on the disk\nhint: Make room, then run the command again: it continues\n',
  });
});

test('a bug shows its stack and asks for a report', async () => {
  const { code, stderr } = await printed({}, new TypeError('x is not a function'));
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: this is a bug in mlv \d.*\nTypeError: x is not a function\n {4}at /);
  expect(stderr).toMatch(/\nhint: please report it, with these lines and what mlv doctor prints\n$/);
  expect(JSON.parse((await printed({ isJson: true }, new TypeError('x'))).stdout)).toMatchObject({
    error: { code: 'bug', message: 'x' },
  });
});
