/** One suite, both implementations: what the git program answers, isomorphic-git answers too, or says by name that it cannot. Revisions. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeBranchyRepository, makeRepository } from '../support/git.ts';
import { anything, describeEngines, failing, freshPath } from './rig.ts';

describeEngines(({ isProgram, openAt }) => {
  describe('resolve', () => {
    let repo: ReturnType<typeof makeBranchyRepository>;
    beforeAll(() => {
      repo = makeBranchyRepository(freshPath());
      repo.git('tag', 'light', 'side');
      repo.git('tag', '-a', '-m', 'annotated', 'v1.0', 'main~1');
      repo.git('tag', '-a', '-m', 'nested', 'nested', 'v1.0');
      repo.git('update-ref', 'refs/remotes/origin/topic/x', 'side');
      repo.git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/topic/x');
      repo.git('update-ref', 'refs/mlv/kept', 'side~1');
      repo.git('branch', 'topic/x', 'main~2');
      repo.git('branch', 'ambiguous', 'side');
      repo.git('tag', 'ambiguous', 'main');
      repo.git('tag', 'a-tree', 'main^{tree}');
    });

    const NAMES = 'HEAD @ main side light v1.0 nested origin/topic/x origin topic/x ambiguous mlv/kept refs/mlv/kept';
    const FULLER = 'refs/heads/side heads/side tags/v1.0 remotes/origin/topic/x v1.0^{commit} nested^{} HEAD^{}~1';
    const STEPS = 'HEAD~1 HEAD~ @~2 HEAD^ HEAD^1 HEAD^2 HEAD^0 HEAD~0 main~1^2~1 v1.0^2 v1.0~ side^^';
    it.each(`${NAMES} ${FULLER} ${STEPS}`.split(' '))('%s', async (revision) => {
      const git = await openAt(repo.root);
      expect(await git.resolve(revision)).toBe(repo.git('rev-parse', `${revision}^{commit}`));
    });

    it('full and short object ids, also of annotated tags', async () => {
      const git = await openAt(repo.root);
      for (const name of ['main', 'v1.0']) {
        const id = repo.git('rev-parse', name);
        const commit = repo.git('rev-parse', `${name}^{commit}`);
        expect(await git.resolve(id)).toBe(commit);
        expect(await git.resolve(id.slice(0, 10))).toBe(commit);
        expect(await git.resolve(id.slice(0, 10).toUpperCase())).toBe(commit);
        expect(await git.resolve(`${id.slice(0, 10)}^0`)).toBe(commit);
      }
    });

    const UNKNOWN = 'nothing HEAD~99 HEAD^3 a-tree deadbeef refs/heads config index -x --all ^HEAD'.split(' ');
    it.each([...UNKNOWN, 'f'.repeat(40), '', 'main\nside', 'x'.repeat(5000)])(
      'refuses %j as unknown',
      async (revision) => {
        const git = await openAt(repo.root);
        await expect(git.resolve(revision)).rejects.toThrow(failing('revision-unknown'));
      },
    );

    it.each(['HEAD@{0}', 'main..side', ':/merge', 'HEAD:data.mlv', 'v1.0^{/merge}', '../x'])('%s', async (revision) => {
      const git = await openAt(repo.root);
      if (!isProgram) await expect(git.resolve(revision)).rejects.toThrow(failing('revision-unsupported', revision));
      else if (['HEAD@{0}', ':/merge', 'v1.0^{/merge}'].includes(revision))
        expect(await git.resolve(revision)).toMatch(/^[0-9a-f]{40}$/);
      else await expect(git.resolve(revision)).rejects.toThrow(failing('revision-unknown', revision));
    });

    it('a short id of two commits is ambiguous', async () => {
      const many = makeRepository(freshPath());
      const ids = new Map<string, string>();
      const tree = many.git('hash-object', '-w', '-t', 'tree', '/dev/null');
      let short: string | undefined;
      for (let n = 0; short === undefined && n < 400; n++) {
        const id = many.git('commit-tree', '-m', `${n}`, tree);
        if (ids.has(id.slice(0, 4))) short = id.slice(0, 4);
        ids.set(id.slice(0, 4), id);
        if (n === 0) many.git('update-ref', 'refs/heads/main', id);
      }
      const git = await openAt(many.root);
      await expect(git.resolve(short ?? '')).rejects.toThrow(failing('revision-ambiguous', short));
    }, 20_000);
  });

  describe('head and currentBranch', () => {
    it('on a branch, detached, and on a branch without commits', async () => {
      const repo = makeRepository(freshPath());
      const git = await openAt(repo.root);
      repo.git('checkout', '--quiet', '--orphan', 'topic/née');
      expect(await git.head()).toBeUndefined();
      expect(await git.currentBranch()).toBe('topic/née');
      await expect(git.resolve('HEAD')).rejects.toThrow(failing('revision-unknown', 'HEAD'));
      expect(await git.listIndex(anything)).toEqual([]);
      expect(await git.listRefs(['refs/'])).toEqual([]);
      const first = repo.commit({ a: '1' });
      expect(await git.head()).toBe(first);
      repo.git('checkout', '--quiet', '--detach');
      expect(await git.currentBranch()).toBeUndefined();
      expect(await git.head()).toBe(first);
    });
  });

  it('a HEAD whose commit is lost is not a branch without commits', async () => {
    const repo = makeRepository(freshPath());
    const head = repo.commit({ a: '1' });
    rmSync(join(repo.root, '.git/objects', head.slice(0, 2), head.slice(2)));
    const git = await openAt(repo.root);
    await expect(git.head()).rejects.toThrow(failing('git-object-missing', head));
  });
});
