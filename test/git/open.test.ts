/** Which implementation is chosen, and how it fails to start. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { beforeEach, describe, expect, it } from 'vitest';
import { openGit } from '../../src/git/open.ts';
import { makeRepository } from '../support/git.ts';
import { failing, freshPath, layoutOf } from './rig.ts';

let temporary: string;
beforeEach(() => {
  temporary = join(freshPath(), '..');
  mkdirSync(temporary);
});

describe('openGit', () => {
  it('takes the git program where PATH has it, otherwise isomorphic-git', async () => {
    const repo = makeRepository(join(temporary, 'repo'));
    const layout = layoutOf(repo.root);
    expect((await openGit(layout, { env: repo.env })).engine).toBe('git');
    expect((await openGit(layout, { env: { PATH: `:${temporary}:${join(temporary, 'nowhere')}` } })).engine).toBe(
      'isomorphic-git',
    );
    expect((await openGit(layout, { env: {} })).engine).toBe('isomorphic-git');
    mkdirSync(join(temporary, 'bin/git'), { recursive: true });
    writeFileSync(join(temporary, 'git'), 'not executable');
    const path = `${join(temporary, 'bin')}:${temporary}`;
    expect((await openGit(layout, { env: { PATH: path } })).engine).toBe('isomorphic-git');
    await expect(openGit(layout, { env: { PATH: path }, program: 'git' })).rejects.toThrow(failing('git-missing'));
  });

  it('names a git program that does not start, and a work tree that is gone is another matter', async () => {
    const repo = makeRepository(join(temporary, 'repo'));
    mkdirSync(join(temporary, 'broken-bin'));
    writeFileSync(join(temporary, 'broken-bin/git'), `#!${join(temporary, 'nowhere')}\n`, { mode: 0o755 });
    const git = await openGit(layoutOf(repo.root), { env: { PATH: join(temporary, 'broken-bin') } });
    await expect(git.head()).rejects.toThrow(failing('git-missing', 'broken-bin/git'));
    await expect(git.readBlob('1'.repeat(40))).rejects.toThrow(failing('git-missing', 'broken-bin/git'));
    const gone = await openGit(layoutOf(repo.root), { env: repo.env });
    renameSync(repo.root, `${repo.root}-away`);
    await expect(gone.head()).rejects.toThrow('ENOENT');
  });

  it.each(['git', 'isomorphic-git'])('%s, bundled, does not keep the program alive', async (program) => {
    const repo = makeRepository(join(temporary, 'repo'));
    const head = repo.commit({ a: 'content' });
    const bundle = join(temporary, `bundle-${program}`);
    const bundled = await rolldown({
      input: ['src/git/layout.ts', 'src/git/open.ts'],
      platform: 'node',
      logLevel: 'silent',
    });
    await bundled.write({ dir: bundle, entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
    writeFileSync(
      join(bundle, 'main.mjs'),
      `import { discoverLayout } from './layout.mjs';
      import { openGit } from './open.mjs';
      const [root, head, program] = process.argv.slice(2);
      const git = await openGit(discoverLayout(root), { program, env: process.env });
      for (let n = 0; n < 2; n++) console.log(String(await git.readFile(head, 'a')));`,
    );
    const args = [join(bundle, 'main.mjs'), repo.root, head, program];
    const output = execFileSync(process.execPath, args, { env: repo.env, timeout: 10_000 });
    expect(output.toString()).toBe('content\ncontent\n');
  });
});
