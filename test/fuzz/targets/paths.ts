import { posix } from 'node:path';
import { addIgnoreLine, removeIgnoreLine } from '../../../src/domain/gitignore-line.ts';
import { checkPath, checkSegment, checkSymlinkTarget, collisionKey } from '../../../src/domain/path-rules.ts';
import { parseDataPath, parseIndexName, keyPath } from '../../../src/domain/remote-layout.ts';
import { joinRepoPath, parseRepoPath, relativeRepoPath } from '../../../src/domain/repo-path.ts';
import { readTreePath, treePathFromBytes, treePathFromText } from '../../../src/domain/tree-path.ts';
import { rulesInside } from '../../../src/git/ignore-rules.ts';
import type { Surroundings, Target } from '../target.ts';
import { accepted, check, checkSafePath } from '../target.ts';

const HASH = 'ab'.repeat(32);

export function pathTargets(surroundings: Surroundings): Target[] {
  return [
    {
      name: 'path in a tree',
      seeds: ['a', 'a/b.txt', '50%25%0A', Buffer.from('日本/é.txt'), '.gitx/.g it', 'x'.repeat(250)],
      words: ['.git', '.mlv/', '%7F', '%0a', '\u200d', '\xff', '\xed\xa0\x80'],
      run: runTreePath,
    },
    {
      name: 'path in a project',
      seeds: ['data/images', 'a b/c', 'Ω/日本', '.git', 'a/../b', 'nul', 'a:b'],
      run: runRepoPath,
    },
    {
      name: 'target of a symlink',
      seeds: ['2\n../../a', '1\n../b/c', '0\na', '3\n../../../x', '1\na/../../b', '0\n/etc/passwd'],
      words: ['../', '..', '/../', './', '\n'],
      run: runSymlink,
    },
    {
      name: 'line of .gitignore',
      seeds: ['data\n/models\n*.bin\n', '#a\n# comment\r\n/x\r\n', 'a b \n!a b\\ \n', '[x]*?\\\n/y', 'a\n'],
      words: ['!', '#', '*', '?', '[', ']', '\\', ' ', '\r', '\n/'],
      run: (input) => runIgnoreLine(input, surroundings.scratch),
    },
    {
      name: 'key of a remote',
      seeds: [
        `packs/ab/${HASH}`,
        `objects/ab/${HASH}.0011223344556677`,
        `index/${HASH}`,
        `index/${HASH}.gc`,
        'mlv.json',
      ],
      words: ['packs/', 'objects/', 'lists/', 'index/', '.gc', HASH, '../'],
      run: runKey,
    },
  ];
}

function runTreePath(input: Buffer): void {
  const path = input.toString('latin1');
  const text = readTreePath(path);
  check(treePathFromText(text) === path, 'a path is written in one way');
  check(readTreePath(treePathFromBytes(Buffer.from(text, 'utf8').toString('latin1'))) === text, 'bytes make that path');
  collisionKey(text);
  if (checkPath(text) === undefined) checkSafePath(text);
}

function runRepoPath(input: Buffer): void {
  const text = input.toString('utf8');
  const path = parseRepoPath(text);
  if (text !== '') checkSafePath(path);
  check(checkPath(text) === undefined || text === '', 'a path is allowed');
  const below = joinRepoPath(path, 'x/y');
  check(relativeRepoPath(below, path) === 'x/y', 'what is below a path is seen from there');
}

function runSymlink(input: Buffer): void {
  const depth = (input[0] ?? 0) % 5;
  const target = input.toString('utf8', input.indexOf(0x0a) + 1);
  if (checkSymlinkTarget(target, depth) !== undefined) return;
  const top = '/top';
  const folder = top + '/folder'.repeat(depth);
  check(posix.resolve(folder, target).startsWith(`${top}/`), 'a link stays in its dataset');
  checkSafePath(target.replace(/^(?:\.\.\/)*/, ''));
}

function runIgnoreLine(input: Buffer, scratch: string): void {
  const text = input.toString('utf8');
  const name = text.slice(-40).split('/').at(-1) ?? '';
  if (checkSegment(name) !== undefined || name.includes('\ufffd')) return;
  const added = addIgnoreLine(text, name);
  check(addIgnoreLine(added, name) === added, 'a line is added once');
  check(added.startsWith(text), 'what was there stays');
  const removed = removeIgnoreLine(added, name);
  // Of two carriage returns, the first belongs to the name.
  if (!added.includes('\r\r')) check(removeIgnoreLine(removed, name) === removed, 'a line is removed at once');
  if (added !== text) check(removed.startsWith(text.replace(/\r?\n?$/, '')), 'all but the line stays');
  const rules = rulesInside({ workTree: scratch })('').with('', added.slice(-2000), '');
  // A line that was there may be undone by a later one.
  if (added !== text) check(rules.ignores(name, true), 'a line ignores what it was made for');
}

function runKey(input: Buffer): void {
  const path = input.toString('latin1');
  parseIndexName(path);
  const key = parseDataPath(path);
  if (key === undefined) return;
  const written = accepted('the layout', () => keyPath(key));
  check(
    /^(?:packs|objects)\/[0-9a-f]{2}\/[0-9a-f]{64}(?:\.[0-9a-f]{16})?$/.test(written),
    'a key is a path of the remote',
  );
  check(written === path, 'a key is under one path');
}
