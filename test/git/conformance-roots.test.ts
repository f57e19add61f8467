/** One suite, both implementations: what the git program answers, isomorphic-git answers too, or says by name that it cannot. What garbage collection asks. */
import { chmodSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CommitId, GitRepository } from '../../src/git/git.ts';
import { makeBranchyRepository, makeRepository, repositoryAt, type TestRepository } from '../support/git.ts';
import { anything, describeEngines, failing, freshPath, isPointer } from './rig.ts';

const removeObject = (repo: TestRepository, id: string): void =>
  rmSync(join(repo.root, '.git/objects', id.slice(0, 2), id.slice(2)));

/** Commits, then goes back: only the reflog has it. */
function abandonedCommit(repo: TestRepository, content: string): string {
  const id = repo.commit({ 'abandoned.mlv': content });
  repo.git('reset', '--quiet', '--hard', 'HEAD~1');
  return id;
}

describeEngines(({ isProgram, openAt }) => {
  describe('reflogCommits', () => {
    const reflog = async (repo: TestRepository): Promise<string[]> =>
      (await (await openAt(repo.root)).reflogCommits()).sort();

    it('is empty where there are no commits, and where there are no reflogs', async () => {
      const repo = makeRepository(freshPath());
      expect(await reflog(repo)).toEqual([]);
      repo.commit({ a: '1' });
      rmSync(join(repo.root, '.git/logs'), { recursive: true });
      expect(await reflog(repo)).toEqual([]);
    });

    it('names each commit once, those of other work trees and of removed ones too, whichever is asked', async () => {
      const main = makeRepository(freshPath());
      const first = main.commit({ a: '1' });
      const inMain = abandonedCommit(main, 'main');
      main.git('checkout', '--quiet', '-b', 'topic/deep');
      const deep = abandonedCommit(main, 'deep');
      main.git('worktree', 'add', '--quiet', '--detach', '../linked');
      const linked = repositoryAt(join(main.root, '../linked'));
      const inLinked = abandonedCommit(linked, 'linked');
      const all = [first, inMain, deep, inLinked].sort();
      expect(await reflog(main)).toEqual(all);
      expect(await reflog(linked)).toEqual(all);
      main.git('pack-refs', '--all');
      rmSync(linked.root, { recursive: true });
      expect(await reflog(main)).toEqual(all);
    });

    it('names what came before the oldest step', async () => {
      const repo = makeRepository(freshPath());
      const first = repo.commit({ a: '1' });
      rmSync(join(repo.root, '.git/logs'), { recursive: true });
      repo.git('checkout', '--quiet', '--orphan', 'other');
      const second = repo.commit({ a: '2' });
      repo.git('update-ref', '--create-reflog', 'refs/mlv/moved', first);
      rmSync(join(repo.root, '.git/logs'), { recursive: true });
      repo.git('update-ref', '--create-reflog', 'refs/mlv/moved', second);
      expect(await reflog(repo)).toEqual([first, second].sort());
    });

    it('takes tags for what they lead to, and leaves out trees and blobs', async () => {
      const repo = makeRepository(freshPath());
      const tagged = repo.commit({ a: '1' });
      repo.git('tag', '--create-reflog', '-a', '-m', 'one', 'v1', tagged);
      repo.git('tag', '--create-reflog', '-a', '-m', 'two', 'v2', 'v1');
      repo.git('tag', '--create-reflog', 'tree', 'HEAD^{tree}');
      repo.git('tag', '--create-reflog', 'blob', 'HEAD:a');
      rmSync(join(repo.root, '.git/logs/HEAD'));
      rmSync(join(repo.root, '.git/logs/refs/heads'), { recursive: true });
      expect(await reflog(repo)).toEqual([tagged]);
      removeObject(repo, tagged);
      await expect(reflog(repo)).rejects.toThrow(failing('git-object-missing', tagged));
    });

    it('leaves out commits that are no longer there', async () => {
      const repo = makeRepository(freshPath());
      const kept = repo.commit({ a: '1' });
      const gone = abandonedCommit(repo, 'gone');
      const there = abandonedCommit(repo, 'there');
      removeObject(repo, gone);
      expect(await reflog(repo)).toEqual([kept, there].sort());
    });

    describe('stashes', () => {
      /** Two stashes, the older with untracked files; HEAD's and main's reflogs do not name their parts. */
      function stashed(): {
        repo: TestRepository;
        head: string;
        older: [commit: string, index: string, untracked: string];
        newer: [commit: string, index: string];
      } {
        const repo = makeRepository(freshPath());
        const head = repo.commit({ a: '1' });
        repo.write({ a: '2', staged: 's', 'untracked.mlv': 'u' });
        repo.git('add', 'staged');
        repo.git('stash', '--quiet', '--include-untracked');
        repo.write({ a: '3' });
        repo.git('stash', '--quiet');
        const id = (name: string): string => repo.git('rev-parse', name);
        return {
          repo,
          head,
          older: [id('stash@{1}'), id('stash@{1}^2'), id('stash@{1}^3')],
          newer: [id('stash@{0}'), id('stash@{0}^2')],
        };
      }

      it('with what they are made of, from any work tree', async () => {
        const { repo, head, older, newer } = stashed();
        repo.git('worktree', 'add', '--quiet', '--detach', '../linked');
        const all = [head, ...older, ...newer].sort();
        expect(new Set(all).size).toBe(6);
        expect(await reflog(repo)).toEqual(all);
        expect(await reflog(repositoryAt(join(repo.root, '../linked')))).toEqual(all);
        // Everything is needed to apply it again.
        rmSync(join(repo.root, '.git/logs/HEAD'));
        rmSync(join(repo.root, '.git/logs/refs/heads'), { recursive: true });
        rmSync(join(repo.root, '.git/worktrees'), { recursive: true });
        expect(await reflog(repo)).toEqual(all);
      });

      it('without parts and stashes that are no longer there', async () => {
        const { repo, head, older, newer } = stashed();
        removeObject(repo, newer[1]);
        expect(await reflog(repo)).toEqual([head, ...older, newer[0]].sort());
        removeObject(repo, older[0]);
        expect(await reflog(repo)).toEqual([head, newer[0]].sort());
      });

      it('where only the ref is left', async () => {
        const { repo, head, newer } = stashed();
        rmSync(join(repo.root, '.git/logs/refs/stash'));
        expect(await reflog(repo)).toEqual([head, newer[1]].sort());
      });

      it('a ref that leads nowhere is damage', async () => {
        const { repo, newer } = stashed();
        removeObject(repo, newer[0]);
        await expect(reflog(repo)).rejects.toThrow(failing('git-object-missing', newer[0]));
      });
    });

    it('where refs are kept as reftable, with a Git that can', async ({ skip }) => {
      const probe = makeRepository(freshPath());
      const [major = 0, minor = 0] = (/\d+\.\d+/.exec(probe.git('--version'))?.[0] ?? '').split('.').map(Number);
      skip(!isProgram || major < 2 || (major === 2 && minor < 45), 'reftable needs the git program, 2.45 or newer');
      const repo = makeRepository(freshPath(), '--ref-format=reftable');
      const all = [repo.commit({ a: '1' }), abandonedCommit(repo, 'x')];
      repo.write({ a: '2' });
      repo.git('stash', '--quiet');
      all.push(repo.git('rev-parse', 'stash'), repo.git('rev-parse', 'stash^2'));
      expect(await reflog(repo)).toEqual(all.sort());
    });
  });

  describe('filesOf', () => {
    async function files(git: GitRepository, commits: string[], accept = isPointer): Promise<string[]> {
      const found: string[] = [];
      for await (const { path, blob, commit } of git.filesOf({ commits: commits as CommitId[], accept })) {
        expect(commits).toContain(commit);
        found.push(`${blob} ${path}`);
      }
      return found.sort();
    }
    /** The same, by git itself. */
    const expected = (repo: TestRepository, commits: string[]): string[] => {
      const lines = commits.flatMap((id) => repo.git('ls-tree', '-r', '-z', id).split('\0'));
      const found = lines.map((line) => /^100\d+ blob (\w+)\t(.*\.mlv)$/s.exec(line));
      return [...new Set(found.flatMap((match) => (match === null ? [] : [`${match[1]} ${match[2]}`])))].sort();
    };

    it('finds every path and blob of these commits, each once, not those of their ancestors', async () => {
      const repo = makeBranchyRepository(freshPath());
      const { base, side, dropped, main, merge, evil } = repo.commits;
      const twins = repo.commit({ 'data.mlv': null, 'a/x/same.mlv': 'same', 'b/x/same.mlv': 'same', 'c.mlv': 'same' });
      const git = await openAt(repo.root);
      for (const commits of [
        [evil],
        [base, side, dropped, main, merge, evil, twins],
        [twins, base, twins],
        [side, dropped],
      ]) {
        expect(await files(git, commits)).toEqual(expected(repo, commits));
      }
      expect(expected(repo, [twins])).toHaveLength(4);
      expect(await files(git, [])).toEqual([]);
    });

    it('names a commit that has the version', async () => {
      const repo = makeBranchyRepository(freshPath());
      const git = await openAt(repo.root);
      const commits = Object.values(repo.commits) as CommitId[];
      for await (const { path, blob, commit } of git.filesOf({ commits, accept: anything })) {
        expect(repo.git('rev-parse', `${commit}:${path}`)).toBe(blob);
      }
    });

    it('takes regular files alone, whatever their names', async () => {
      const repo = makeRepository(freshPath());
      makeRepository(join(repo.root, '../library')).commit({ x: '1' });
      repo.write({ 'a/é \t"\\\n.mlv': 'odd', 'run.mlv': 'x', 'folder.mlv/a.mlv': 'a', 'a.txt': 'no' });
      chmodSync(join(repo.root, 'run.mlv'), 0o755);
      symlinkSync('run.mlv', join(repo.root, 'link.mlv'));
      repo.git('submodule', '--quiet', 'add', '../library', 'sub.mlv');
      const head = repo.commit({});
      const found = await files(await openAt(repo.root), [head]);
      expect(found).toEqual(expected(repo, [head]));
      expect(found).toHaveLength(3);
    });

    it('names a commit or a folder that is not there', async () => {
      const repo = makeRepository(freshPath());
      const head = repo.commit({ 'a/b.mlv': '1' });
      const git = await openAt(repo.root);
      const missing = '1'.repeat(40);
      await expect(files(git, [head, missing])).rejects.toThrow(failing('git-object-missing', missing));
      const folder = repo.git('rev-parse', 'HEAD:a');
      removeObject(repo, folder);
      const again = await openAt(repo.root);
      await expect(files(again, [head])).rejects.toThrow(failing('git-object-missing', folder));
    });

    it('in a partial clone, fetches or says what is missing', async () => {
      const full = makeBranchyRepository(freshPath());
      full.git('config', 'uploadpack.allowFilter', 'true');
      full.git('config', 'uploadpack.allowAnySHA1InWant', 'true');
      full.git('clone', '--quiet', '--no-checkout', '--filter=tree:0', `file://${full.root}`, '../partial');
      const git = await openAt(join(full.root, '../partial'));
      const commits = [full.commits.base, full.commits.evil];
      if (isProgram) expect(await files(git, commits)).toEqual(expected(full, commits));
      else await expect(files(git, commits)).rejects.toThrow(failing('git-object-missing'));
    });

    it('in a repository with SHA-256 ids, as for the rest', async ({ skip }) => {
      skip(!isProgram, 'isomorphic-git opens none');
      const repo = makeRepository(freshPath(), '--object-format=sha256');
      const first = repo.commit({ 'a/b.mlv': '1', 'c.mlv': '1' });
      const second = repo.commit({ 'a/b.mlv': '2', 'a/d/e.mlv': '3' });
      const git = await openAt(repo.root);
      expect(await files(git, [first, second])).toEqual(expected(repo, [first, second]));
      expect((await git.reflogCommits()).sort()).toEqual([first, second].sort());
      expect(await git.commitsSince([second as CommitId], 0)).toHaveLength(2);
    });
  });

  describe('commitsSince', () => {
    const since = async (repo: TestRepository, tips: string[], time: number): Promise<string[]> =>
      (await (await openAt(repo.root)).commitsSince(tips as CommitId[], time)).sort();

    it('finds what is as young, on every branch and also behind an older commit', async () => {
      const repo = makeRepository(freshPath());
      const at = (seconds: number, ...parents: string[]): string => {
        repo.env['GIT_COMMITTER_DATE'] = `${seconds} +0200`;
        const tree = repo.git('hash-object', '-w', '-t', 'tree', '/dev/null');
        return repo.git('commit-tree', '-m', 'c', ...parents.flatMap((id) => ['-p', id]), tree);
      };
      // The author's time (2024) is not asked.
      const root = at(1_000_000_500);
      const skewed = at(1_000_000_100, root);
      const side = at(1_000_000_300, skewed);
      const merge = at(1_000_000_200, skewed, side);
      const apart = at(1_000_000_400);
      const tips = [merge, apart];
      expect(await since(repo, tips, 1_000_000_300_000)).toEqual([root, side, apart].sort());
      expect(await since(repo, tips, 1_000_000_300_001)).toEqual([root, apart].sort());
      expect(await since(repo, tips, 0)).toEqual([root, skewed, side, merge, apart].sort());
      expect(await since(repo, [side, side], 0)).toEqual([root, skewed, side].sort());
      expect(await since(repo, tips, 2_000_000_000_000)).toEqual([]);
      expect(await since(repo, [], 0)).toEqual([]);
    });

    it('ends where a shallow clone does, and names what is missing elsewhere', async () => {
      const full = makeBranchyRepository(freshPath());
      full.git('clone', '--quiet', '--depth=2', `file://${full.root}`, '../shallow');
      const shallow = repositoryAt(join(full.root, '../shallow'));
      const there = shallow.git('rev-list', 'HEAD').split('\n').sort();
      expect(there.length).toBeLessThan(6);
      expect(await since(shallow, [full.commits.evil], 0)).toEqual(there);
      const missing = '1'.repeat(40);
      await expect(since(full, [full.commits.evil, missing], 0)).rejects.toThrow(
        failing('git-object-missing', missing),
      );
      removeObject(full, full.commits.side);
      await expect(since(full, [full.commits.evil], 0)).rejects.toThrow(
        failing('git-object-missing', full.commits.side),
      );
    });
  });
});
