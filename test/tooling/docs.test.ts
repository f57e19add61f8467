/** The pages stay true: what they link to is there, what they tell to type parses, what they list is all there is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { readGlobals } from '../../src/cli/globals.ts';
import { MlvError } from '../../src/domain/errors.ts';
import { anchorsOf, codeBlocks, codeSpans, linksOf } from '../support/markdown.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = [...filesIn('.', '.md', false), ...filesIn('docs', '.md')];

describe.each(PAGES)('%s', (page) => {
  const markdown = read(page);

  test('has links that lead somewhere', () => {
    const broken = linksOf(markdown).filter(({ target }) => !isThere(page, target));
    expect(broken).toEqual([]);
  });

  test('tells commands that mlv has, with options that they take', async () => {
    const wrong: string[] = [];
    for (const { text, line } of commandLines(markdown)) {
      const problem = await problemOf(text);
      if (problem !== undefined) wrong.push(`${page}:${line}: ${text}: ${problem}`);
    }
    expect(wrong).toEqual([]);
  });
});

test('commands are found in pages', () => {
  expect(commandLines('Type `mlv add a b`.\n\n```sh\ncd x && mlv push -r y\n```\n').map(({ text }) => text)).toEqual([
    'mlv push -r y',
    'mlv add a b',
  ]);
});

test.each([
  ['mlv frobnicate', 'no such command'],
  ['mlv remote frobnicate', 'no such command'],
  ['mlv add --frobnicate data', '--frobnicate is not an option of mlv add'],
  ['mlv version now', 'mlv version does not take "now"'],
  ['mlv push --jobs many', '--jobs needs a whole number from 1, not "many"'],
  ['mlv remote add', undefined],
  ['mlv -C elsewhere add "a b" --desc="two words"', undefined],
  ['mlv COMMAND --help', undefined],
])('of "%s" the problem is: %s', async (line, problem) => {
  expect(await problemOf(line)).toBe(problem);
});

test('the README names every command', () => {
  const readme = codeSpans(read('README.md')).map(({ text }) => text);
  const missing = COMMANDS.map(({ name }) => name).filter(
    (name) => !readme.some((span) => `${span} `.startsWith(`mlv ${name} `) || name === `remote ${span}`),
  );
  expect(missing).toEqual([]);
});

test('the architecture page lists every source file, and no other', () => {
  let folder = '';
  const listed: string[] = [];
  for (const line of read('docs/architecture.md').split('\n')) {
    folder = /^### (src\/\w+)$/.exec(line)?.[1] ?? folder;
    const cell = /^\| (`[^|]+) \|/.exec(line)?.[1];
    if (folder !== '' && cell !== undefined)
      listed.push(...[...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => `${folder}/${name}`));
  }
  expect(listed.sort()).toEqual(filesIn('src', '.ts'));
});

function filesIn(folder: string, ending: string, recursive = true): string[] {
  const names = readdirSync(join(ROOT, folder), { recursive }).map((name) => join(folder, String(name)));
  return names.filter((name) => name.endsWith(ending)).sort();
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

function isThere(page: string, target: string): boolean {
  if (target.startsWith('https://')) return true;
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || anchorsOf(readFileSync(file, 'utf8')).has(anchor);
}

/** Command lines of mlv in `sh` blocks, then those between backticks. */
function commandLines(markdown: string): { readonly text: string; readonly line: number }[] {
  const lines = codeBlocks(markdown)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text, line }) => text.split('\n').map((each, index) => ({ text: each, line: line + 1 + index })));
  return [...lines, ...codeSpans(markdown)]
    .flatMap(({ text, line }) => text.split(/&&|;|\|/).map((part) => ({ text: part.trim(), line })))
    .filter(({ text }) => text.startsWith('mlv '));
}

/** Why mlv would not take this line, its placeholders (`PATH…`) being values; what it lacks does not matter. */
async function problemOf(line: string): Promise<string | undefined> {
  const words = [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replaceAll(/["']/g, ''));
  const { globals, words: rest } = readGlobals(words.slice(1));
  const [first = '', second = ''] = rest;
  if (first === '' || first === 'COMMAND' || second === '…') return undefined;
  const entry =
    COMMANDS.find(({ name }) => name === `${first} ${second}`) ??
    COMMANDS.find(
      ({ name, isStandard }) => name === first || (isStandard && second === '' && name.startsWith(`${first} `)),
    );
  if (entry === undefined) return 'no such command';
  if (globals.wantsHelp) return undefined;
  try {
    parseArguments(entry.name, await entry.load(), rest.slice(entry.name.split(' ').length));
    return undefined;
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return /^mlv .+ needs an? [A-Z]+$/.test(error.message) ? undefined : error.message;
  }
}
