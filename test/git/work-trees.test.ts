import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { discoverLayout, type GitLayout } from '../../src/git/layout.ts';
import { listWorkTrees, type WorkTree } from '../../src/git/work-trees.ts';
import { makeRepository, makeTemporaryFolder, repositoryAt, type TestRepository } from '../support/git.ts';
import { layoutOf } from './rig.ts';

let temporary: string;
beforeAll(() => {
  temporary = makeTemporaryFolder();
});
afterAll(() => rmSync(temporary, { recursive: true }));

const at = (...parts: string[]): string => join(temporary, ...parts);

/** A repository in a folder of its own, with work trees of these names beside it. */
function withLinked(name: string, ...linked: string[]): TestRepository {
  const main = makeRepository(at(name, 'main'));
  main.commit({ a: '1' });
  for (const each of linked) main.git('worktree', 'add', '--quiet', '--detach', `../${each}`);
  return main;
}
function there(workTree: string, commonDir: string, linked?: string): WorkTree {
  const gitDir = linked === undefined ? commonDir : join(commonDir, 'worktrees', linked);
  return { layout: { workTree, gitDir, commonDir }, gitDir, path: workTree };
}
const gone = (path: string, gitDir: string): WorkTree => ({ layout: undefined, gitDir, path });

describe('listWorkTrees', () => {
  it('lists the main one and the linked ones, whichever we are in, as git worktree list does', () => {
    const main = withLinked('plain', 'one', 'two');
    main.git('worktree', 'lock', '../two');
    const dotGit = join(main.root, '.git');
    const all = [
      there(main.root, dotGit),
      there(at('plain/one'), dotGit, 'one'),
      there(at('plain/two'), dotGit, 'two'),
    ];
    for (const { path } of all) expect(listWorkTrees(layoutOf(path))).toEqual(all);
    const listed = main.git('worktree', 'list', '--porcelain').matchAll(/^worktree (.*)$/gm);
    expect([...listed].map(([, path]) => path)).toEqual(all.map(({ path }) => path));
  });

  it('lists a repository without linked ones', () => {
    const { root } = makeRepository(at('alone'));
    expect(listWorkTrees(layoutOf(root))).toEqual([there(root, join(root, '.git'))]);
  });

  it('follows one that git moved, and cannot reach those that were moved otherwise, removed or locked away', () => {
    const main = withLinked('gone', 'by-git', 'by-hand', 'removed', 'locked');
    const dotGit = join(main.root, '.git');
    main.git('worktree', 'move', '../by-git', '../by-git-now');
    main.git('worktree', 'lock', '../locked');
    renameSync(at('gone/by-hand'), at('gone/by-hand-now'));
    rmSync(at('gone/removed'), { recursive: true });
    rmSync(at('gone/locked'), { recursive: true });
    const own = (name: string): string => join(dotGit, 'worktrees', name);
    const all = [
      there(main.root, dotGit),
      there(at('gone/by-git-now'), dotGit, 'by-git'),
      gone(at('gone/by-hand'), own('by-hand')),
      gone(at('gone/locked'), own('locked')),
      gone(at('gone/removed'), own('removed')),
    ];
    expect(listWorkTrees(layoutOf(main.root))).toEqual(all);
    // Inside it, we know where it is.
    expect(listWorkTrees(layoutOf(at('gone/by-hand-now')))).toEqual(
      all.with(2, there(at('gone/by-hand-now'), dotGit, 'by-hand')),
    );
    main.git('worktree', 'repair', '../by-hand-now');
    expect(listWorkTrees(layoutOf(main.root))).toEqual(all.with(2, there(at('gone/by-hand-now'), dotGit, 'by-hand')));
  });

  it('does not take another repository at that place, or around it, for the work tree', () => {
    const main = withLinked('replaced', 'other', 'main/inside', 'copied');
    const dotGit = join(main.root, '.git');
    rmSync(at('replaced/other'), { recursive: true });
    makeRepository(at('replaced/other'));
    rmSync(at('replaced/main/inside'), { recursive: true });
    mkdirSync(at('replaced/main/inside'));
    rmSync(at('replaced/copied/.git'));
    writeFileSync(at('replaced/copied/.git'), `gitdir: ${join(dotGit, 'worktrees/other')}\n`);
    expect(listWorkTrees(layoutOf(main.root)).slice(1)).toEqual([
      gone(at('replaced/copied'), join(dotGit, 'worktrees/copied')),
      gone(at('replaced/main/inside'), join(dotGit, 'worktrees/inside')),
      gone(at('replaced/other'), join(dotGit, 'worktrees/other')),
    ]);
  });

  it('lists one whose files are damaged, as not reachable', () => {
    const main = withLinked('damaged', 'no-gitdir', 'empty-gitdir', 'no-commondir');
    const dotGit = join(main.root, '.git');
    rmSync(join(dotGit, 'worktrees/no-gitdir/gitdir'));
    writeFileSync(join(dotGit, 'worktrees/empty-gitdir/gitdir'), '\n');
    rmSync(join(dotGit, 'worktrees/no-commondir/commondir'));
    writeFileSync(join(dotGit, 'worktrees/a-file'), '');
    expect(listWorkTrees(layoutOf(main.root)).slice(1)).toEqual([
      gone(join(dotGit, 'worktrees/empty-gitdir'), join(dotGit, 'worktrees/empty-gitdir')),
      gone(at('damaged/no-commondir'), join(dotGit, 'worktrees/no-commondir')),
      gone(join(dotGit, 'worktrees/no-gitdir'), join(dotGit, 'worktrees/no-gitdir')),
    ]);
  });

  it('reads a relative gitdir, as newer Gits write it', () => {
    const main = withLinked('relative', 'one');
    const gitDir = join(main.root, '.git/worktrees/one');
    expect(readFileSync(join(gitDir, 'gitdir'), 'utf8')).toBe(`${at('relative/one/.git')}\n`);
    writeFileSync(join(gitDir, 'gitdir'), '../../../../one/.git\n');
    writeFileSync(at('relative/one/.git'), 'gitdir: ../main/.git/worktrees/one\n');
    expect(listWorkTrees(layoutOf(main.root))[1]).toEqual(there(at('relative/one'), join(main.root, '.git'), 'one'));
  });

  it('resolves symbolic links in a recorded path', () => {
    const main = withLinked('linked-path', 'one');
    symlinkSync(at('linked-path'), at('alias'));
    writeFileSync(join(main.root, '.git/worktrees/one/gitdir'), `${at('alias/one/.git')}\n`);
    const found = listWorkTrees(layoutOf(main.root))[1];
    expect(found).toEqual(there(at('linked-path/one'), join(main.root, '.git'), 'one'));
  });

  it('a bare repository has linked ones alone, unless a work tree is given', () => {
    const source = withLinked('bare');
    source.git('clone', '--quiet', '--bare', '.', '../bare.git');
    const bare = repositoryAt(at('bare/bare.git'));
    bare.git('worktree', 'add', '--quiet', '--detach', '../one');
    bare.git('worktree', 'add', '--quiet', '--detach', '../two');
    const linked = ['one', 'two'].map((name) => there(at('bare', name), bare.root, name));
    expect(listWorkTrees(layoutOf(at('bare/one')))).toEqual(linked);
    mkdirSync(at('bare/given'));
    const given = discoverLayout(at('bare/given'), { gitDir: bare.root, workTree: '.' }) as GitLayout;
    expect(listWorkTrees(given)).toEqual([there(at('bare/given'), bare.root), ...linked]);
    // The usual way to keep one: bare, in a folder named .git.
    cpSync(bare.root, at('bare/hub/.git'), { recursive: true });
    rmSync(at('bare/hub/.git/worktrees'), { recursive: true });
    repositoryAt(at('bare/hub')).git('worktree', 'add', '--quiet', '--detach', '../spoke');
    expect(listWorkTrees(layoutOf(at('bare/spoke')))).toEqual([there(at('bare/spoke'), at('bare/hub/.git'), 'spoke')]);
  });

  it('a submodule has its own, found from a linked one by core.worktree', () => {
    const outer = withLinked('modules');
    makeRepository(at('modules/library')).commit({ a: '1' });
    outer.git('submodule', '--quiet', 'add', '../library', 'deps/library');
    const inner = repositoryAt(at('modules/main/deps/library'));
    inner.git('worktree', 'add', '--quiet', '--detach', at('modules/inner-linked'));
    const gitDir = join(outer.root, '.git/modules/deps/library');
    const all = [there(inner.root, gitDir), there(at('modules/inner-linked'), gitDir, 'inner-linked')];
    expect(listWorkTrees(layoutOf(inner.root))).toEqual(all);
    expect(listWorkTrees(layoutOf(at('modules/inner-linked')))).toEqual(all);
    expect(listWorkTrees(layoutOf(outer.root))).toEqual([there(outer.root, join(outer.root, '.git'))]);
    rmSync(inner.root, { recursive: true });
    expect(listWorkTrees(layoutOf(at('modules/inner-linked')))[0]).toEqual(gone(inner.root, gitDir));
  });

  it('respects core.worktree, also where only this work tree has it', () => {
    const main = withLinked('configured', 'one');
    const dotGit = join(main.root, '.git');
    mkdirSync(at('configured/elsewhere'));
    main.git('config', 'core.worktree', '../../elsewhere');
    const expected = there(at('configured/elsewhere'), dotGit);
    expect(listWorkTrees(layoutOf(main.root))[0]).toEqual(expected);
    expect(listWorkTrees(layoutOf(at('configured/one')))[0]).toEqual(expected);
    main.git('config', '--unset', 'core.worktree');
    main.git('config', 'extensions.worktreeConfig', 'true');
    writeFileSync(join(dotGit, 'config.worktree'), '[core]\n\tworktree = ../../elsewhere\n');
    expect(listWorkTrees(layoutOf(at('configured/one')))[0]).toEqual(expected);
  });

  it('a Git folder made apart does not tell where its work tree is', () => {
    const apart = makeRepository(at('apart/main'), `--separate-git-dir=${at('apart/store')}`);
    apart.commit({ a: '1' });
    apart.git('worktree', 'add', '--quiet', '--detach', '../one');
    const one = there(at('apart/one'), at('apart/store'), 'one');
    expect(listWorkTrees(layoutOf(apart.root))).toEqual([there(apart.root, at('apart/store')), one]);
    expect(listWorkTrees(layoutOf(at('apart/one')))).toEqual([gone(at('apart/store'), at('apart/store')), one]);
  });
});
