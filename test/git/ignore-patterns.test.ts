/** Patterns of `.gitignore`, as Git takes them, whatever they are; and in a time that has a bound, which Git's has not. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { ignoreRules } from '../../src/domain/ignore-rules.ts';
import { makeRepository, makeTemporaryFolder } from '../support/git.ts';

const temporary = makeTemporaryFolder();
afterAll(() => rmSync(temporary, { recursive: true }));

/** What one text ignores, without regard to case or with it. */
function rulesOf(text: string, ignoreCase = false) {
  return ignoreRules({ ignoreCase }).with('', text, '.gitignore');
}

describe('random patterns', () => {
  const NAMES = ['a', 'b', 'ab', 'aab', 'A', 'a-b', '-', ']', '[a]', 'a\\', '*', 'a b', 'x.Y', '!', '#', '^', '1'];
  const PATHS = NAMES.flatMap((name) => [name, `d/${name}`, `d/e/${name}`, `d/e/d/${name}/f`]);
  const repository = makeRepository(join(temporary, 'random'));
  for (const path of PATHS.toReversed()) {
    mkdirSync(join(repository.root, dirname(`t/${path}`)), { recursive: true });
    writeFileSync(join(repository.root, 't', path), '');
  }

  function ignoredByGit(ignoreCase: boolean): string[] {
    const input = PATHS.map((path) => `./t/${path}\0`).join('');
    const args = ['-c', `core.ignoreCase=${ignoreCase}`, 'check-ignore', '--no-index', '-z', '--stdin'];
    try {
      const output = execFileSync('git', args, { cwd: repository.root, env: repository.env, input, stdio: 'pipe' });
      return output
        .toString()
        .split('\0')
        .slice(0, -1)
        .map((path) => path.slice('./t/'.length));
    } catch (error) {
      if (error instanceof Error && 'status' in error && error.status === 1) return []; // none of them
      throw error;
    }
  }

  const piece = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'd', 'e', 'f', '/', '*', '**', '**/', '/**/', '?', '-') },
    {
      weight: 3,
      arbitrary: fc.constantFrom('[a-c]', '[!a]', '[^a-]', '[]-a]', '[[:alpha:]]', '[[:upper:]b]', '[[:x:]]'),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('[', ']', '\\', '\\*', ' ', '\\ ', '[a', '[\\]]', '[c-a]', '[[:]', '!', '#', '\r'),
    },
    { weight: 1, arbitrary: fc.constantFrom('[/]', '[*-A]', '[A-B]', 'A', '.', 'x.Y', '[-]', '[a-', '[--a]', '[!!]') },
  );
  const line = fc
    .tuple(
      fc.constantFrom('', '', '', '!', '/'),
      fc.array(piece, { minLength: 1, maxLength: 5 }),
      fc.constantFrom('', '/'),
    )
    .map(([start, pieces, end]) => [start, ...pieces, end].join(''));

  test.each([
    'd**//',
    'd**/a',
    'd**//a',
    'd/e**/f',
    '/d**/b',
    'D**/a',
    'd?**/a',
    '*d**/a',
    'd/**/a',
    '!d**/a',
    'd**/**/a',
    'd***/',
  ])('stars after a name: %s ignores what it does for Git', (pattern) => {
    for (const ignoreCase of [false, true]) {
      const text = `*\n!*/\n${pattern}`;
      for (const each of [pattern, text]) {
        writeFileSync(join(repository.root, 't/.gitignore'), each);
        const rules = rulesOf(each, ignoreCase);
        expect(PATHS.filter((path) => rules.ignores(path, false))).toEqual(ignoredByGit(ignoreCase));
      }
    }
  });

  test('ignore what Git ignores, with and without case', () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 4 }), fc.boolean(), (lines, ignoreCase) => {
        // Git tells that a backslash before a slash is one, and then sees no `**/`: nobody writes that.
        fc.pre(!lines.some((each) => each.includes('\\/')));
        const text = lines.join('\n');
        writeFileSync(join(repository.root, 't/.gitignore'), text);
        const rules = rulesOf(text, ignoreCase);
        expect(PATHS.filter((path) => rules.ignores(path, false))).toEqual(ignoredByGit(ignoreCase));
      }),
      { numRuns: 50 },
    );
  });
});

describe('hostile patterns', () => {
  const milliseconds = (work: () => void): number => {
    const start = performance.now();
    work();
    return performance.now() - start;
  };

  test.each([
    ['folders', '**/x/'.repeat(800), 'x/'.repeat(2000) + 'z'],
    ['stars', '*a'.repeat(120) + 'b', 'a'.repeat(255)],
    ['both', '**/*a*a*a*a/'.repeat(300) + 'b', `${'a'.repeat(100)}/`.repeat(40) + 'c'],
    ['classes', '*[a-z]'.repeat(500) + '!', 'a'.repeat(255)],
  ])('of many %s take no time', (_, pattern, path) => {
    expect(milliseconds(() => rulesOf(pattern).ignores(path, false))).toBeLessThan(1000);
  });

  test('by the hundred thousand are looked up where they have no wildcards', () => {
    const text = Array.from({ length: 100_000 }, (_, index) => `/name-${index}\n`).join('');
    const rules = rulesOf(text);
    const asked = milliseconds(() => {
      for (let index = 0; index < 100_000; index++) rules.ignores(`other-${index}`, false);
    });
    expect([rules.ignores('name-7', false), rules.ignores('a/name-7', false), asked < 2000]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('are refused where they have, and are too many', () => {
    const text = '*.a\n'.repeat(10_001);
    expect(() => rulesOf(text)).toThrow('.gitignore has 10001 patterns with wildcards, and at most 10000 are heeded');
  });
});
