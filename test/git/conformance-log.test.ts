/** One suite, both implementations: the commits that changed files, as `git log -- PATH` shows them, and common ancestors. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CommitId, GitHistoryEntry, GitRepository } from '../../src/git/git.ts';
import { makeBranchyRepository, makeRepository, type TestRepository } from '../support/git.ts';
import { describeEngines, failing, freshPath, isPointer, POINTERS } from './rig.ts';

async function historyOf(git: GitRepository, tip: string, path?: string): Promise<GitHistoryEntry[]> {
  const options =
    path === undefined
      ? { accept: isPointer, pathspecs: POINTERS }
      : { accept: (each: string) => each === path, pathspecs: [`:(top,literal)${path}`] };
  const found: GitHistoryEntry[] = [];
  for await (const entry of git.history({ tip: tip as CommitId, ...options })) found.push(entry);
  return found;
}

function logged(repo: TestRepository, tip: string, pathspec: string): string[] {
  const output = repo.git('log', '--format=%H', tip, '--', pathspec);
  return output === '' ? [] : output.split('\n');
}

describeEngines(({ openAt }) => {
  describe('history', () => {
    it('tells who, when, what, and both blobs of each change, newest first', async () => {
      const repo = makeRepository(freshPath());
      const first = repo.commit({ 'a.mlv': '1', 'b/c.mlv': '1', 'x.txt': '1' }, 'one');
      const blob = (revision: string): string => repo.git('rev-parse', revision);
      repo.commit({ 'x.txt': '2' }, 'of no interest');
      repo.env['GIT_AUTHOR_NAME'] = 'Zoë <odd> Ωmega';
      repo.env['GIT_AUTHOR_EMAIL'] = 'zoe@example.com';
      repo.write({ 'a.mlv': '2', 'b/c.mlv': null, 'new.mlv': 'n' });
      repo.git('add', '--all');
      const env = { date: '2024-06-30T23:30:00-0730' };
      repo.env['GIT_AUTHOR_DATE'] = env.date;
      repo.git('commit', '--quiet', '-m', '\n:subject over\ntwo lines\n\nand a body');
      const second = repo.git('rev-parse', 'HEAD');
      const git = await openAt(repo.root);
      expect(await historyOf(git, second)).toEqual([
        {
          commit: second,
          author: { name: repo.git('log', '-1', '--format=%an'), email: 'zoe@example.com' },
          date: '2024-06-30T23:30:00-07:30',
          subject: ':subject over two lines',
          changes: [
            { path: 'a.mlv', before: blob(`${first}:a.mlv`), after: blob('HEAD:a.mlv') },
            { path: 'b/c.mlv', before: blob(`${first}:b/c.mlv`), after: undefined },
            { path: 'new.mlv', before: undefined, after: blob('HEAD:new.mlv') },
          ],
        },
        {
          commit: first,
          author: { name: 'Ada', email: 'ada@example.com' },
          date: expect.stringMatching(/^2024-01-01T00:\d\d:00\+00:00$/),
          subject: 'one',
          changes: [
            { path: 'a.mlv', before: undefined, after: blob(`${first}:a.mlv`) },
            { path: 'b/c.mlv', before: undefined, after: blob(`${first}:b/c.mlv`) },
          ],
        },
      ]);
    });

    it('simplifies merges as git log does', async () => {
      const repo = makeBranchyRepository(freshPath());
      repo.git('checkout', '--quiet', '-b', 'topic', 'main~2');
      repo.commit({ 'models/net.mlv': 'topic' });
      repo.git('checkout', '--quiet', 'main');
      repo.commit({ 'unrelated.txt': 'u' });
      repo.git('merge', '--quiet', '-m', 'brings models', 'topic');
      repo.commit({ 'data.mlv': 'last' });
      const git = await openAt(repo.root);
      for (const path of ['data.mlv', 'models/net.mlv']) {
        const expected = logged(repo, 'main', path);
        expect(expected.length).toBeGreaterThan(1);
        expect((await historyOf(git, repo.git('rev-parse', 'main'), path)).map(({ commit }) => commit)).toEqual(
          expected,
        );
      }
      const all = await historyOf(git, repo.git('rev-parse', 'main'));
      expect(all.map(({ commit }) => commit)).toEqual(logged(repo, 'main', ':(glob)**/*.mlv'));
    });

    it('a merge that made a version of its own is told against its first parent', async () => {
      const repo = makeBranchyRepository(freshPath());
      const git = await openAt(repo.root);
      const [newest] = await historyOf(git, repo.commits.evil, 'data.mlv');
      const blob = (commit: string): string => repo.git('rev-parse', `${commit}:data.mlv`);
      expect(newest).toMatchObject({
        commit: repo.commits.evil,
        changes: [{ path: 'data.mlv', before: blob(`${repo.commits.evil}^1`), after: blob(repo.commits.evil) }],
      });
    });

    it('ends where a shallow clone does', async () => {
      const repo = makeRepository(freshPath());
      for (const version of ['1', '2', '3']) repo.commit({ 'a.mlv': version });
      const shallow = `${repo.root}-shallow`;
      repo.git('clone', '--quiet', '--depth=2', `file://${repo.root}`, shallow);
      const git = await openAt(shallow);
      const found = await historyOf(git, repo.git('rev-parse', 'HEAD'));
      expect(found.map(({ commit }) => commit)).toEqual(logged(repo, 'HEAD', 'a.mlv').slice(0, 2));
      expect(found[1]?.changes).toEqual([{ path: 'a.mlv', before: undefined, after: expect.any(String) }]);
    });

    it('is what git says, whatever the settings of the user', async () => {
      const repo = makeRepository(freshPath());
      const content = 'the same long content\n'.repeat(20);
      repo.commit({ 'a.mlv': content });
      repo.commit({ 'a.mlv': null, 'b.mlv': content });
      const before = await historyOf(await openAt(repo.root), repo.git('rev-parse', 'HEAD'));
      expect(before[0]?.changes.map(({ path }) => path)).toEqual(['a.mlv', 'b.mlv']);
      for (const [key, value] of [
        ['diff.renames', 'copies'],
        ['log.showSignature', 'true'],
        ['log.date', 'relative'],
        ['log.follow', 'true'],
        ['color.ui', 'always'],
        ['i18n.logOutputEncoding', 'latin1'],
        ['diff.noprefix', 'true'],
      ] as const)
        repo.git('config', key, value);
      expect(await historyOf(await openAt(repo.root), repo.git('rev-parse', 'HEAD'))).toEqual(before);
    });

    it('names a commit that is not there', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'a.mlv': '1' });
      const git = await openAt(repo.root);
      await expect(historyOf(git, 'f'.repeat(40))).rejects.toThrow(failing('git-object-missing', 'fff'));
    });
  });

  describe('mergeBase', () => {
    it('is what git merge-base says', async () => {
      const repo = makeBranchyRepository(freshPath());
      const git = await openAt(repo.root);
      const commits = repo.git('rev-list', '--all').split('\n');
      for (const a of commits)
        for (const b of commits)
          expect(await git.mergeBase(a as CommitId, b as CommitId)).toBe(repo.git('merge-base', a, b));
    });

    it('is the nearest one, though a shorter way leads to an older one', async () => {
      const repo = makeRepository(freshPath());
      const root = repo.commit({ a: '0' });
      const nearest = repo.commit({ a: '1' });
      for (const version of ['2', '3', '4', '5']) repo.commit({ a: version });
      repo.git('merge', '--quiet', '--no-ff', '-m', 'm', 'HEAD');
      const tree = repo.git('rev-parse', 'HEAD^{tree}');
      const left = repo.git('commit-tree', '-m', 'l', '-p', root, '-p', 'HEAD', tree);
      const right = repo.git('commit-tree', '-m', 'r', '-p', root, '-p', nearest, tree);
      const git = await openAt(repo.root);
      expect(await git.mergeBase(left as CommitId, right as CommitId)).toBe(nearest);
    });

    it('is undefined for histories that have nothing in common', async () => {
      const repo = makeRepository(freshPath());
      const one = repo.commit({ a: '1' });
      repo.git('checkout', '--quiet', '--orphan', 'other');
      const two = repo.commit({ a: '2' });
      const git = await openAt(repo.root);
      expect(await git.mergeBase(one as CommitId, two as CommitId)).toBeUndefined();
      rmSync(join(repo.root, '.git/objects', one.slice(0, 2), one.slice(2)));
      const again = await openAt(repo.root);
      await expect(again.mergeBase(one as CommitId, two as CommitId)).rejects.toThrow(
        failing('git-object-missing', one),
      );
    });
  });
});
