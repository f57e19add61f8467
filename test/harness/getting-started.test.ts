/**
 * What a newcomer reads is typed here word for word: every `sh` block, in order, in a shell. A `text` block right after it is
 * what must come out, with `…` for anything within a line, and alone on a line for any lines. `exits=N` tells that the block
 * fails, and then what it says last is compared; `as=ci` that nobody has told Git who they are.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { hermeticEnv, makeTemporaryFolder } from '../support/git.ts';
import { type CodeBlock, codeBlocks } from '../support/markdown.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where the pages say that they are. */
const HOME_IN_PAGES = '/home/ada';

let home = '';

afterEach(() => rmSync(home, { recursive: true, force: true }));

test('docs/getting-started.md does what it says', { timeout: 120_000 }, () => {
  const blocks = pageBlocks('docs/getting-started.md');
  expect(blocks.length).toBeGreaterThan(50);
  follow(blocks);
});

test('docs/branches.md does what it says', { timeout: 120_000 }, () => {
  const blocks = pageBlocks('docs/branches.md');
  expect(blocks.length).toBeGreaterThan(30);
  follow(blocks);
});

test('the first session in README.md does what it says', { timeout: 120_000 }, () => {
  const blocks = pageBlocks('README.md').filter(({ section }) => section === 'A first session');
  expect(blocks.length).toBeGreaterThan(4);
  follow(blocks);
});

function pageBlocks(page: string): CodeBlock[] {
  return codeBlocks(readFileSync(join(ROOT, page), 'utf8'));
}

function follow(blocks: readonly CodeBlock[]): void {
  home = makeTemporaryFolder();
  mkdirSync(join(home, 'bin'));
  symlinkSync(join(ROOT, 'bin/mlv.js'), join(home, 'bin/mlv'));
  let folder = home;
  for (const [index, block] of blocks.entries()) {
    if (block.language !== 'sh') continue;
    const done = runBlock(block, folder);
    const code = Number(block.flags['exits'] ?? 0);
    const place = `line ${block.line}: ${block.text}`;
    const told = done.code === code ? '' : `\n${done.stderr}`;
    expect(`${place}\nexit ${done.code}${told}`).toBe(`${place}\nexit ${code}`);
    const next = blocks[index + 1];
    if (next?.language === 'text') {
      const output = code === 0 ? done.stdout : done.stdout + done.stderr;
      const actual = output.trimEnd().replaceAll(home, HOME_IN_PAGES);
      expect(`${place}\n${actual}`).toBe(`${place}\n${filledIn(next.text, actual, code !== 0)}`);
    }
    folder = done.folder;
  }
}

function runBlock(block: CodeBlock, cwd: string) {
  const note = join(home, 'folder');
  const env = hermeticEnv(home);
  const isAnonymous = block.flags['as'] === 'ci';
  const result = spawnSync('sh', ['-c', `set -e\n${block.text}\npwd -P > "$NOTE"`], {
    cwd,
    encoding: 'utf8',
    env: {
      ...(isAnonymous ? withoutIdentity(env) : env),
      PATH: [join(home, 'bin'), env['PATH']].join(delimiter),
      NOTE: note,
    },
  });
  const folder = result.status === 0 ? readFileSync(note, 'utf8').trimEnd() : cwd;
  return { code: result.status, stdout: result.stdout, stderr: result.stderr, folder };
}

function withoutIdentity(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^GIT_(AUTHOR|COMMITTER)_/.test(name)));
}

/** What came out, if it is of the form that the page shows; otherwise the page's own text, for a comparison that people can read. */
function filledIn(shown: string, actual: string, isEnd: boolean): string {
  const pattern = shown
    .replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
    .replaceAll(/\n…$/gm, '(?:\n[^]*)?')
    .replaceAll('…', '.+');
  return new RegExp(`^${isEnd ? '(?:[^]*\n)?' : ''}${pattern}$`).test(actual) ? actual : shown;
}
