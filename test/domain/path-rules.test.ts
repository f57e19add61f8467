import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPath, checkSegment, checkSymlinkTarget, collisionKey } from '../../src/domain/path-rules.ts';

const ZWNJ = '\u200c';

/** What Git itself refuses, or must not: t0060 (is_hfs_dotgit, is_ntfs_dotgit), t1014, t1450, CVE-2014-9390, CVE-2019-1352, CVE-2019-1353. */
const TAKEN_FOR_GIT = [
  '.git',
  '.GIT',
  '.Git',
  '.gIt',
  '.git.',
  '.git ',
  '.git...',
  '.git . . ',
  '.GIT. .',
  'git~1',
  'GIT~1',
  'Git~1',
  'git~1.',
  'git~1 ',
  'GIT~1. ',
  '.git:',
  '.git::$INDEX_ALLOCATION',
  '.git::$INDEX_ALLOCATION:stream',
  '.GIT:$I30:$INDEX_ALLOCATION',
  'git~1::$INDEX_ALLOCATION',
  '.git ::$INDEX_ALLOCATION',
  '.git...:alternate-stream',
  `.g${ZWNJ}it`,
  `.gi${ZWNJ}t`,
  `.git${ZWNJ}`,
  `${ZWNJ}.git`,
  `.Gi${ZWNJ}T`,
  '.g\u200dit',
  '.g\u200eit',
  '.g\u200fit',
  '.g\u202ait',
  '.g\u202eit',
  '.g\u206ait',
  '.g\u206fit',
  '.g\ufeffit',
  `.git${ZWNJ} .`,
];

const ORDINARY = [
  'a',
  'A-b_c.d',
  '000123.png',
  'with space',
  ' leading',
  'trailing ',
  'trailing.',
  '...',
  '.gitignore',
  '.gitattributes',
  '.gitmodules',
  '.gi',
  '.gitx',
  '.git~1',
  'git',
  'git~2',
  'git~10',
  'GIT',
  'mlv',
  '.mlvignore',
  '.mlv~1',
  'x.git',
  '.git-',
  'git.',
  'git~1x',
  'ab:c',
  '12:30',
  '~',
  '~root',
  'data.mlv',
  'C',
  'con',
  'tab\there',
  'line\nbreak',
  '\u007f',
  '%41',
  'größe',
  'e\u0301',
  '日本語',
  '😀',
  `a${ZWNJ}b`,
  '#x',
  '!x',
  '*',
  '?',
  '[a]',
  '"q"',
  "'",
  '$(x)',
  '-rf',
  '.\u0065gi',
];

describe('checkSegment', () => {
  test.each(TAKEN_FOR_GIT)('refuses %j, which some file system takes for .git', (name) => {
    expect(checkSegment(name)).toBe(`${JSON.stringify(name)} could be taken for a folder of Git or mlv`);
  });

  test.each(['.mlv', '.MLV', '.Mlv . ', 'mlv~1', 'MLV~1.', '.mlv::$INDEX_ALLOCATION', `.m${ZWNJ}lv`, '.mlv\ufeff'])(
    'refuses %j in the same way',
    (name) => {
      expect(checkSegment(name)).toBe(`${JSON.stringify(name)} could be taken for a folder of Git or mlv`);
    },
  );

  test.each(ORDINARY)('allows %j', (name) => {
    expect(checkSegment(name)).toBeUndefined();
    expect(checkPath(`folder/${name}`)).toBeUndefined();
    expect(checkPath(`${name}/file`)).toBeUndefined();
  });

  test.each([
    ['', 'a name in it is empty'],
    ['.', '"." is not a name'],
    ['..', '".." is not a name'],
    ['a/b', 'a name may not contain a slash'],
    ['a\\b', 'a name may not contain a backslash'],
    ['..\\.git', 'a name may not contain a backslash'],
    ['a\0', 'a name may not contain NUL'],
    ['\ud83d', 'a name is not valid Unicode'],
    ['a\ude00b', 'a name is not valid Unicode'],
    ['c:', '"c:" starts like a drive'],
    ['C:x', '"C:x" starts like a drive'],
    ['a'.repeat(256), 'a name is longer than 255 bytes'],
    ['é'.repeat(128), 'a name is longer than 255 bytes'],
  ])('refuses %j', (name, reason) => {
    expect(checkSegment(name)).toBe(reason);
  });

  test('counts bytes of UTF-8, up to 255', () => {
    expect(checkSegment('a'.repeat(255))).toBeUndefined();
    expect(checkSegment(`${'é'.repeat(127)}a`)).toBeUndefined();
    expect(checkSegment('日'.repeat(85))).toBeUndefined();
    expect(checkSegment('日'.repeat(86))).toBe('a name is longer than 255 bytes');
  });
});

describe('checkPath', () => {
  test.each([
    ['', 'it is empty'],
    ['/', 'it is absolute'],
    ['/etc/passwd', 'it is absolute'],
    ['a//b', 'a name in it is empty'],
    ['a/', 'a name in it is empty'],
    ['./a', '"." is not a name'],
    ['a/../b', '".." is not a name'],
    ['a/.git/config', '".git" could be taken for a folder of Git or mlv'],
    ['c:/windows', '"c:" starts like a drive'],
    ['\\\\host\\share', 'a name may not contain a backslash'],
    [`a/${'b'.repeat(256)}/c`, 'a name is longer than 255 bytes'],
    ['a/'.repeat(2048) + 'b', 'it is longer than 4096 bytes'],
    ['é/'.repeat(1366), 'it is longer than 4096 bytes'],
  ])('refuses %j', (path, reason) => {
    expect(checkPath(path)).toBe(reason);
  });

  test('allows 4096 bytes', () => {
    expect(checkPath(`${'a/'.repeat(2047)}bb`)).toBeUndefined();
  });

  test('says of a path what it says of its names', () => {
    const name = fc.oneof(
      fc.constantFrom(...TAKEN_FOR_GIT, ...ORDINARY, '.', '..', '', 'c:', 'a\\'),
      fc.string({ unit: fc.constantFrom(...Array.from('.gGiItT~1: \\mlv\0é\ud800')) }),
      fc.string({ unit: 'binary', minLength: 1 }),
    );
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (names) => {
        const path = names.join('/');
        const expected =
          path === ''
            ? 'it is empty'
            : path.startsWith('/')
              ? 'it is absolute'
              : path
                  .split('/')
                  .map(checkSegment)
                  .find((reason) => reason !== undefined);
        expect(checkPath(path)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('checkSymlinkTarget', () => {
  test.each([
    ['sibling', 0],
    ['folder/file', 0],
    ['../file', 1],
    ['../../a/b', 2],
    ['../a', 5],
    ['größe', 0],
  ])('allows %j at depth %d', (target, depth) => {
    expect(checkSymlinkTarget(target, depth)).toBeUndefined();
  });

  test.each([
    ['../file', 0, 'which leads out of the dataset'],
    ['../../../x', 2, 'which leads out of the dataset'],
    ['', 0, 'which is not "../" and then plain names: it is empty'],
    ['../', 1, 'which is not "../" and then plain names: it is empty'],
    ['..', 1, 'which is not "../" and then plain names: ".." is not a name'],
    ['.', 1, 'which is not "../" and then plain names: "." is not a name'],
    ['./a', 1, 'which is not "../" and then plain names: "." is not a name'],
    ['a/../b', 3, 'which is not "../" and then plain names: ".." is not a name'],
    ['../a/../../b', 3, 'which is not "../" and then plain names: ".." is not a name'],
    ['/etc/passwd', 3, 'which is not "../" and then plain names: it is absolute'],
    ['..//etc', 3, 'which is not "../" and then plain names: it is absolute'],
    ['a/', 3, 'which is not "../" and then plain names: a name in it is empty'],
    ['../.git/config', 1, 'which is not "../" and then plain names: ".git" could be taken for a folder of Git or mlv'],
    ['c:/x', 0, 'which is not "../" and then plain names: "c:" starts like a drive'],
    ['a\\b', 0, 'which is not "../" and then plain names: a name may not contain a backslash'],
    [`${'../'.repeat(3)}${'a/'.repeat(2045)}bb`, 3, 'which is longer than 4096 bytes'],
  ])('refuses %j at depth %d', (target, depth, reason) => {
    expect(checkSymlinkTarget(target, depth)).toBe(reason);
  });
});

describe('collisionKey', () => {
  test.each([
    ['README', 'readme'],
    ['Größe', 'GRÖSSE'],
    ['e\u0301', 'É'],
    ['\u212b', 'å'],
    ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
    ['ẞ', 'ss'],
    ['ﬁle', 'FILE'],
    ['\u1f80', '\u1f88'],
  ])('is one for %j and %j', (first, second) => {
    expect(collisionKey(first)).toBe(collisionKey(second));
  });

  test.each([
    ['a', 'b'],
    ['a', 'ä'],
    ['a/b', 'a-b'],
    ['a ', 'a'],
  ])('differs for %j and %j', (first, second) => {
    expect(collisionKey(first)).not.toBe(collisionKey(second));
  });

  test('is one for a character, its cases and its normal forms', () => {
    const apart: string[] = [];
    for (let code = 0; code < 0x20000; code++) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const character = String.fromCodePoint(code);
      const key = collisionKey(character);
      for (const same of [
        character.toLowerCase(),
        character.toUpperCase(),
        character.normalize('NFC'),
        character.normalize('NFD'),
      ]) {
        if (same !== character && collisionKey(same) !== key) apart.push(`${code.toString(16)} ${same}`);
      }
    }
    expect(apart).toEqual([]);
  });
});
