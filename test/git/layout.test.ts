import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseGitConfig, readGitConfigFile } from '../../src/git/config-file.ts';
import { discoverLayout } from '../../src/git/layout.ts';
import { makeRepository, makeTemporaryFolder, repositoryAt } from '../support/git.ts';

let temporary: string;
beforeAll(() => {
  temporary = makeTemporaryFolder();
});
afterAll(() => rmSync(temporary, { recursive: true }));

const at = (...parts: string[]): string => join(temporary, ...parts);
const plain = (root: string): object => ({ workTree: root, gitDir: join(root, '.git'), commonDir: join(root, '.git') });

describe('discoverLayout', () => {
  it('finds the repository from its top and from any folder below', () => {
    const { root } = makeRepository(at('plain'));
    mkdirSync(join(root, 'a/b'), { recursive: true });
    expect(discoverLayout(root)).toEqual(plain(root));
    expect(discoverLayout(join(root, 'a/b'))).toEqual(plain(root));
  });

  it('takes no longer for a .git file that is long and leads nowhere', () => {
    mkdirSync(at('long'));
    writeFileSync(at('long/.git'), `gitdir: ${'\n'.repeat(200_000)}\0`);
    const begun = performance.now();
    expect(() => discoverLayout(at('long'))).toThrow(expect.objectContaining({ code: 'git-file-invalid' }));
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  it('takes a path with NUL for one that does not exist', () => {
    const { root } = makeRepository(at('nul'));
    writeFileSync(join(root, '.git/config'), '[core]\nworktree = a\0b\n');
    expect(() => discoverLayout(root)).toThrow(expect.objectContaining({ code: 'git-work-tree-missing' }));
    writeFileSync(join(root, '.git/commondir'), 'a\0b');
    expect(discoverLayout(root)).toBeUndefined();
  });

  it('returns undefined outside any repository', () => {
    mkdirSync(at('outside'));
    expect(discoverLayout(at('outside'))).toBeUndefined();
  });

  it('passes over a .git folder that is not a repository, as Git does', () => {
    const { root } = makeRepository(at('fake'));
    mkdirSync(join(root, 'sub/.git'), { recursive: true });
    expect(discoverLayout(join(root, 'sub'))).toEqual(plain(root));
  });

  it('resolves symbolic links in the path', () => {
    const { root } = makeRepository(at('real'));
    symlinkSync(root, at('link'));
    expect(discoverLayout(at('link'))).toEqual(plain(root));
  });

  it('finds a linked work tree, its own Git folder and the shared one', () => {
    const main = makeRepository(at('main'));
    main.commit({ a: '1' });
    main.git('worktree', 'add', '--quiet', '../linked');
    expect(discoverLayout(at('linked'))).toEqual({
      workTree: at('linked'),
      gitDir: at('main/.git/worktrees/linked'),
      commonDir: at('main/.git'),
    });
  });

  it('finds a linked work tree of a bare repository', () => {
    const main = makeRepository(at('source'));
    main.commit({ a: '1' });
    main.git('clone', '--quiet', '--bare', '.', '../bare.git');
    repositoryAt(at('bare.git')).git('worktree', 'add', '--quiet', '../of-bare');
    expect(discoverLayout(at('of-bare'))).toEqual({
      workTree: at('of-bare'),
      gitDir: at('bare.git/worktrees/of-bare'),
      commonDir: at('bare.git'),
    });
  });

  it('finds a submodule, and the repository around it', () => {
    makeRepository(at('library')).commit({ a: '1' });
    const outer = makeRepository(at('outer'));
    outer.git('submodule', '--quiet', 'add', '../library', 'deps/library');
    const gitDir = at('outer/.git/modules/deps/library');
    expect(discoverLayout(at('outer/deps/library'))).toEqual({
      workTree: at('outer/deps/library'),
      gitDir,
      commonDir: gitDir,
    });
    expect(discoverLayout(at('outer/deps'))).toEqual(plain(outer.root));
    // Inside its Git folder, core.worktree tells.
    expect(discoverLayout(gitDir)?.workTree).toBe(at('outer/deps/library'));
  });

  it('follows --separate-git-dir', () => {
    makeRepository(at('apart'), `--separate-git-dir=${at('elsewhere')}`);
    expect(discoverLayout(at('apart'))).toEqual({
      workTree: at('apart'),
      gitDir: at('elsewhere'),
      commonDir: at('elsewhere'),
    });
  });

  it('takes GIT_DIR and GIT_WORK_TREE where they are given', () => {
    const { root, git } = makeRepository(at('given'));
    mkdirSync(at('given-tree/sub'), { recursive: true });
    const gitDir = join(root, '.git');
    const given = { gitDir, commonDir: gitDir };
    expect(discoverLayout(at('given-tree'), { gitDir })).toEqual({ ...given, workTree: at('given-tree') });
    expect(discoverLayout(at('given-tree'), { gitDir: '../given/.git', workTree: 'sub' })).toEqual({
      ...given,
      workTree: at('given-tree/sub'),
    });
    expect(discoverLayout(root, { workTree: '../given-tree' })).toEqual({ ...given, workTree: at('given-tree') });
    git('config', 'core.worktree', '../../given-tree');
    expect(discoverLayout(root)).toEqual({ ...given, workTree: at('given-tree') });
  });

  it('takes a bare repository with a work tree given beside it', () => {
    makeRepository(at('bare-given'), '--bare');
    mkdirSync(at('tree-given'));
    expect(discoverLayout(at('tree-given'), { gitDir: at('bare-given'), workTree: '.' })).toEqual({
      workTree: at('tree-given'),
      gitDir: at('bare-given'),
      commonDir: at('bare-given'),
    });
  });

  it('refuses a bare repository, one marked bare, and the inside of .git', () => {
    makeRepository(at('bare'), '--bare');
    expect(() => discoverLayout(at('bare'))).toThrow(
      expect.objectContaining({ code: 'git-bare', message: expect.stringContaining(at('bare')) }),
    );
    const { root, git } = makeRepository(at('marked'));
    expect(() => discoverLayout(join(root, '.git/hooks'))).toThrow(expect.objectContaining({ code: 'git-bare' }));
    git('config', 'core.bare', 'true');
    expect(() => discoverLayout(root)).toThrow(expect.objectContaining({ code: 'git-bare' }));
  });

  it('names a .git file or GIT_DIR that leads nowhere', () => {
    const invalid = (path: string): object =>
      expect.objectContaining({ code: 'git-file-invalid', message: expect.stringContaining(path) });
    mkdirSync(at('broken'));
    writeFileSync(at('broken/.git'), 'nonsense\n');
    expect(() => discoverLayout(at('broken'))).toThrow(invalid(at('broken/.git')));
    const main = makeRepository(at('moved'));
    main.commit({ a: '1' });
    main.git('worktree', 'add', '--quiet', '../left');
    renameSync(main.root, at('moved-away'));
    expect(() => discoverLayout(at('left'))).toThrow(invalid(at('left/.git')));
    expect(() => discoverLayout(at('left'), { gitDir: at('nowhere') })).toThrow(invalid(at('nowhere')));
    expect(() => discoverLayout(at('moved-away'), { workTree: at('nowhere') })).toThrow(
      expect.objectContaining({ code: 'git-work-tree-missing' }),
    );
  });
});

describe('parseGitConfig', () => {
  it('reads what git config wrote, whatever the value', () => {
    const { git, root } = makeRepository(at('config'));
    const value = fc.string({ unit: fc.constantFrom(...'ab "\\#;\t\n=[]é'.split('')), maxLength: 12 });
    fc.assert(
      fc.property(value, (text) => {
        git('config', '--file', 'settings', 'core.worktree', text);
        git('config', '--file', 'settings', 'branch.A "q".Merge', text);
        const written = git('config', '--file', 'settings', '--null', '--get', 'core.worktree').replace(/\0$/, '');
        expect(Object.fromEntries(readGitConfigFile(join(root, 'settings')))).toEqual({
          'core.worktree': written,
          'branch.A "q".merge': written,
        });
        rmSync(join(root, 'settings'));
      }),
      { numRuns: 25 },
    );
  });

  it('reads sections, comments, continued lines and keys without a value', () => {
    const text =
      '\uFEFF# c\n[Core] bare = yes ; c\n\tA = one \\\n two\n[x "Y.z"]\n  flag\n quoted = " a # b " c \n[x]\nflag = off\n';
    expect([...parseGitConfig(text)]).toEqual([
      ['core.bare', 'yes'],
      ['core.a', 'one  two'],
      ['x.Y.z.flag', 'true'],
      ['x.Y.z.quoted', ' a # b  c'],
      ['x.flag', 'off'],
    ]);
  });
});
