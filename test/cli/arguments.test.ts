import { expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { defineCommand } from '../../src/cli/command.ts';
import { readGlobals } from '../../src/cli/globals.ts';

const command = defineCommand({
  details: [],
  positionals: { first: { value: 'FIRST', about: '' }, rest: { value: 'REST', many: true, about: '' } },
  options: {
    allTags: { type: 'boolean', about: '' },
    noGit: { type: 'boolean', about: '' },
    desc: { type: 'string', short: 'd', about: '' },
    jobs: { type: 'number', short: 'j', about: '' },
    outs: { type: 'string', short: 'o', many: true, about: '' },
  },
  example: { command: '', about: '' },
  run: () => Promise.resolve({ data: undefined, text: () => [] }),
});

const parse = (...words: string[]): Record<string, unknown> => parseArguments('test', command, words);

test('gives options and words by name, and leaves out what was not given', () => {
  expect(parse()).toEqual({ rest: [] });
  expect(parse('a', '--all-tags', 'b', '-j4', '--desc=x y', 'c')).toEqual({
    first: 'a',
    rest: ['b', 'c'],
    allTags: true,
    jobs: 4,
    desc: 'x y',
  });
  expect(parse('--no-git', '-d', 'text')).toEqual({ noGit: true, desc: 'text', rest: [] });
});

test('an option that may be given again and again is a list; of any other the last one counts', () => {
  expect(parse('-o', 'a', 'x', '--outs', 'b', '-o=c', '--outs=007')).toEqual({
    outs: ['a', 'b', 'c', '007'],
    first: 'x',
    rest: [],
  });
  expect(parse('-o', 'a')).toEqual({ outs: ['a'], rest: [] });
  expect(parse('-d', 'a', '-d', 'b', '-j', '1', '-j', '2', '--all-tags', '--all-tags')).toEqual({
    desc: 'b',
    jobs: 2,
    allTags: true,
    rest: [],
  });
});

test('keeps words as they were typed', () => {
  expect(parse('007', '1e3', 'a.b.c=d', 'true')).toEqual({ first: '007', rest: ['1e3', 'a.b.c=d', 'true'] });
});

test('takes everything after -- for words', () => {
  expect(parse('-j', '2', '--', '--all-tags', '-d', '--')).toEqual({
    jobs: 2,
    first: '--all-tags',
    rest: ['-d', '--'],
  });
});

test.each([
  [['--allTags'], '--allTags is not an option of mlv test'],
  [['--alltags'], '--alltags is not an option of mlv test'],
  [['-z'], '-z is not an option of mlv test'],
  [['--git'], '--git is not an option of mlv test'],
  [['-j'], '-j needs a value'],
  [['-j', '0'], '--jobs needs a whole number from 1, not "0"'],
  [['-j', '1.5'], '--jobs needs a whole number from 1, not "1.5"'],
  [['--jobs='], '--jobs needs a whole number from 1, not ""'],
])('refuses %j', (words, message) => {
  expect(() => parse(...words)).toThrow(message);
});

test('global flags are taken out wherever they stand before --', () => {
  const { globals, words } = readGlobals([
    '-C',
    'a',
    'status',
    '--json',
    '-q',
    'x',
    '-C',
    'b',
    '--no-progress',
    '--',
    '-v',
  ]);
  expect(words).toEqual(['status', 'x', '--', '-v']);
  expect(globals).toEqual({
    directories: ['a', 'b'],
    isQuiet: true,
    isVerbose: false,
    isJson: true,
    hasProgress: false,
    waitForLock: undefined,
    wantsHelp: false,
    wantsVersion: false,
  });
});

test.each([
  [['--wait-for-lock', '30s', 'gc'], 30_000],
  [['gc', '--wait-for-lock=10m'], 600_000],
  [['gc', '--wait-for-lock=2h'], 7_200_000],
  [['gc', '--wait-for-lock', '0s'], 0],
])('%j waits %d ms', (argv, milliseconds) => {
  expect(readGlobals(argv)).toMatchObject({ globals: { waitForLock: milliseconds }, words: ['gc'] });
});

test.each([
  [['--wait-for-lock'], '--wait-for-lock needs a time'],
  [['--wait-for-lock', 'gc'], '--wait-for-lock "gc" is not a time'],
  [['--wait-for-lock=10'], '--wait-for-lock "10" is not a time'],
  [['--wait-for-lock=-1s'], '--wait-for-lock "-1s" is not a time'],
])('refuses %j', (argv, message) => {
  expect(() => readGlobals(argv)).toThrow(message);
});
