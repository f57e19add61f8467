import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTrue, parseGitConfig } from '../../../src/git/config-file.ts';
import { rulesInside } from '../../../src/git/ignore-rules.ts';
import { readIndexFile } from '../../../src/git/index-file.ts';
import { parseTree } from '../../../src/git/trees.ts';
import { discoverLayout, keepsFileModes } from '../../../src/git/layout.ts';
import { parseRevision } from '../../../src/git/revision.ts';
import { NO_RULES } from '../../../src/platform/walk.ts';
import type { Surroundings, Target } from '../target.ts';
import { check } from '../target.ts';

const BLOB = Buffer.alloc(20, 7);

export function gitTargets({ scratch }: Surroundings): Target[] {
  const paths = ['data', 'data/a', 'data/a.bin', 'b', `${'a'.repeat(40)}b`, 'x/'.repeat(20)];
  const ignoreWords = [
    '!',
    '#',
    '*',
    '**',
    '**/',
    '/**/',
    '?',
    '[a-z]',
    '[!a]',
    '[[:alpha:]]',
    '\\',
    '\\ ',
    ' \n',
    '\n/',
    'a*',
  ];
  return [
    {
      name: 'index of Git',
      seeds: [gitIndex(2), gitIndex(3), gitIndex(4), gitIndex(2, 'TREE'), gitIndex(2, 'link')],
      words: ['DIRC', 'TREE', 'link', 'sdir', '.mlv', '\0'],
      run(input) {
        const path = join(scratch, 'git-index');
        writeFileSync(path, input);
        const { entries } = readIndexFile(path);
        check(entries.length * 62 <= input.length, 'no more entries than there is room for');
        check(
          entries.every(({ blob, stage }) => /^[0-9a-f]{40}$/.test(blob) && stage < 4),
          'entries name objects',
        );
      },
    },
    {
      name: 'tree of Git',
      seeds: [Buffer.concat([Buffer.from('100644 a.mlv\0'), BLOB, Buffer.from('40000 data\0'), BLOB]), ''],
      words: ['100644 ', '40000 ', '\0', ' '],
      run(input) {
        const entries = parseTree(input, 20);
        check(
          entries.every(({ id }) => /^[0-9a-f]{40}$/.test(id)),
          'entries name objects',
        );
      },
    },
    {
      name: 'configuration of Git',
      seeds: [
        '[core]\n\trepositoryformatversion = 0\n\tbare = false ; no\n\tworktree = "../a b"\\\n c\n[extensions "x\\"y"]\n\tobjectFormat\n',
        '[remote "origin"]\r\n\turl = a\\\\b\\n"#c" # d\r\n[core] filemode = TRUE\n',
      ],
      words: ['[core]', '[a "b"]', ' = ', '"', '\\', '\\\n', '#', ';', 'bare', '\t'],
      run(input) {
        for (const value of parseGitConfig(input.toString('utf8')).values()) isTrue(value);
      },
    },
    {
      name: 'layout of Git',
      // What .git says, what commondir says, the configuration.
      seeds: ['gitdir: real\n\f.\n\f[core]\nbare = true\n', 'gitdir: real\n\f../real\n\f[core]\nworktree = ..\n'],
      words: ['gitdir: ', 'real', '../', './', '\n', '\r', '\f'],
      run: (input) => runLayout(input, join(scratch, 'layout')),
    },
    {
      name: 'revision',
      seeds: ['HEAD~2^', 'main^{commit}~3', '@', 'v1.0^2~1^{}', ':/text'],
      words: ['~', '^', '^{}', '^{commit}', '@{', '..', ':'],
      run(input) {
        const found = parseRevision(input.toString('utf8'));
        check(found === undefined || !/^-|[~^:?*[\\ \x00-\x1f\x7f]/.test(found.base), 'a base is a name');
      },
    },
    {
      name: '.gitignore',
      seeds: [
        '*.bin\n!keep.bin\n/data/\n',
        'a/**/b\n[a-c]?\n\\#x\n#y\n  \n',
        '**/x\ndata/*\n!data/a\n',
        '\ufeffx\r\ny \n',
      ],
      words: ignoreWords,
      run(input) {
        const text = input.toString('utf8').slice(0, MAX_IGNORE);
        const rules = rulesInside({ workTree: scratch })('').with('', text, 'a').with('data', text, 'b');
        for (const path of paths) rules.ignores(path.replace(/\/$/, ''), path.endsWith('/'));
      },
    },
    {
      name: '.mlvignore',
      seeds: ['*.bin\n!keep.bin\n/data/\n', 'a/**/b\n[a-c]?\n\\#x\n#y\n  \n'],
      words: ignoreWords,
      run(input) {
        const text = input.toString('utf8').slice(0, MAX_IGNORE);
        const rules = NO_RULES.with('', text, 'a').with('data', text, 'b');
        for (const path of paths.filter((each) => each.startsWith('data/'))) rules.ignores(path, false);
      },
    },
  ];
}

/** Time goes with the number of patterns. */
const MAX_IGNORE = 16 << 10;

/** An index of three entries, as Git writes it. */
function gitIndex(version: 2 | 3 | 4, extension?: string): Buffer {
  const head = Buffer.from('DIRC\0\0\0\0\0\0\0\x03', 'latin1');
  head.writeUInt32BE(version, 4);
  let before = '';
  const entries = ['.gitignore', 'data/a.mlv', 'data/b.mlv'].map((path) => {
    const entry = Buffer.alloc(version === 3 ? 64 : 62);
    entry.writeUInt32BE(0o100644, 24);
    BLOB.copy(entry, 40);
    entry.writeUInt16BE(path.length | (version === 3 ? 0x4000 : 0), 60);
    const shared = version === 4 && path.startsWith('data/b') ? 5 : 0;
    const dropped = version === 4 ? [before.length - shared] : [];
    before = path;
    const named = Buffer.concat([entry, Buffer.from(dropped), Buffer.from(path.slice(shared)), Buffer.alloc(1)]);
    return version === 4 ? named : Buffer.concat([named, Buffer.alloc((8 - (named.length % 8)) % 8)]);
  });
  const tail = extension === undefined ? [] : [Buffer.from(`${extension}\0\0\0\x04abcd`, 'latin1')];
  return Buffer.concat([head, ...entries, ...tail, Buffer.alloc(20)]);
}

function runLayout(input: Buffer, folder: string): void {
  const [dotGit = '', commonDir = '', ...config] = input.toString('utf8').split('\f');
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['real/objects', 'real/refs']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, '.git'), dotGit);
  writeFileSync(join(folder, 'real/HEAD'), 'ref: refs/heads/main\n');
  writeFileSync(join(folder, 'real/commondir'), commonDir);
  writeFileSync(join(folder, 'real/config'), config.join('\f'));
  const layout = discoverLayout(folder);
  if (layout !== undefined) keepsFileModes(layout);
}
