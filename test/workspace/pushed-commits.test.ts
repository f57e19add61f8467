import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CommitId } from '../../src/git/git.ts';
import { forgetPushedCommits, notePushedCommit, readPushedCommits } from '../../src/workspace/pushed-commits.ts';

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'mlv-pushed-'));
  folder = join(parent, 'remote');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const commit = (number: number, length = 40): CommitId => number.toString(16).padStart(length, '0') as CommitId;

test('commits that were pushed are known, the last one first, and only the last 20 of them', () => {
  expect(readPushedCommits(folder, 0)).toEqual([]);
  const all = Array.from({ length: 25 }, (_, number) => commit(number));
  for (const each of all) notePushedCommit(folder, 0, each);
  expect(readPushedCommits(folder, 0)).toEqual(all.slice(-20).toReversed());
});

test('a commit that is known is not noted again', () => {
  for (const number of [1, 2, 1]) notePushedCommit(folder, 0, commit(number));
  expect(readPushedCommits(folder, 0)).toEqual([commit(2), commit(1)]);
});

test('names of both lengths are read, and nothing else', () => {
  notePushedCommit(folder, 3, commit(1, 64));
  const path = join(folder, 'pushed-commits');
  writeFileSync(path, `${readFileSync(path, 'latin1')}${'a'.repeat(39)}\n${'A'.repeat(40)}\n--all\n${commit(2)}\n`);
  expect(readPushedCommits(folder, 3)).toEqual([commit(1, 64), commit(2)]);
});

test('nothing is known any more when a key of the remote has died since', () => {
  notePushedCommit(folder, 1, commit(1));
  expect(readPushedCommits(folder, 2)).toEqual([]);
  notePushedCommit(folder, 2, commit(2));
  expect(readPushedCommits(folder, 2)).toEqual([commit(2)]);
  expect(readPushedCommits(folder, 1)).toEqual([]);
});

test('nothing is known any more when it is forgotten, which may be done twice', () => {
  notePushedCommit(folder, 0, commit(1));
  for (let times = 0; times < 2; times++) {
    forgetPushedCommits(folder);
    expect(readPushedCommits(folder, 0)).toEqual([]);
  }
});
