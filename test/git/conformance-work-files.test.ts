/** One suite, both implementations: what is there and not ignored. */
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeRepository, type TestRepository } from '../support/git.ts';
import { describeEngines, freshPath } from './rig.ts';

/** As Git itself lists them; of submodules it does not tell that they are folders. */
function listed({ git }: TestRepository, submodules: readonly string[] = []): string[] {
  const paths = git('ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0').filter(Boolean);
  return [...new Set(paths.map((path) => (submodules.includes(path) ? `${path}/` : path)))].sort();
}

describeEngines(({ openAt }) => {
  it('workFiles lists what git ls-files does: tracked, untracked, not ignored', async () => {
    const repo = makeRepository(freshPath());
    repo.write({ 'forced.log': 'x' });
    repo.git('add', 'forced.log');
    repo.commit({ '.gitignore': '*.log\n/data\nout/\n!keep.log\n', 'a.py': '1', 'deep/b.py': '2', 'gone.py': '3' });
    repo.write({
      'gone.py': null,
      'new.py': '4',
      'x.log': 'ignored',
      'keep.log': 'not',
      'data/big': 'ignored',
      'deep/out/x': 'ignored',
      'deep/sp ace/é\n.txt': '5',
      '.git/info/exclude': 'secret\n',
      secret: 'ignored',
    });
    symlinkSync('a.py', join(repo.root, 'link'));
    symlinkSync('data', join(repo.root, 'folder-link'));
    const git = await openAt(repo.root);
    const all = await git.workFiles('');
    expect(all.toSorted()).toEqual(listed(repo));
    expect(all).toContain('link');
    expect(all).toContain('gone.py');
    expect((await git.workFiles('deep')).sort()).toEqual(['deep/b.py', 'deep/sp ace/é\n.txt']);
    expect(await git.workFiles('nowhere')).toEqual([]);
  });

  it('workFiles names other repositories, and does not look into them', async () => {
    const other = makeRepository(freshPath());
    other.commit({ 'inner.py': '1' });
    const repo = makeRepository(freshPath());
    repo.commit({ 'a.py': '1' });
    repo.git('submodule', '--quiet', 'add', other.root, 'sub');
    makeRepository(join(repo.root, 'deep/nested')).commit({ 'x.py': '1' });
    const git = await openAt(repo.root);
    const expected = ['.gitmodules', 'a.py', 'deep/nested/', 'sub/'];
    expect(listed(repo, ['sub'])).toEqual(expected);
    expect((await git.workFiles('')).sort()).toEqual(expected);
    rmSync(join(repo.root, 'sub'), { recursive: true });
    expect((await git.workFiles('')).sort()).toEqual(expected);
  });

  it('workFiles lists an unmerged path once', async () => {
    const repo = makeRepository(freshPath());
    repo.commit({ 'a.py': '1' });
    repo.git('checkout', '--quiet', '-b', 'other');
    repo.commit({ 'a.py': '2' });
    repo.git('checkout', '--quiet', 'main');
    repo.commit({ 'a.py': '3' });
    repo.gitFailing('merge', 'other');
    const git = await openAt(repo.root);
    expect(await git.workFiles('')).toEqual(['a.py']);
  });
});
