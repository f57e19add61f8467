/** Runs one suite over both implementations of GitRepository, in repositories that are removed afterwards. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import type { CommitId, GitFileVersion, GitRepository } from '../../src/git/git.ts';
import { discoverLayout, type GitLayout } from '../../src/git/layout.ts';
import { openGit } from '../../src/git/open.ts';
import { makeTemporaryFolder, repositoryAt, type TestRepository } from '../support/git.ts';

let temporary: string;
beforeAll(() => {
  temporary = makeTemporaryFolder();
});
afterAll(() => rmSync(temporary, { recursive: true }));

let made = 0;
/** A path for a new repository; the folder around it is its own too. */
export const freshPath = (): string => join(temporary, `${++made}`, 'repo');
export const anything = (): boolean => true;
export const isPointer = (path: string): boolean => path.endsWith('.mlv');
export const POINTERS = [':(glob)**/*.mlv'];

/** An MlvError with this code, whose message has the text. */
export const failing = (code: string, text = ''): unknown =>
  expect.objectContaining({ name: 'MlvError', code, message: expect.stringContaining(text), hint: expect.any(String) });

export function layoutOf(root: string): GitLayout {
  const layout = discoverLayout(root);
  if (layout === undefined) throw new Error(`${root} is no repository`);
  return layout;
}

/** Every version of a pointer in a range. */
export async function versions(git: GitRepository, tips: string[], exclude: string[] = []): Promise<GitFileVersion[]> {
  const found: GitFileVersion[] = [];
  const range = { tips: tips as CommitId[], exclude: exclude as CommitId[] };
  for await (const version of git.fileVersions({ ...range, accept: isPointer, pathspecs: POINTERS }))
    found.push(version);
  return found;
}

export interface Engine {
  readonly program: 'git' | 'isomorphic-git';
  readonly isProgram: boolean;
  /** Opens a repository with this engine until the end of the test. */
  readonly openAt: (repository: string | GitLayout, env?: Record<string, string>) => Promise<GitRepository>;
  /** Opens it, and checks what the operations say of a committed pointer against git itself. */
  readonly expectReadable: (repo: TestRepository, path: string, content: string) => Promise<GitRepository>;
}

export function describeEngines(body: (engine: Engine) => void): void {
  describe.each(['git', 'isomorphic-git'] as const)('GitRepository by %s', (program) => {
    const open: GitRepository[] = [];
    const openAt = async (repository: string | GitLayout, env?: Record<string, string>): Promise<GitRepository> => {
      const layout = typeof repository === 'string' ? layoutOf(repository) : repository;
      const git = await openGit(layout, { program, env: env ?? repositoryAt(layout.workTree).env });
      open.push(git);
      return git;
    };
    afterEach(async () => {
      await Promise.all(open.splice(0).map(async (git) => git.close()));
    });
    async function expectReadable(repo: TestRepository, path: string, content: string): Promise<GitRepository> {
      const git = await openAt(repo.root);
      const head = repo.git('rev-parse', 'HEAD');
      expect(git.engine).toBe(program);
      expect(await git.head()).toBe(head);
      expect(await git.resolve('HEAD')).toBe(head);
      const files = await git.listFiles(head as CommitId, (each) => each === path);
      expect(files).toEqual([{ path, blob: repo.git('rev-parse', `HEAD:${path}`) }]);
      expect((await git.readFile(head as CommitId, path))?.toString()).toBe(content);
      expect(await git.listIndex((each) => each === path)).toEqual(files);
      expect(await versions(git, [head])).toContainEqual({ ...files[0], commit: expect.any(String) });
      return git;
    }
    body({ program, isProgram: program === 'git', openAt, expectReadable });
  });
}
