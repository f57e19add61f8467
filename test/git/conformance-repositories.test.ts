/** One suite, both implementations: what the git program answers, isomorphic-git answers too, or says by name that it cannot. Kinds of repositories. */
import { appendFileSync, chmodSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/git/git.ts';
import { discoverLayout } from '../../src/git/layout.ts';
import { makeBranchyRepository, makeRepository, repositoryAt } from '../support/git.ts';
import { anything, describeEngines, failing, freshPath, isPointer, versions } from './rig.ts';

describeEngines(({ isProgram, openAt, expectReadable }) => {
  describe('kinds of repositories', () => {
    it('packed objects and refs', async () => {
      const repo = makeBranchyRepository(freshPath());
      repo.git('gc', '--quiet', '--aggressive', '--prune=now');
      const git = await expectReadable(repo, 'data.mlv', 'evil');
      expect(await git.resolve('side')).toBe(repo.commits.dropped);
    });

    it('an index with conflicts shows every side', async () => {
      const repo = makeRepository(freshPath());
      const base = repo.commit({ 'a.mlv': 'base', 'b.mlv': 'b' });
      repo.git('checkout', '--quiet', '-b', 'theirs');
      repo.commit({ 'a.mlv': 'theirs' });
      repo.git('checkout', '--quiet', 'main');
      repo.commit({ 'a.mlv': 'ours' });
      repo.gitFailing('merge', 'theirs');
      const git = await openAt(repo.root);
      const sides = [base, 'main', 'theirs'].map((commit) => repo.git('rev-parse', `${commit}:a.mlv`));
      const other = { path: 'b.mlv', blob: repo.git('rev-parse', 'HEAD:b.mlv') };
      expect(await git.listIndex(anything)).toEqual([...sides.map((blob) => ({ path: 'a.mlv', blob })), other]);
      const [before, ours, theirs] = sides;
      expect(await git.unmerged(anything)).toEqual([{ path: 'a.mlv', base: before, ours, theirs }]);
      expect(await git.unmerged((path) => path !== 'a.mlv')).toEqual([]);
      expect(await git.tracked(['a.mlv'])).toEqual(['a.mlv']);
      repo.write({ 'a.mlv': 'solved' });
      await git.stage(['a.mlv']);
      expect(await git.unmerged(anything)).toEqual([]);
      expect(repo.git('ls-files', '--unmerged')).toBe('');
      expect(repo.git('show', ':a.mlv')).toBe('solved');
    });

    it('hooks are run from where any settings file says, where the program is there to ask', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ a: '1' });
      repo.git('worktree', 'add', '--quiet', '../hooked');
      const linked = join(repo.root, '../hooked');
      if (!isProgram) {
        await expect((await openAt(repo.root)).hooksFolder()).rejects.toThrow(failing('git-program-needed'));
        return;
      }
      const folders = async (): Promise<string[]> =>
        Promise.all([repo.root, linked].map(async (root) => (await openAt(root)).hooksFolder()));
      expect(await folders()).toEqual([join(repo.root, '.git/hooks'), join(repo.root, '.git/hooks')]);
      writeFileSync(join(repo.root, '.git/included'), '[core]\n\thooksPath = .my hooks\n');
      repo.git('config', 'include.path', 'included');
      expect(await folders()).toEqual([join(repo.root, '.my hooks'), join(repo.root, '../hooked/.my hooks')]);
    });

    it('a linked work tree has its own HEAD and index, and the shared refs and objects', async () => {
      const main = makeBranchyRepository(freshPath());
      main.git('worktree', 'add', '--quiet', '../linked', 'side');
      const linked = repositoryAt(join(main.root, '../linked'));
      main.git('pack-refs', '--all');
      writeFileSync(join(main.root, '.git/info/exclude'), 'shared-rule\n');
      const git = await expectReadable(linked, 'data.mlv', 'side 2');
      expect(await git.currentBranch()).toBe('side');
      expect(await git.resolve('main')).toBe(main.commits.evil);
      expect(await git.ignored(['shared-rule', 'x'])).toEqual(['shared-rule']);
      linked.write({ 'new.mlv': 'new' });
      await git.stage(['new.mlv']);
      expect(linked.git('status', '--porcelain')).toBe('A  new.mlv');
      expect(main.git('status', '--porcelain')).toBe('');
      expect((await git.listRefs(['refs/heads/'])).map(({ name }) => name)).toEqual([
        'refs/heads/main',
        'refs/heads/other',
        'refs/heads/side',
      ]);
      linked.git('update-ref', 'refs/worktree/own', 'HEAD');
      main.git('update-ref', 'refs/worktree/own', 'HEAD');
      expect(await git.resolve('refs/worktree/own')).toBe(main.commits.dropped);
      linked.git('fsck');
    });

    it('a submodule, and one with its Git folder elsewhere', async () => {
      const outer = makeRepository(freshPath());
      makeRepository(join(outer.root, '../library')).commit({ 'inner.mlv': 'inner' });
      outer.git('submodule', '--quiet', 'add', '../library', 'deps/library');
      const inner = repositoryAt(join(outer.root, 'deps/library'));
      const git = await expectReadable(inner, 'inner.mlv', 'inner');
      inner.write({ 'inner.mlv': 'changed' });
      await git.stage(['inner.mlv']);
      expect(inner.git('status', '--porcelain')).toBe('M  inner.mlv');
      const apart = makeRepository(
        join(outer.root, '../apart'),
        `--separate-git-dir=${join(outer.root, '../elsewhere')}`,
      );
      apart.commit({ 'a.mlv': 'a' });
      await expectReadable(apart, 'a.mlv', 'a');
    });

    it('one named by GIT_DIR, whatever else the environment says', async () => {
      const repo = makeRepository(freshPath());
      const head = repo.commit({ a: '1' });
      const decoy = makeRepository(freshPath());
      mkdirSync(join(repo.root, '../tree'));
      const layout = discoverLayout(join(repo.root, '../tree'), { gitDir: '../repo/.git' }) ?? expect.fail();
      const env = {
        ...repo.env,
        GIT_DIR: join(decoy.root, '.git'),
        GIT_INDEX_FILE: join(decoy.root, 'index'),
        GIT_WORK_TREE: decoy.root,
        GIT_ICASE_PATHSPECS: '1',
        GIT_TRACE: '1',
      };
      const git = await openAt(layout, env);
      expect(await git.head()).toBe(head);
      writeFileSync(join(layout.workTree, 'b'), 'b');
      await git.stage(['b']);
      expect(repo.git('ls-files').split('\n')).toEqual(['a', 'b']);
      const plain = await openAt(repo.root, env);
      expect(await plain.head()).toBe(head);
    });

    it('a shallow clone ends where its history is cut', async () => {
      const full = makeBranchyRepository(freshPath());
      const url = `file://${full.root}`;
      full.git('clone', '--quiet', '--depth=2', url, '../shallow');
      const repo = repositoryAt(join(full.root, '../shallow'));
      const git = await expectReadable(repo, 'data.mlv', 'evil');
      expect(await git.resolve('HEAD~1')).toBe(full.commits.merge);
      await expect(git.resolve('HEAD~2')).rejects.toThrow(failing('revision-unknown'));
      const found = await versions(git, [full.commits.evil]);
      expect(new Set(found.map(({ path, blob }) => `${path}=${repo.git('cat-file', 'blob', blob)}`))).toEqual(
        new Set(['data.mlv=evil', 'data.mlv=main', 'data.mlv=base', 'models/net.mlv=net']),
      );
    });

    it('a repository with SHA-256', async () => {
      const repo = makeRepository(freshPath(), '--object-format=sha256');
      repo.commit({ 'a.mlv': 'a' });
      if (isProgram) await expectReadable(repo, 'a.mlv', 'a');
      else await expect(openAt(repo.root)).rejects.toThrow(failing('git-unsupported-format', 'sha256'));
    });

    it('an index of version 4', async () => {
      const repo = makeRepository(freshPath());
      repo.git('config', 'index.version', '4');
      const paths = ['a.mlv', 'a/long/path/one.mlv', 'a/long/path/two.mlv', `${'deep/'.repeat(50)}x.mlv`, 'z.mlv'];
      repo.commit(Object.fromEntries(paths.map((path) => [path, path])));
      const git = await expectReadable(repo, 'a/long/path/two.mlv', 'a/long/path/two.mlv');
      expect(await git.tracked([''])).toEqual(paths.sort());
      repo.write({ 'a.mlv': 'changed' });
      if (!isProgram) await expect(git.stage(['a.mlv'])).rejects.toThrow(failing('git-unsupported-index', 'version 4'));
      else await git.stage(['a.mlv']);
      expect(repo.git('diff', '--cached', '--name-only')).toBe(isProgram ? 'a.mlv' : '');
    });

    it('an index with extended flags, a split index', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'a.mlv': 'a' });
      repo.write({ 'later.mlv': 'l' });
      repo.git('add', '--intent-to-add', 'later.mlv');
      const git = await expectReadable(repo, 'a.mlv', 'a');
      expect(await git.tracked([''])).toEqual(['a.mlv', 'later.mlv']);
      repo.git('update-index', '--split-index');
      if (isProgram) expect(await git.tracked([''])).toEqual(['a.mlv', 'later.mlv']);
      else await expect(git.tracked([''])).rejects.toThrow(failing('git-unsupported-index', "'link'"));
    });

    it('objects borrowed from another repository', async () => {
      const full = makeRepository(freshPath());
      full.commit({ 'a.mlv': 'a' });
      full.git('clone', '--quiet', '--shared', '.', '../borrower');
      const repo = repositoryAt(join(full.root, '../borrower'));
      if (isProgram) await expectReadable(repo, 'a.mlv', 'a');
      else await expect(openAt(repo.root)).rejects.toThrow(failing('git-unsupported-alternates', repo.root));
    });

    it("a repository of somebody else's", async () => {
      const repo = makeRepository(freshPath());
      const head = repo.commit({ 'a.mlv': 'a' }) as CommitId;
      const git = await openAt(repo.root, { ...repo.env, GIT_TEST_ASSUME_DIFFERENT_OWNER: '1' });
      if (!isProgram) {
        // It starts no program that the repository's settings name, so there is nothing to be trusted.
        expect(await git.head()).toBe(head);
        return;
      }
      const refused = failing('git-unsafe-repository', repo.root);
      await expect(git.head()).rejects.toThrow(refused);
      await expect(git.resolve('HEAD')).rejects.toThrow(refused);
      await expect(git.readFile(head, 'a.mlv')).rejects.toThrow(refused);
      await expect(git.listFiles(head, anything)).rejects.toThrow(refused);
      await expect(git.stage(['a.mlv'])).rejects.toThrow(refused);
      await expect(git.head()).rejects.toThrow(
        expect.objectContaining({ hint: expect.stringContaining(`--add safe.directory ${repo.root}`) }),
      );
    });

    it('one with a Git pack of 300 MiB', async () => {
      const repo = makeRepository(freshPath());
      const head = repo.commit({ 'a.mlv': 'a' }) as CommitId;
      repo.git('gc', '--quiet');
      const folder = join(repo.root, '.git/objects/pack');
      const pack = readdirSync(folder).find((name) => name.endsWith('.pack')) ?? '';
      const git = await openAt(repo.root);
      if (isProgram) {
        // A real one: a large blob that is not read.
        const bytes = Buffer.alloc(1 << 20);
        const large = join(repo.root, 'large');
        for (let n = 0; n < 300; n++) appendFileSync(large, bytes.fill(n));
        repo.git('-c', 'core.compression=0', '-c', 'core.bigFileThreshold=1m', 'add', 'large');
        const before = process.memoryUsage.rss();
        expect((await git.readFile(head, 'a.mlv'))?.toString()).toBe('a');
        expect(await git.listIndex(isPointer)).toHaveLength(1);
        expect(await versions(git, [head])).toHaveLength(1);
        expect(process.memoryUsage.rss() - before).toBeLessThan(50 << 20);
        return;
      }
      // As large as one, without the bytes: it is to be refused unread.
      chmodSync(join(folder, pack), 0o644);
      truncateSync(join(folder, pack), 300 << 20);
      const refused = failing('git-unsupported-pack', join(folder, pack));
      const before = process.memoryUsage.rss();
      await expect(git.readFile(head, 'a.mlv')).rejects.toThrow(refused);
      await expect(git.resolve('HEAD')).rejects.toThrow(refused);
      await expect(git.resolve(head.slice(0, 8))).rejects.toThrow(refused);
      expect(process.memoryUsage.rss() - before).toBeLessThan(50 << 20);
      // What needs no object still works.
      expect(await git.listIndex(isPointer)).toHaveLength(1);
      repo.write({ 'b.mlv': 'b' });
      await git.stage(['b.mlv']);
      expect(await git.tracked([''])).toEqual(['a.mlv', 'b.mlv']);
    }, 15_000);
  });
});
