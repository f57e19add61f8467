import { chmodSync, rmSync, symlinkSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFiles } from '../../src/git/find-files.ts';
import { rulesInside } from '../../src/git/ignore-rules.ts';
import { kindOf } from '../../src/git/layout.ts';
import { makeRepository, makeTemporaryFolder, type TestRepository } from '../support/git.ts';

let temporary: string;
beforeAll(() => {
  temporary = makeTemporaryFolder();
});
afterAll(() => rmSync(temporary, { recursive: true }));

let made = 0;
const repository = (files: Record<string, string> = {}): TestRepository => {
  const result = makeRepository(join(temporary, `r${++made}`));
  result.write(files);
  return result;
};
const sources = ({ root }: TestRepository) => ({ workTree: root, commonDir: join(root, '.git') });
const isPointer = (name: string): boolean => name.endsWith('.mlv');
const pointersIn = (repo: TestRepository): string[] => findFiles(sources(repo), { accept: isPointer });

describe('findFiles', () => {
  it('returns accepted files by path, sorted by code units', () => {
    const repo = repository({
      'b.mlv': '',
      'a/z.mlv': '',
      'a-b.mlv': '',
      'a/é.mlv': '',
      'a/x.txt': '',
      'ab/mlv.yaml': '',
    });
    expect(pointersIn(repo)).toEqual(['a-b.mlv', 'a/z.mlv', 'a/é.mlv', 'b.mlv']);
    expect(findFiles(sources(repo), { accept: (name) => name === 'mlv.yaml' })).toEqual(['ab/mlv.yaml']);
  });

  it('does not enter .git, nested repositories, submodules, symbolic links or pruned folders', () => {
    const repo = repository({ 'a.mlv': '', 'big/x.mlv': '', '.git/x.mlv': '', 'sub/x.mlv': '', 'real/x.mlv': '' });
    makeRepository(join(repo.root, 'nested')).write({ 'deep/x.mlv': '' });
    repo.write({ 'sub/.git': 'gitdir: ../.git/modules/sub\n' });
    symlinkSync('real', join(repo.root, 'linked'));
    symlinkSync('a.mlv', join(repo.root, 'link.mlv'));
    const found = findFiles(sources(repo), { accept: isPointer, prune: (folder) => folder === 'big' });
    expect(found).toEqual(['a.mlv', 'real/x.mlv']);
  });

  it('obeys .gitignore everywhere, info/exclude and the excludes file, the nearest rule counting most', () => {
    const repo = repository({
      '.git/info/exclude': 'by-exclude\n!again.mlv\n',
      '.gitignore': '/top.mlv\nbuild/\n*.skip.mlv\nb/only\n',
      'a/.gitignore': '!keep.skip.mlv\n/here.mlv\nspace.mlv \nescaped.mlv\\ \n',
      'b/.gitignore': '!only\n',
      'top.mlv': '',
      'a/top.mlv': '',
      'a/keep.skip.mlv': '',
      'a/other.skip.mlv': '',
      'a/here.mlv': '',
      'a/b/here.mlv': '',
      'a/space.mlv': '',
      'a/build/x.mlv': '',
      'a/build/.gitignore': '!x.mlv\n',
      'b/only/x.mlv': '',
      'by-exclude/x.mlv': '',
      'again.mlv': '',
      'mine/x.mlv': '',
    });
    repo.write({ '../mine.ignore': '\uFEFFmine\r\nagain.mlv\r\n' });
    const excludesFile = join(temporary, 'mine.ignore');
    const found = findFiles({ ...sources(repo), excludesFile }, { accept: isPointer });
    expect(found).toEqual(['a/b/here.mlv', 'a/keep.skip.mlv', 'a/top.mlv', 'again.mlv', 'b/only/x.mlv']);
    repo.git('config', 'core.excludesFile', excludesFile);
    expect(filesGitShows(repo).filter(isPointer)).toEqual(found);
  });

  it('passes over a pattern that is longer than any path', () => {
    const repo = repository({ '.gitignore': `${'/'.repeat(40_000)}x\nb.mlv\n`, 'a.mlv': '', 'b.mlv': '' });
    expect(pointersIn(repo)).toEqual(['a.mlv']);
  });

  it('treats folder names with special characters as they are', () => {
    const repo = repository({
      'we[i]rd *?!#\\/.gitignore': 'x.mlv\n/sub/y.mlv\n',
      'we[i]rd *?!#\\/sub/x.mlv': '',
      'we[i]rd *?!#\\/sub/y.mlv': '',
      'we[i]rd *?!#\\/sub/z.mlv': '',
      'weird/x.mlv': '',
      '!n/.gitignore': 'x.mlv\n',
      '!n/x.mlv': '',
      '#n/.gitignore': 'x.mlv\n',
      '#n/x.mlv': '',
    });
    expect(pointersIn(repo)).toEqual(['we[i]rd *?!#\\/sub/z.mlv', 'weird/x.mlv']);
  });

  it('ignores case where the repository does', () => {
    const repo = repository({ '.gitignore': 'DATA.mlv\n', 'data.mlv': '' });
    expect(pointersIn(repo)).toEqual(['data.mlv']);
    repo.git('config', 'core.ignoreCase', 'true');
    expect(pointersIn(repo)).toEqual([]);
  });

  it('does not read a .gitignore that is a symbolic link', () => {
    const repo = repository({ rules: 'x.mlv\n', 'x.mlv': '' });
    symlinkSync('rules', join(repo.root, '.gitignore'));
    expect(pointersIn(repo)).toEqual(['x.mlv']);
  });

  it('names a folder that cannot be read', (context) => {
    if (process.getuid?.() === 0) context.skip('root can read every folder');
    const repo = repository({ 'closed/x.mlv': '' });
    chmodSync(join(repo.root, 'closed'), 0o000);
    expect(() => pointersIn(repo)).toThrow(
      expect.objectContaining({ code: 'folder-unreadable', message: expect.stringContaining('closed') }),
    );
    chmodSync(join(repo.root, 'closed'), 0o755);
  });

  it('finds what git ls-files finds, for random trees and patterns', () => {
    const repo = repository();
    const name = fc.constantFrom('a', 'b', 'ab', 'c.mlv', 'a b', '[x]', '#h', '!n', 'A');
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
    const piece = fc.constantFrom(
      'a',
      'b',
      'ab',
      '*',
      '?',
      'c.mlv',
      '*.mlv',
      '**',
      '[ab]',
      '[!a]',
      '[x]',
      '\\[x]',
      'a b',
      'A',
    );
    const pattern = fc
      .tuple(
        fc.constantFrom('', '', '', '!', '/', '!/', '\\'),
        fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join('/')),
        fc.constantFrom('', '', '/', ' ', '\\ ', '/*', '/**', '*', '\r'),
      )
      .map((parts) => parts.join(''));
    const line = fc.oneof(
      { weight: 9, arbitrary: pattern },
      fc.constantFrom('', '#h', '\\#h', '\\!n', '!', '/', '**', '*'),
    );
    const rules = fc.array(line, { maxLength: 4 }).map((lines) => lines.join('\n'));
    const folder = fc.array(name, { maxLength: 2 }).map((names) => names.join('/'));
    fc.assert(
      fc.property(
        fc.array(path, { minLength: 1, maxLength: 12 }),
        fc.array(fc.tuple(folder, rules), { maxLength: 3 }),
        rules,
        (paths, ignores, exclude) => {
          repo.git('clean', '-ffdxq');
          repo.write({ '.git/info/exclude': exclude });
          for (const [target, text] of [
            ...paths.map((each) => [each, '']),
            ...ignores.map(([at, t]) => [join(at, '.gitignore'), t]),
          ]) {
            try {
              repo.write({ [target ?? '']: text ?? '' });
            } catch {
              // A file where this one needs a folder: the tree is random, so it has another.
            }
          }
          const expected = filesGitShows(repo);
          expect(findFiles(sources(repo), { accept: () => true })).toEqual(expected);
          const asked = [
            ...new Set(paths.flatMap((each) => [each, each.slice(0, Math.max(0, each.indexOf('/')))])),
          ].filter(Boolean);
          const inside = rulesInside(sources(repo));
          const ignored = asked.filter((each) =>
            inside(each.slice(0, Math.max(0, each.lastIndexOf('/')))).ignores(
              each,
              kindOf(join(repo.root, each)) === 'folder',
            ),
          );
          expect(ignored).toEqual(gitIgnores(repo, asked));
        },
      ),
      { numRuns: 100 },
    );
  });
});

function filesGitShows({ git }: TestRepository): string[] {
  const output = git('ls-files', '-z', '--cached', '--others', '--exclude-standard');
  return output.split('\0').slice(0, -1).sort();
}

function gitIgnores({ root, env }: TestRepository, paths: string[]): string[] {
  try {
    const input = paths.map((path) => `./${path}\0`).join('');
    const options = { cwd: root, env, input, stdio: 'pipe' as const };
    return execFileSync('git', ['check-ignore', '--no-index', '-z', '--stdin'], options)
      .toString()
      .split('\0')
      .slice(0, -1)
      .map((path) => path.slice(2));
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 1) return []; // none of them
    throw error;
  }
}
