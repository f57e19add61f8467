/** One suite, both implementations: every form of revision that gitrevisions(7) has, beside those of `conformance-revisions`. */
import { beforeAll, describe, expect, it } from 'vitest';
import { makeBranchyRepository, makeRepository, repositoryAt, type TestRepository } from '../support/git.ts';
import { describeEngines, failing, freshPath } from './rig.ts';

describeEngines(({ isProgram, openAt }) => {
  let repo: TestRepository;
  beforeAll(() => {
    const origin = makeBranchyRepository(freshPath());
    origin.git('clone', '--quiet', '.', '../clone');
    repo = repositoryAt(`${origin.root}/../clone`);
    const { git } = repo;
    repo.commit({ 'data.mlv': 'here' }, 'Record the data of August');
    git('checkout', '--quiet', '-b', 'topic', '--track', 'origin/side');
    repo.commit({ 'data.mlv': 'there' }, 'Try another one');
    git('checkout', '--quiet', 'main');
    repo.write({ 'data.mlv': 'unfinished' });
    git('stash', '--quiet');
    git('tag', '-a', '-m', 'annotated', 'v1.0', 'main~1');
    git('fetch', '--quiet', 'origin', 'other', 'main');
    git('update-ref', '--no-deref', 'ORIG_HEAD', 'main~1');
  });

  const NEEDS_REFLOG =
    '@{0} @{1} HEAD@{1} main@{0} main@{1} @{yesterday} main@{1.minute.ago} @{2000-01-01} stash@{0} @{-1}';
  const NEEDS_CONFIG = '@{u} @{upstream} topic@{u} main@{upstream} main@{push} @{-1}@{u}';
  const NEEDS_SEARCH = [':/August', ':/^merge', 'HEAD^{/merge}', 'topic^{/^commit}', '@{-1}^{/another}~1'];
  const NEEDS_GIT = [...`${NEEDS_REFLOG} ${NEEDS_CONFIG}`.split(' '), ...NEEDS_SEARCH];
  it.each(NEEDS_GIT)('%s: what the git program says, or a refusal by name', async (revision) => {
    const git = await openAt(repo.root);
    // `:/text^{commit}` would look for that text.
    const expected = repo.git('rev-parse', revision);
    if (isProgram) expect(await git.resolve(revision)).toBe(expected);
    else await expect(git.resolve(revision)).rejects.toThrow(failing('revision-unsupported', revision));
  });

  it.each('stash refs/stash stash^2 FETCH_HEAD FETCH_HEAD~1 ORIG_HEAD v1.0^0 origin/side~1'.split(' '))(
    '%s',
    async (revision) => {
      const git = await openAt(repo.root);
      expect(await git.resolve(revision)).toBe(repo.git('rev-parse', `${revision}^{commit}`));
    },
  );

  it('MERGE_HEAD while several branches are merged is the first', async () => {
    const { root, git } = makeBranchyRepository(freshPath());
    git('checkout', '--quiet', '-b', 'third', 'main~1');
    repositoryAt(root).commit({ third: '3' });
    git('checkout', '--quiet', '-b', 'fourth', 'main~1');
    repositoryAt(root).commit({ fourth: '4' });
    git('checkout', '--quiet', 'main');
    git('merge', '--quiet', '--no-commit', 'third', 'fourth');
    const engine = await openAt(root);
    expect(await engine.resolve('MERGE_HEAD')).toBe(git('rev-parse', 'third'));
  });

  it.each([
    'HEAD:data.mlv',
    'HEAD^{tree}',
    'HEAD^{blob}',
    'main:',
    ':data.mlv',
    'main..topic',
    'main...topic',
    '^main',
    'HEAD^@',
    'HEAD^!',
    'main@{99}',
    'v1.0@{u}',
    '@{-9}',
    ':/nobody wrote this',
    'HEAD^{/nobody wrote this}',
    '@{',
    'HEAD^{',
  ])('%s names no commit', async (revision) => {
    const git = await openAt(repo.root);
    const codes = ['revision-unknown', ...(isProgram ? [] : ['revision-unsupported'])];
    await expect(git.resolve(revision)).rejects.toThrow(
      expect.objectContaining({ name: 'MlvError', code: expect.toSatisfy((code: string) => codes.includes(code)) }),
    );
  });

  it('a tree or a blob, by its id or a tag of it, names no commit', async () => {
    const git = await openAt(repo.root);
    repo.git('tag', '--force', 'a-blob', 'HEAD:data.mlv');
    repo.git('tag', '--force', '-a', '-m', 'tree', 'a-tree', 'HEAD^{tree}');
    for (const name of [
      'a-blob',
      'a-tree',
      repo.git('rev-parse', 'HEAD:data.mlv'),
      repo.git('rev-parse', 'HEAD^{tree}'),
    ]) {
      await expect(git.resolve(name)).rejects.toThrow(failing('revision-unknown', name));
      if (/^[0-9a-f]{40}$/.test(name))
        await expect(git.resolve(name.slice(0, 9))).rejects.toThrow(failing('revision-unknown', name.slice(0, 9)));
    }
  });

  describe('names that could be several things', () => {
    it('a branch named like an id counts before the short id, and after the whole one', async () => {
      const { root, git, commit } = makeRepository(freshPath());
      const first = commit({ a: '1' });
      const second = commit({ a: '2' });
      git('update-ref', `refs/heads/${second.slice(0, 7)}`, first);
      git('update-ref', `refs/heads/${second}`, first);
      git('update-ref', 'refs/heads/deadbeef', second);
      const engine = await openAt(root);
      for (const [revision, id] of [
        [second.slice(0, 7), first],
        [second.slice(0, 8), second],
        [second, second],
        ['deadbeef', second],
      ] as const) {
        expect(git('rev-parse', revision)).toBe(id);
        expect(await engine.resolve(revision)).toBe(id);
      }
    });

    it('a tag counts before a branch, a branch before one of a remote, and full names are what they say', async () => {
      const { root, git, commit } = makeRepository(freshPath());
      const [one, two, three] = [commit({ a: '1' }), commit({ a: '2' }), commit({ a: '3' })];
      git('update-ref', 'refs/tags/same', one);
      git('update-ref', 'refs/heads/same', two);
      git('update-ref', 'refs/remotes/same/HEAD', three);
      git('update-ref', 'refs/heads/HEAD', one);
      const engine = await openAt(root);
      for (const revision of ['same', 'tags/same', 'heads/same', 'refs/heads/same', 'HEAD', 'heads/HEAD'])
        expect([revision, await engine.resolve(revision)]).toEqual([revision, git('rev-parse', revision)]);
      expect(await engine.resolve('same')).toBe(one);
      git('update-ref', '-d', 'refs/tags/same');
      expect(await engine.resolve('same')).toBe(two);
      git('pack-refs', '--all');
      expect(await engine.resolve('same')).toBe(two);
      git('update-ref', '-d', 'refs/heads/same');
      expect(await engine.resolve('same')).toBe(three);
    });

    it('branches with unusual names, loose and packed, checked out and renamed', async () => {
      const words =
        'feature/ü a.b-c_d x@y {x} "quoted" it\'s $HOME semi;colon a|b (x) #1 100% !x a,b + = @@ head'.split(' ');
      const names = [...words, 'v1.0-3-gdeadbee', 'x'.repeat(200), 'café/日本/🚀', 'no\u00a0break'];
      const { root, git, commit } = makeRepository(freshPath());
      const first = commit({ a: '1' });
      commit({ a: '2' });
      for (const name of names) git('branch', name, first);
      const engine = await openAt(root);
      for (const isPacked of [false, true]) {
        if (isPacked) git('pack-refs', '--all');
        for (const name of names) {
          expect([name, await engine.resolve(name)]).toEqual([name, first]);
          expect(await engine.resolve(`refs/heads/${name}^0`)).toBe(first);
        }
        const listed = (await engine.listRefs(['refs/heads/'])).map((ref) => ref.name);
        expect(listed).toEqual(['main', ...names].map((name) => `refs/heads/${name}`).sort());
      }
      for (const name of names) {
        git('symbolic-ref', 'HEAD', `refs/heads/${name}`);
        expect([await engine.currentBranch(), await engine.head()]).toEqual([name, first]);
      }
      const last = names.at(-1) ?? '';
      git('branch', '--move', last, 'renamed');
      expect(await engine.currentBranch()).toBe('renamed');
      await expect(engine.resolve(last)).rejects.toThrow(failing('revision-unknown', last));
    });
  });
});
