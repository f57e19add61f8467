import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addIgnoreLine, ignoreLineFor, removeIgnoreLine } from '../../src/domain/gitignore-line.ts';

const NASTY = [
  'data',
  'data.csv',
  '#hash',
  '!bang',
  '\\#x',
  ' leading',
  'trailing ',
  'trailing   ',
  ' ',
  '   ',
  'a b',
  'star*',
  '*',
  '**',
  '?',
  'what?',
  '[abc]',
  '[',
  ']',
  '[!a]',
  'a[b',
  '\\',
  'back\\slash',
  'end\\',
  'end\\ ',
  '\\ ',
  '\\\\',
  '{a,b}',
  '$HOME',
  '~',
  '-rf',
  "quo'te",
  '"',
  'größe',
  'e\u0301',
  '日本語',
  '😀',
  'tab\t',
  '\ttab',
  'cr\r',
  'c\rr',
  'new\nline',
  '\n',
  '.hidden',
  '...',
  'a\u00a0',
  'a\u2028',
  '[[:cntrl:]]',
  'x\u007f',
  '\ufeff',
];

const ENVIRONMENT = { PATH: process.env['PATH'], GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-ignore-'));
  execFileSync('git', ['init', '-q', folder], { env: { ...ENVIRONMENT, HOME: folder } });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Those of the paths that Git ignores when `.gitignore` holds this text. */
function ignored(gitignore: string, paths: readonly string[]): string[] {
  writeFileSync(join(folder, '.gitignore'), gitignore);
  const { stdout, status, stderr } = spawnSync('git', ['check-ignore', '-z', '--stdin', '--no-index'], {
    cwd: folder,
    env: { ...ENVIRONMENT, HOME: folder },
    input: paths.map((path) => `${path}\0`).join(''),
    encoding: 'utf8',
  });
  if (status !== 0 && status !== 1) throw new Error(stderr);
  return stdout.split('\0').slice(0, -1);
}

describe('ignoreLineFor', () => {
  test.each([
    ['data', '/data'],
    ['#a', '/#a'],
    ['a*?[b]\\', '/a\\*\\?\\[b]\\\\'],
    ['a  ', '/a\\ \\ '],
    ['a\nb', '/a[[:cntrl:]]b'],
  ])('for %j is %j', (name, line) => {
    expect(ignoreLineFor(name)).toBe(line);
  });

  test.each(NASTY)('makes Git ignore %j, and nothing else', (name) => {
    const others = [
      ...NASTY.filter((other) => other !== name),
      `sub/${name}`,
      `${name}x`,
      `x${name}`,
      name.trim(),
      `${name} `,
    ].filter((other) => other !== name && other.trim() !== '');
    for (const end of ['\n', '\r\n']) {
      expect(ignored(ignoreLineFor(name) + end, [name, `${name}/below`, ...others])).toEqual([name, `${name}/below`]);
    }
  });

  test('makes Git ignore any name, and not one that differs', () => {
    const name = fc.stringMatching(/^[a# !*?\\[\]^\t\r{}-]{1,5}$/).filter((text) => !/^\.*$/.test(text));
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2, maxLength: 30 }), ([chosen = '', ...others]) => {
        // A carriage return can only be ignored together with its like.
        const apart = others.filter((other) => other.replaceAll('\r', '\t') !== chosen.replaceAll('\r', '\t'));
        expect(ignored(`${ignoreLineFor(chosen)}\n`, [...apart, chosen])).toEqual([chosen]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('addIgnoreLine', () => {
  test.each([
    ['', '/data\n'],
    ['*.o\n', '*.o\n/data\n'],
    ['*.o', '*.o\n/data'],
    ['*.o\r\n', '*.o\r\n/data\r\n'],
    ['a\r\nb', 'a\r\nb\r\n/data'],
    ['\ufeff# é\n\n', '\ufeff# é\n\n/data\n'],
    ['/data\n', '/data\n'],
    ['x\r\n/data\r\ny', 'x\r\n/data\r\ny'],
    ['/data', '/data'],
    ['/data2\n data\n', '/data2\n data\n/data\n'],
  ])('turns %j into %j', (before, after) => {
    expect(addIgnoreLine(before, 'data')).toBe(after);
  });
});

describe('removeIgnoreLine', () => {
  test.each([
    ['', ''],
    ['/data\n', ''],
    ['/data', ''],
    ['a\n/data\nb\n', 'a\nb\n'],
    ['a\r\n/data\r\nb', 'a\r\nb'],
    ['a\n/data', 'a'],
    ['/data\na\n/data\n', 'a\n'],
    ['a\n\n/data\n\n', 'a\n\n\n'],
    ['data\n/data/\n#/data\n', 'data\n/data/\n#/data\n'],
  ])('turns %j into %j', (before, after) => {
    expect(removeIgnoreLine(before, 'data')).toBe(after);
  });

  test('gives back what was there before the line was added', () => {
    const line = fc.oneof(
      fc.constantFrom(...NASTY.filter((name) => !name.includes('\n')).map(ignoreLineFor)),
      fc.string(),
    );
    const text = fc
      .tuple(fc.array(line), fc.constantFrom('\n', '\r\n'), fc.boolean())
      .map(([lines, end, last]) => lines.join(end) + (last && lines.length > 0 ? end : ''));
    fc.assert(
      fc.property(text, fc.constantFrom(...NASTY), (before, name) => {
        const after = addIgnoreLine(before, name);
        fc.pre(after !== before);
        expect(removeIgnoreLine(after, name)).toBe(before);
        expect(addIgnoreLine(after, name)).toBe(after);
      }),
      { numRuns: 1000 },
    );
  });
});
