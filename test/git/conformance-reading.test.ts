/** One suite, both implementations: what the git program answers, isomorphic-git answers too, or says by name that it cannot. Files, refs, history. */
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CommitId, GitFileVersion } from '../../src/git/git.ts';
import { makeBranchyRepository, makeRepository, type TestRepository } from '../support/git.ts';
import { POINTERS, anything, describeEngines, failing, freshPath, isPointer, versions } from './rig.ts';

describeEngines(({ openAt }) => {
  describe('reading files', () => {
    it('lists the files of a commit: accepted ones, by path, no links, no submodules', async () => {
      const repo = makeRepository(freshPath());
      makeRepository(join(repo.root, '../library')).commit({ x: '1' });
      repo.write({
        'b.mlv': 'b',
        'a/z.mlv': 'z',
        'a.mlv': 'a',
        'a/é \t"\\.mlv': 'odd',
        'run.sh.mlv': 'x',
        'note.txt': 'n',
      });
      repo.write({ ':(top)x.mlv': 'magic', '*.mlv': 'star', '-n.mlv': 'dash' });
      chmodSync(join(repo.root, 'run.sh.mlv'), 0o755);
      symlinkSync('a.mlv', join(repo.root, 'link.mlv'));
      repo.git('submodule', '--quiet', 'add', '../library', 'sub.mlv');
      const head = repo.commit({}) as CommitId;
      const git = await openAt(repo.root);
      const paths = ['*.mlv', '-n.mlv', ':(top)x.mlv', 'a.mlv', 'a/z.mlv', 'a/é \t"\\.mlv', 'b.mlv', 'run.sh.mlv'];
      const files = paths.map((path) => ({ path, blob: repo.git('rev-parse', `HEAD:${path}`) }));
      expect(await git.listFiles(head, isPointer)).toEqual(files);
      expect(await git.listIndex(isPointer)).toEqual(files);
      expect((await versions(git, [head])).map(({ path }) => path).sort()).toEqual(paths);
      for (const { path, blob } of files) {
        expect(await git.readFile(head, path)).toEqual(await git.readBlob(blob));
      }
      expect((await git.readFile(head, ':(top)x.mlv'))?.toString()).toBe('magic');
      for (const path of ['a', 'nothing', 'a/nothing', 'a.mlv/below', 'sub.mlv', 'sub.mlv/x']) {
        expect(await git.readFile(head, path)).toBeUndefined();
      }
    });

    it('reads blobs byte for byte, empty, binary and large, many at once', async () => {
      const repo = makeRepository(freshPath());
      const large = Buffer.alloc(3_000_000, Buffer.from([0, 10, 255, 7, 128]));
      const contents = {
        empty: Buffer.alloc(0),
        binary: Buffer.from([0, 255, 10, 13]),
        large,
        'line\nbreak': Buffer.from('l'),
      };
      const head = repo.commit(contents) as CommitId;
      const git = await openAt(repo.root);
      const read = await Promise.all(Object.keys(contents).map(async (path) => git.readFile(head, path)));
      expect(read.every((bytes, n) => bytes?.equals(Object.values(contents)[n] ?? Buffer.alloc(0)))).toBe(true);
      const blob = repo.git('rev-parse', 'HEAD:binary');
      const again = await Promise.all(Array.from({ length: 500 }, async () => git.readBlob(blob)));
      expect(again.every((bytes) => bytes.equals(contents.binary))).toBe(true);
    });

    it('names an object that is not there', async () => {
      const repo = makeRepository(freshPath());
      const head = repo.commit({ a: '1' }) as CommitId;
      const git = await openAt(repo.root);
      const missing = '1'.repeat(40);
      await expect(git.readBlob(missing)).rejects.toThrow(failing('git-object-missing', missing));
      await expect(git.readBlob(head)).rejects.toThrow(failing('git-object-missing', head));
      await expect(git.readFile(missing as CommitId, 'a')).rejects.toThrow(failing('git-object-missing', missing));
      await expect(versions(git, [missing])).rejects.toThrow(failing('git-object-missing', missing));
      // The reader still answers.
      expect((await git.readFile(head, 'a'))?.toString()).toBe('1');
    });

    it('sees commits, packs and files made after it was opened', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'a.mlv': '1' });
      const git = await openAt(repo.root);
      await git.readBlob(repo.git('rev-parse', 'HEAD:a.mlv'));
      const second = repo.commit({ 'a.mlv': '2' });
      repo.git('gc', '--quiet', '--prune=now');
      expect(await git.head()).toBe(second);
      expect((await git.readFile(second as CommitId, 'a.mlv'))?.toString()).toBe('2');
      expect(await git.listIndex(anything)).toEqual([{ path: 'a.mlv', blob: repo.git('rev-parse', 'HEAD:a.mlv') }]);
    });

    it('reads again after close', async () => {
      const repo = makeRepository(freshPath());
      const head = repo.commit({ a: '1' }) as CommitId;
      const git = await openAt(repo.root);
      await git.readFile(head, 'a');
      await git.close();
      expect((await git.readFile(head, 'a'))?.toString()).toBe('1');
    });
  });

  describe('listRefs', () => {
    it('lists branches, tags and others by prefix, peeled, loose and packed, without what leads to no commit', async () => {
      const repo = makeBranchyRepository(freshPath());
      const { side, merge, dropped, evil } = repo.commits;
      repo.git('tag', '-a', '-m', 'one', 'v1', merge);
      repo.git('tag', '-a', '-m', 'two', 'v2', 'v1');
      repo.git('tag', 'tree', 'main^{tree}');
      repo.git('update-ref', 'refs/remotes/origin/main', side);
      repo.git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/main');
      repo.git('pack-refs', '--all');
      repo.git('branch', '--force', 'side', side);
      repo.git('update-ref', 'refs/mlv/kept', merge);
      repo.git('branch', 'loose', dropped);
      const git = await openAt(repo.root);
      const refs = async (...prefixes: string[]): Promise<Record<string, string>> =>
        Object.fromEntries((await git.listRefs(prefixes)).map(({ name, commit }) => [name, commit]));
      expect(await refs('refs/heads/')).toEqual({
        'refs/heads/loose': dropped,
        'refs/heads/main': evil,
        'refs/heads/other': repo.git('rev-parse', 'other'),
        'refs/heads/side': side,
      });
      expect(await refs('refs/tags/', 'refs/mlv/')).toEqual({
        'refs/mlv/kept': merge,
        'refs/tags/v1': merge,
        'refs/tags/v2': merge,
      });
      expect(await refs('refs/heads/ma', 'refs/remotes/')).toEqual({
        'refs/heads/main': evil,
        'refs/remotes/origin/HEAD': side,
        'refs/remotes/origin/main': side,
      });
      expect(await refs()).toEqual({});
      expect(Object.keys(await refs('refs/'))).toHaveLength(9);
    });
  });

  describe('fileVersions', () => {
    const named = (repo: TestRepository, found: GitFileVersion[]): string[] =>
      found.map(({ path, blob, commit }) => {
        expect(repo.git('rev-parse', `${commit}:${path}`)).toBe(blob);
        return `${path}=${repo.git('cat-file', 'blob', blob)}`;
      });

    it('finds versions of dropped side branches and evil merges, each once, newest first', async () => {
      const repo = makeBranchyRepository(freshPath());
      const git = await openAt(repo.root);
      const all = await versions(git, [repo.commits.evil]);
      expect(named(repo, all)).toEqual([
        'data.mlv=evil',
        'data.mlv=main',
        'data.mlv=side 2',
        'data.mlv=side 1',
        'data.mlv=base',
        'models/net.mlv=net',
      ]);
      expect(named(repo, await versions(git, [repo.commits.merge], [repo.commits.main]))).toEqual([
        'data.mlv=main',
        'data.mlv=side 2',
        'data.mlv=side 1',
      ]);
    });

    it('leaves out what excluded commits introduced, and excluded commits that are not here', async () => {
      const repo = makeBranchyRepository(freshPath());
      const git = await openAt(repo.root);
      const { evil, merge, main, side, dropped } = repo.commits;
      expect(named(repo, await versions(git, [evil], [merge, '2'.repeat(40)]))).toEqual(['data.mlv=evil']);
      expect(await versions(git, [main], [evil])).toEqual([]);
      expect(await versions(git, [])).toEqual([]);
      expect(named(repo, await versions(git, [dropped, side], [side]))).toEqual(['data.mlv=side 2']);
    });

    it('with what excluded commits have, it is every version in the range', async () => {
      const repo = makeBranchyRepository(freshPath());
      repo.commit({ 'data.mlv': null, 'moved/data.mlv': 'evil', 'twin.mlv': 'evil' });
      repo.commit({ models: null });
      repo.commit({ models: 'file now' });
      const tip = repo.commit({ models: null, 'models/net.mlv': 'net', 'data.mlv': 'base' });
      const git = await openAt(repo.root);
      const inTrees = (...commits: string[]): Set<string> =>
        new Set(
          commits
            .flatMap((commit) => repo.git('ls-tree', '-r', commit).split('\n'))
            .filter((line) => line.endsWith('.mlv')),
        );
      for (const exclude of [
        [],
        [repo.commits.side],
        [repo.commits.merge],
        [repo.commits.main, repo.commits.dropped],
      ]) {
        const range = repo.git('rev-list', tip, ...exclude.map((id) => `^${id}`)).split('\n');
        const found = (await versions(git, [tip], exclude)).map(({ path, blob }) => `100644 blob ${blob}\t${path}`);
        expect(new Set([...found, ...inTrees(...exclude)])).toEqual(inTrees(...range, ...exclude));
        expect(new Set(found).size).toBe(found.length);
      }
    });

    it('can be left early', async () => {
      const repo = makeBranchyRepository(freshPath());
      const git = await openAt(repo.root);
      const range = { tips: [repo.commits.evil as CommitId], exclude: [] };
      for await (const { path } of git.fileVersions({ ...range, accept: isPointer, pathspecs: POINTERS })) {
        expect(path).toBe('data.mlv');
        break;
      }
      expect(await git.head()).toBe(repo.commits.evil);
    });

    it('does not follow the settings of git log and git diff', async () => {
      const repo = makeBranchyRepository(freshPath());
      const before = await versions(await openAt(repo.root), [repo.commits.evil]);
      writeFileSync(join(repo.root, '.git/order'), '*net*\n');
      for (const [key, value] of Object.entries({
        'log.showRoot': 'false',
        'log.follow': 'true',
        'log.showSignature': 'true',
        'log.diffMerges': 'off',
        'diff.orderFile': '.git/order',
        'diff.renames': 'copies',
        'diff.relative': 'true',
        'diff.noprefix': 'true',
        'diff.ignoreSubmodules': 'all',
        'core.quotePath': 'true',
        'core.abbrev': '5',
        'core.pager': 'false',
        'color.ui': 'always',
        'format.pretty': 'oneline',
        'alias.diff-tree': '!false',
        'alias.rev-list': '!false',
      })) {
        repo.git('config', key, value);
      }
      expect(await versions(await openAt(repo.root), [repo.commits.evil])).toEqual(before);
    });
  });
});
