/** One suite, both implementations: histories of which Git shows more, less or something else than the objects say. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/git/git.ts';
import { makeBranchyRepository, makeRepository, repositoryAt } from '../support/git.ts';
import { anything, describeEngines, failing, freshPath, versions } from './rig.ts';

describeEngines(({ isProgram, openAt, expectReadable }) => {
  describe('histories', () => {
    it.each(['replaced', 'grafted'] as const)(
      'a commit that is %s in this clone alone is what its id says',
      async (how) => {
        const repo = makeRepository(freshPath());
        const first = repo.commit({ 'a.mlv': '1' });
        const second = repo.commit({ 'a.mlv': '2' });
        const third = repo.commit({ 'a.mlv': '3' });
        if (how === 'replaced') {
          repo.git('replace', second, first);
          repo.git('replace', '--graft', third);
          expect(repo.git('show', `${second}:a.mlv`)).toBe('1');
        } else {
          writeFileSync(join(repo.root, '.git/info/grafts'), `${third}\n`);
        }
        expect(repo.git('rev-list', '--count', third)).toBe('1');
        const git = await openAt(repo.root);
        expect((await git.readFile(second as CommitId, 'a.mlv'))?.toString()).toBe('2');
        expect(await git.resolve('HEAD~2')).toBe(first);
        expect((await versions(git, [third])).map(({ commit }) => commit)).toEqual([third, second, first]);
        expect(new Set(await git.commitsSince([third as CommitId], 0))).toEqual(new Set([first, second, third]));
      },
    );

    it('a partial clone asks for the blobs that it lacks, where Git can', async () => {
      const full = makeBranchyRepository(freshPath());
      full.git('config', 'uploadpack.allowFilter', 'true');
      full.git('config', 'uploadpack.allowAnySHA1InWant', 'true');
      full.git('clone', '--quiet', '--filter=blob:none', `file://${full.root}`, '../partial');
      const repo = repositoryAt(join(full.root, '../partial'));
      const git = await expectReadable(repo, 'data.mlv', 'evil');
      const { base } = full.commits;
      const blob = full.git('rev-parse', `${base}:data.mlv`);
      const lacks = (): boolean =>
        repo.git('rev-list', '--objects', '--all', '--missing=print').split('\n').includes(`?${blob}`);
      expect(lacks()).toBe(true);
      // Trees are here, so history can be walked without a request.
      expect(await versions(git, [full.commits.evil])).toHaveLength(6);
      expect(await git.listFiles(base as CommitId, anything)).toHaveLength(3);
      expect(lacks()).toBe(true);
      if (!isProgram) {
        await expect(git.readBlob(blob)).rejects.toThrow(failing('git-object-missing', blob));
        return;
      }
      expect((await git.readBlob(blob)).toString()).toBe('base');
      expect(lacks()).toBe(false);
    });

    it('one whose other side is gone names the object', async () => {
      const full = makeBranchyRepository(freshPath());
      full.git('config', 'uploadpack.allowFilter', 'true');
      full.git('clone', '--quiet', '--filter=blob:none', `file://${full.root}`, '../partial');
      const repo = repositoryAt(join(full.root, '../partial'));
      repo.git('remote', 'set-url', 'origin', `file://${full.root}-gone`);
      const git = await openAt(repo.root);
      const blob = full.git('rev-parse', `${full.commits.base}:data.mlv`);
      await expect(git.readBlob(blob)).rejects.toThrow(
        expect.objectContaining({ name: 'MlvError', code: isProgram ? 'git-failed' : 'git-object-missing' }),
      );
    });

    it('objects borrowed for good (clone --reference)', async () => {
      const full = makeRepository(freshPath());
      full.commit({ 'a.mlv': 'a' });
      full.git('clone', '--quiet', '--reference', '.', `file://${full.root}`, '../borrower');
      const repo = repositoryAt(join(full.root, '../borrower'));
      repo.commit({ 'b.mlv': 'b' });
      if (!isProgram) {
        await expect(openAt(repo.root)).rejects.toThrow(failing('git-unsupported-alternates', repo.root));
        repo.git('repack', '-a', '-d', '--quiet');
        repo.write({ '.git/objects/info/alternates': null });
      }
      await expectReadable(repo, 'a.mlv', 'a');
    });

    it('refs as a table, with a Git that can', async ({ skip }) => {
      const probe = makeRepository(freshPath());
      const [major = 0, minor = 0] = (/\d+\.\d+/.exec(probe.git('--version'))?.[0] ?? '').split('.').map(Number);
      skip(major < 2 || (major === 2 && minor < 45), 'reftable needs Git 2.45 or newer');
      const repo = makeRepository(freshPath(), '--ref-format=reftable');
      repo.commit({ 'a.mlv': 'a' });
      repo.git('tag', '-a', '-m', 'one', 'v1.0');
      if (!isProgram) {
        await expect(openAt(repo.root)).rejects.toThrow(failing('git-unsupported-format', 'reftable'));
        return;
      }
      const git = await expectReadable(repo, 'a.mlv', 'a');
      expect(await git.currentBranch()).toBe('main');
      expect(await git.resolve('v1.0')).toBe(await git.head());
    });
  });

  describe('work trees that Git shows in part', () => {
    it('a sparse checkout, its index whole or sparse, has what is not on disk', async () => {
      const repo = makeRepository(freshPath());
      const paths = ['in/a.mlv', 'out/b.mlv', 'out/deep/c.mlv', 'top.mlv'];
      const head = repo.commit(Object.fromEntries(paths.map((path) => [path, path]))) as CommitId;
      repo.git('sparse-checkout', 'set', '--cone', 'in');
      expect(existsSync(join(repo.root, 'out'))).toBe(false);
      const git = await openAt(repo.root);
      expect((await git.listIndex(anything)).map(({ path }) => path)).toEqual(paths);
      await git.stage(['out/b.mlv']);
      expect(repo.git('diff', '--cached', '--name-status')).toBe('');
      repo.git('sparse-checkout', 'set', '--cone', '--sparse-index', 'in');
      const staged = (): string => repo.git('diff', '--cached', '--name-status');
      if (!isProgram) {
        await expect(git.tracked([''])).rejects.toThrow(failing('git-unsupported-index', "'sdir'"));
        await expect(git.stage(['in/a.mlv'])).rejects.toThrow(failing('git-unsupported-index', "'sdir'"));
        expect(staged()).toBe('');
        return;
      }
      expect((await git.listIndex(anything)).map(({ path }) => path)).toEqual(paths);
      expect(await git.tracked(['out'])).toEqual(['out/b.mlv', 'out/deep/c.mlv']);
      expect((await git.listFiles(head, anything)).map(({ path }) => path)).toEqual(paths);
      expect((await git.readFile(head, 'out/deep/c.mlv'))?.toString()).toBe('out/deep/c.mlv');
      // What is not on disk because it is not wanted there is not staged as deleted; what is there is staged.
      repo.write({ 'in/a.mlv': 'changed', 'out/deep/c.mlv': 'written' });
      await git.stage(['in/a.mlv', 'out/b.mlv', 'out/deep/c.mlv']);
      expect(staged()).toBe('M\tin/a.mlv\nM\tout/deep/c.mlv');
    });

    it.each(['--skip-worktree', '--assume-unchanged'])('a path marked %s', async (mark) => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'a.mlv': '1', 'b.mlv': '1' });
      repo.git('update-index', mark, 'a.mlv');
      const git = await openAt(repo.root);
      expect(await git.tracked([''])).toEqual(['a.mlv', 'b.mlv']);
      repo.write({ 'a.mlv': '22', 'b.mlv': '22' });
      await git.stage(['a.mlv', 'b.mlv']);
      // Git leaves alone what it was told to; in-process, what was named is staged.
      const staged = isProgram ? 'b.mlv' : 'a.mlv\nb.mlv';
      expect(repo.git('diff', '--cached', '--name-only')).toBe(staged);
    });

    it('a file system monitor that does not run, many threads, an untracked cache', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'a.mlv': '1' });
      repo.git('config', 'core.untrackedCache', 'true');
      repo.git('config', 'core.fsmonitor', '/nowhere/monitor');
      repo.git('config', 'index.threads', '4');
      repo.git('config', 'feature.manyFiles', 'true');
      repo.git('update-index', '--untracked-cache', '--fsmonitor', '--index-version', '2');
      repo.git('status');
      const git = await openAt(repo.root);
      expect(await git.tracked([''])).toEqual(['a.mlv']);
      repo.write({ 'a.mlv': '2' });
      await git.stage(['a.mlv']);
      expect(repo.git('show', ':a.mlv')).toBe('2');
      repo.git('fsck');
    });
  });
});
