import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFolder } from '../../support/folders.ts';
import { makeTemporaryFolder } from '../../support/git.ts';
import { seededRandom } from '../random.ts';
import { type Disk, openDisk } from './disk.ts';
import { type Change, readJournal } from './journal.ts';
import { survivors, wholeState } from './survivors.ts';
import { signatureOf, writeState } from './write-state.ts';

let folder: string;
let count = 0;

beforeAll(() => {
  folder = makeTemporaryFolder();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A disk with `old/kept` on it, and what was done to it since. */
function diskAfter(...changes: Change[]): Disk {
  const before = join(folder, `before-${(count += 1)}`);
  mkdirSync(join(before, 'old'), { recursive: true });
  writeFileSync(join(before, 'old/kept'), 'kept');
  const disk = openDisk(before);
  for (const change of changes) disk.apply(change);
  return disk;
}

/** What may be found, each state once, by what it is called. */
function states(disk: Disk, chances = 0): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const seen = new Set<string>();
  for (const state of survivors(disk, seededRandom(1), { folders: 9, chances })) {
    const signature = signatureOf(disk, state);
    if (seen.has(signature)) continue;
    seen.add(signature);
    const target = join(folder, `state-${(count += 1)}`);
    writeState(disk, state, target, []);
    found[state.label] = readFolder(target);
  }
  return found;
}

const create = (id: string, path: string): Change => ({
  o: 'open',
  id,
  path,
  isNew: true,
  truncates: false,
  mode: 0o644,
});
const write = (id: string, text: string, at = 0): Change => ({ o: 'write', id, at, bytes: Buffer.from(text) });
const flush = (id: string): Change => ({ o: 'flush', id, site: [] });
const openFolder = (id: string, path: string): Change => ({ o: 'open', id, path, isNew: false, truncates: false });
const rename = (path: string, to: string): Change => ({ o: 'rename', path, to, site: [] });
const kept = { 'old/kept': 'file kept' };

test('a file that was flushed has no name until its folder is flushed, too', () => {
  const disk = diskAfter(create('1', 'old/new'), write('1', 'text'), flush('1'));
  expect(states(disk)).toEqual({
    'nothing that was not flushed': kept,
    'all names, empty': { ...kept, 'old/new': 'file text' },
  });
  disk.apply(openFolder('2', 'old'));
  disk.apply(flush('2'));
  expect(states(disk)).toEqual({ 'nothing that was not flushed': { ...kept, 'old/new': 'file text' } });
});

test('a name that was flushed may be that of an empty file, or of zeros', () => {
  const disk = diskAfter(create('1', 'old/new'), write('1', 'text'), openFolder('2', 'old'), flush('2'));
  expect(states(disk)).toEqual({
    'nothing that was not flushed': { ...kept, 'old/new': 'file ' },
    'all names, zeros': { ...kept, 'old/new': 'file \0\0\0\0' },
  });
});

test('a file that replaces another by a rename before it is flushed may take its content away', () => {
  const disk = diskAfter(create('1', 'old/new'), write('1', 'text'), rename('old/new', 'old/kept'));
  expect(states(disk)).toEqual({
    'nothing that was not flushed': kept,
    'all names, empty': { 'old/kept': 'file ' },
    'all names, zeros': { 'old/kept': 'file \0\0\0\0' },
  });
});

test('what is in a new folder is lost with the name of that folder', () => {
  const disk = diskAfter(
    { o: 'mkdir', path: 'new', mode: 0o755 },
    create('1', 'new/file'),
    write('1', 'text'),
    flush('1'),
    openFolder('2', 'new'),
    flush('2'),
  );
  expect(states(disk)).toEqual({
    'nothing that was not flushed': kept,
    'all names, empty': { ...kept, 'new/file': 'file text' },
  });
});

test('between folders names come in any order, in one folder in theirs, and a rename is in both or in none', () => {
  const disk = diskAfter(
    { o: 'mkdir', path: 'new', mode: 0o755 },
    create('2', 'old/a'),
    rename('old/a', 'new/a'),
    create('3', 'new/b'),
    create('4', 'old/c'),
  );
  const all = Object.values(states(disk, 60)).map((state) => Object.keys(state as object).join(' '));
  const possible = ['old/kept', 'new old/kept', 'old/a old/kept', 'new old/a old/kept', 'new/a old/kept'];
  for (const names of all) {
    // `b` comes after the rename into its folder, and `c` after the one out of its own.
    if (/new\/b|old\/c/.test(names)) expect(names).not.toContain('old/a');
    else expect(possible).toContain(names);
  }
  expect(all).toContain('new/a new/b old/kept');
  expect(all).toContain('new/a old/c old/kept');
});

test('a flush under way makes nothing safe, and one that has ended nothing that came after its beginning', () => {
  const disk = diskAfter(create('1', 'old/kept2'), openFolder('2', 'old'), flush('2'), write('1', 'ab'));
  const begun: Change = { o: 'flush', id: '1', site: [], flush: 'x' };
  disk.apply(begun);
  disk.apply(write('1', 'cd', 2));
  expect(states(disk)['nothing that was not flushed']).toEqual({ ...kept, 'old/kept2': 'file ' });
  disk.apply({ o: 'flushed', flush: 'x' });
  expect(states(disk)['nothing that was not flushed']).toEqual({ ...kept, 'old/kept2': 'file ab' });
});

test('what Git has written is there at once', () => {
  const disk = diskAfter(
    { o: 'git', path: 'new', kind: 'folder', mode: 0o755, bytes: Buffer.alloc(0) },
    { o: 'git', path: 'new/object', kind: 'file', mode: 0o444, bytes: Buffer.from('object') },
  );
  expect(states(disk)).toEqual({ 'nothing that was not flushed': { ...kept, 'new/object': 'file object' } });
});

test('a write may be torn, and the whole is what every program sees', () => {
  const disk = diskAfter(create('1', 'old/new'), write('1', 'x'.repeat(2_000)));
  const sizes = Object.values(states(disk, 60)).map((state) => (state as Record<string, string>)['old/new']?.length);
  expect(sizes).toContain('file '.length + 512);
  const whole = join(folder, 'whole');
  writeState(disk, wholeState(disk), whole, []);
  expect(readFileSync(join(whole, 'old/new'), 'utf8')).toBe('x'.repeat(2_000));
});

test('a journal that was cut short is refused', () => {
  const head = Buffer.from('{"o":"write","id":"1","at":0}');
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(head.length, 0);
  lengths.writeUInt32LE(3, 4);
  const record = Buffer.concat([lengths, head, Buffer.from('abc')]);
  expect(readJournal(record)).toEqual([{ o: 'write', id: '1', at: 0, bytes: Buffer.from('abc') }]);
  expect(() => readJournal(record.subarray(0, -1))).toThrow('cut short');
});
