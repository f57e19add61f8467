import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { CommitId } from '../../src/git/git.ts';
import { forgetPushedCommits, notePushedCommit, readPushedCommits } from '../../src/workspace/pushed-commits.ts';

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'mlv-pushed-'));
  folder = join(parent, 'remote');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

/** The remote with so many tombstones, on a day. */
const at = (tombstones: number, day = 20_000) => ({ tombstones: `${tombstones}`.repeat(64) as Digest, day });
const commit = (number: number, length = 40): CommitId => number.toString(16).padStart(length, '0') as CommitId;

test('commits that were pushed are known, the last one first, and only the last 20 of them', () => {
  expect(readPushedCommits(folder, at(0))).toEqual([]);
  const all = Array.from({ length: 25 }, (_, number) => commit(number));
  for (const each of all) notePushedCommit(folder, at(0), each);
  expect(readPushedCommits(folder, at(0))).toEqual(all.slice(-20).toReversed());
});

test('a commit that is known is not noted again', () => {
  for (const number of [1, 2, 1]) notePushedCommit(folder, at(0), commit(number));
  expect(readPushedCommits(folder, at(0))).toEqual([commit(2), commit(1)]);
});

test('names of both lengths are read, and nothing else', () => {
  notePushedCommit(folder, at(3), commit(1, 64));
  const path = join(folder, 'pushed-commits');
  writeFileSync(
    path,
    `${readFileSync(path, 'latin1')}${'a'.repeat(39)} 20000\n${'A'.repeat(40)} 20000\n--all\n${commit(2)} 20000\n`,
  );
  expect(readPushedCommits(folder, at(3))).toEqual([commit(1, 64), commit(2)]);
});

test('nothing is known any more when a key of the remote has died since', () => {
  notePushedCommit(folder, at(1), commit(1));
  expect(readPushedCommits(folder, at(2))).toEqual([]);
  notePushedCommit(folder, at(2), commit(2));
  expect(readPushedCommits(folder, at(2))).toEqual([commit(2)]);
  expect(readPushedCommits(folder, at(1))).toEqual([]);
});

test('nothing is known any more when it is forgotten, which may be done twice', () => {
  notePushedCommit(folder, at(0), commit(1));
  for (let times = 0; times < 2; times++) {
    forgetPushedCommits(folder);
    expect(readPushedCommits(folder, at(0))).toEqual([]);
  }
});

test('what was pushed over a month ago is not relied on: others may have collected it', () => {
  notePushedCommit(folder, at(0, 20_000), commit(1));
  notePushedCommit(folder, at(0, 20_020), commit(2));
  expect(readPushedCommits(folder, at(0, 20_030))).toEqual([commit(2), commit(1)]);
  expect(readPushedCommits(folder, at(0, 20_031))).toEqual([commit(2)]);
  expect(readPushedCommits(folder, at(0, 19_999))).toEqual([]);
});
