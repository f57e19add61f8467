/** One suite, both implementations: what the git program answers, isomorphic-git answers too, or says by name that it cannot. The index. */
import { chmodSync, existsSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openGit } from '../../src/git/open.ts';
import { makeRepository, type TestRepository } from '../support/git.ts';
import { describeEngines, failing, freshPath, layoutOf } from './rig.ts';

describeEngines(({ program, openAt }) => {
  describe('stage', () => {
    const status = ({ git }: TestRepository): string[] => git('status', '--porcelain', '--ignored').split('\n');

    it('stages additions, changes and deletions of exactly these paths', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'changed.mlv': '1', 'gone.mlv': '1', 'kept.mlv': '1', 'other.mlv': '1' });
      repo.write({
        'changed.mlv': '2',
        'gone.mlv': null,
        'other.mlv': '2',
        'new/x.mlv': 'x',
        'new/y.mlv': 'y',
        'run.mlv': 'r',
      });
      chmodSync(join(repo.root, 'run.mlv'), 0o755);
      symlinkSync('kept.mlv', join(repo.root, 'link.mlv'));
      const git = await openAt(repo.root);
      await git.stage(['changed.mlv', 'gone.mlv', 'kept.mlv', 'new/x.mlv', 'run.mlv', 'link.mlv', 'never/was']);
      expect(status(repo)).toEqual([
        'M  changed.mlv',
        'D  gone.mlv',
        'A  link.mlv',
        'A  new/x.mlv',
        ' M other.mlv',
        'A  run.mlv',
        '?? new/y.mlv',
      ]);
      expect(repo.git('ls-files', '--stage', 'run.mlv', 'link.mlv').replaceAll(/ .*?\t/g, ' ')).toBe(
        '120000 link.mlv\n100755 run.mlv',
      );
      expect(repo.git('diff', '--name-only')).toBe('other.mlv');
      repo.git('fsck', '--strict');
    });

    it('leaves Git able to see a change made in the same second as the commit before', async () => {
      const repo = makeRepository(freshPath());
      const second = Math.ceil(Date.now() / 1000) - 10;
      repo.write({ 'other.mlv': '1', 'staged.mlv': '1' });
      utimesSync(join(repo.root, 'other.mlv'), second, second);
      repo.git('config', 'core.trustctime', 'false');
      repo.commit({});
      utimesSync(join(repo.root, '.git/index'), second, second);
      // Same size, same times: only Git's look at the content can tell.
      writeFileSync(join(repo.root, 'other.mlv'), '2');
      utimesSync(join(repo.root, 'other.mlv'), second, second);
      repo.write({ 'staged.mlv': '2' });
      const git = await openAt(repo.root);
      await git.stage(['staged.mlv']);
      expect(status(repo)).toEqual([' M other.mlv', 'M  staged.mlv']);
    });

    it('stages ignored files, and names that look like patterns or options', async () => {
      const repo = makeRepository(freshPath());
      const paths = ['data/x.mlv', '*.mlv', ':(top)a.mlv', '-n', '[a].mlv', '!x', ' spaced ', 'é.mlv'];
      repo.write({
        '.gitignore': '*\n',
        'a.mlv': 'a',
        'data/y.mlv': 'y',
        ...Object.fromEntries(paths.map((path) => [path, 'x'])),
      });
      const git = await openAt(repo.root);
      await git.stage(paths);
      expect(repo.git('ls-files', '-z').split('\0').slice(0, -1).sort()).toEqual([...paths].sort());
      await git.stage([]);
    });

    it('stages two thousand paths', async () => {
      const repo = makeRepository(freshPath());
      const paths = Array.from(
        { length: 2000 },
        (_, n) => `folder-with-a-long-name-${n % 10}/${'file'.repeat(10)}-${n}.mlv`,
      );
      repo.write(Object.fromEntries(paths.map((path) => [path, 'same'])));
      const git = await openAt(repo.root);
      await git.stage(paths);
      expect(await git.tracked(['folder-with-a-long-name-3'])).toHaveLength(200);
      expect(
        repo
          .git('status', '--porcelain')
          .split('\n')
          .every((line) => line.startsWith('A  ')),
      ).toBe(true);
    }, 30_000);

    it('lets a file take the place of a folder, and the reverse', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'x/a': '1', 'x/b': '1', y: '1' });
      repo.write({ x: null, y: null });
      repo.write({ x: 'file', 'y/c': 'below' });
      const git = await openAt(repo.root);
      await git.stage(['x', 'y/c']);
      expect(repo.git('ls-files').split('\n')).toEqual(['x', 'y/c']);
      // A folder now, where Git had a file: that one is staged as deleted.
      repo.write({ x: null });
      mkdirSync(join(repo.root, 'x'));
      await git.stage(['x']);
      expect(repo.git('ls-files').split('\n')).toEqual(['y/c']);
      // Gone, and never a file of Git's: nothing to do.
      repo.write({ y: null });
      await git.stage(['y']);
      expect(repo.git('ls-files').split('\n')).toEqual(['y/c']);
    });

    it('refuses folders and sockets, and then stages nothing', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ a: '1' });
      repo.write({ a: '2', 'folder/x': 'x' });
      const server = createServer().listen(join(repo.root, 'pipe'));
      await once(server, 'listening');
      const git = await openAt(repo.root);
      await expect(git.stage(['a', 'folder'])).rejects.toThrow(failing('git-failed', 'folder'));
      await expect(git.stage(['a', 'pipe'])).rejects.toThrow(failing('git-failed', 'pipe'));
      server.close();
      expect(repo.git('diff', '--cached', '--name-only')).toBe('');
      expect(existsSync(join(repo.root, '.git/index.lock'))).toBe(false);
    });

    it('names the lock while another program changes the index', async () => {
      const repo = makeRepository(freshPath());
      repo.write({ a: '1' });
      writeFileSync(join(repo.root, '.git/index.lock'), '');
      const git = await openAt(repo.root);
      await expect(git.stage(['a'])).rejects.toThrow(failing('git-index-locked', join(repo.root, '.git/index.lock')));
      expect(existsSync(join(repo.root, '.git/index.lock'))).toBe(true);
    });
  });

  describe('tracked and ignored', () => {
    it('tracked: what the index has at and below paths', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({ 'data/a': '1', 'data/sub/b': '1', 'data.mlv': '1', 'data-b': '1', '[x]': '1', x: '1' });
      repo.write({ 'data/new': '' });
      const git = await openAt(repo.root);
      expect(await git.tracked(['data', 'nothing', 'data.mlv', 'data/new', '[x]', 'dat*'])).toEqual([
        '[x]',
        'data.mlv',
        'data/a',
        'data/sub/b',
      ]);
      expect(await git.tracked([])).toEqual([]);
      expect(await git.tracked([''])).toHaveLength(6);
    });

    it('ignored: by any rule, existing or not, but not what is tracked', async () => {
      const repo = makeRepository(freshPath());
      repo.commit({
        '.gitignore': 'out/\n*.tmp\n!keep.tmp\n/data\n\\:(top)x\n[[]y]\nst\\*r\n',
        'sub/.gitignore': '!x.tmp\n',
        stair: 'what the pattern st*r would match',
        'forced.tmp': '1',
        'forced-folder.tmp/x': '1',
      });
      repo.write({
        'out/x': '',
        'sub/x.tmp': '',
        'data/x/y': '',
        'linkto/x': '',
        yy: '',
        '.git/info/exclude': 'excluded\n',
      });
      const git = await openAt(repo.root);
      const ignored = [
        'out',
        'out/x',
        'a.tmp',
        'deep/down/b.tmp',
        'data',
        'data/x',
        'data/x/y',
        'forced-folder.tmp/y',
        'excluded',
      ];
      const magic = [':(top)x', '[y]', 'st*r'];
      const others = [
        'keep.tmp',
        'sub/x.tmp',
        'forced.tmp',
        'forced-folder.tmp',
        'sub/data',
        'README',
        'linkto/x',
        'yy',
        '*',
        'x',
      ];
      expect(await git.ignored([...ignored, ...others, ...magic])).toEqual([...ignored, ...magic]);
      expect(await git.ignored([])).toEqual([]);
      expect(await git.ignored(['README'])).toEqual([]);
    });

    it("ignored: by the user's own rules", async () => {
      const repo = makeRepository(freshPath());
      const excludesFile = join(repo.root, '.git/mine');
      writeFileSync(excludesFile, '*.swp\n');
      repo.git('config', 'core.excludesFile', excludesFile);
      const git = await openGit(layoutOf(repo.root), { program, env: repo.env, excludesFile });
      expect(await git.ignored(['x.swp', 'x'])).toEqual(['x.swp']);
    });
  });
});
