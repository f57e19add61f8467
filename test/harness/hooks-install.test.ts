/** Hooks beside those that are there already: put in, run, and taken out without a trace. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeFiles } from '../support/folders.ts';
import { contentsOf, makePath, runGit, writeScript } from '../support/hooks.ts';
import type { TestRepository } from '../support/git.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
let path: string;
beforeAll(async () => {
  rig = makeMlvRig();
  path = makePath(rig, 'bin', { withMlv: true });
  await makeTemplate();
});
afterAll(() => rig.dispose());

const HOOKS = ['pre-commit', 'pre-push', 'post-checkout', 'post-merge', 'post-rewrite'];
/** A hook that writes what it gets to `seen`, and ends as it is told. */
const LOGGING = '#!/bin/sh\nset -eu\n{ echo "args: $*"; cat; echo end; } >> seen\nexit "${HOOK_CODE:-0}"\n';

interface Project extends TestRepository {
  readonly hooks: string;
}

/** Made once, then copied: `repo`, and `origin.git` beside it. */
async function makeTemplate(): Promise<void> {
  const { git } = await rig.project('template/repo');
  runGit(rig, join(rig.folder, 'template'), ['init', '--quiet', '--bare', 'origin.git']);
  git('remote', 'add', 'origin', '../origin.git');
  git('commit', '--quiet', '-m', 'first');
}

/** A project without data, and a Git remote that it has not pushed to. */
function project(name: string): Project {
  cpSync(join(rig.folder, 'template'), join(rig.folder, name), { recursive: true });
  const repository = repositoryAt(join(rig.folder, name, 'repo'));
  return { ...repository, hooks: join(repository.root, '.git/hooks') };
}

/** Names data that no remote has. */
async function breakPush({ root, git }: TestRepository): Promise<void> {
  writeFiles(root, { data: 'only here' });
  await told(rig, root, ['add', 'data']);
  git('commit', '--quiet', '--no-verify', '-m', 'data');
}

async function states({ root }: TestRepository): Promise<string[]> {
  const { hooks } = await data<{ hooks: { state: string }[] }>(rig, root, ['hooks', 'status'], { env: { PATH: path } });
  return hooks.map(({ state }) => state);
}

const all = (state: string): string[] => HOOKS.map(() => state);
const seen = ({ root }: TestRepository): string =>
  existsSync(join(root, 'seen')) ? readFileSync(join(root, 'seen'), 'utf8') : '';

test('install, status, remove: in a clone without hooks', async () => {
  const repository = project('plain');
  const { root, hooks } = repository;
  const before = contentsOf(hooks);
  const files = ['.git/config', '.gitattributes'].map((name) => join(root, name));
  const readFiles = () => files.map((file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined));
  const filesBefore = readFiles();
  expect(await states(repository)).toEqual(all('missing'));
  expect(await told(rig, root, ['hooks', 'install'])).toBe(
    HOOKS.map((hook) => `installed  ${hook.padEnd(13)}  .git/hooks/${hook}\n`).join('') +
      '\ninstalled  merge and diff drivers, named in .gitattributes. Next: git commit\n',
  );
  const installed = contentsOf(hooks);
  expect(await told(rig, root, ['hooks', 'install'])).toMatch(/^(unchanged .*\n){5}$/);
  expect(contentsOf(hooks)).toEqual(installed);
  expect(await told(rig, root, ['hooks'], { env: { PATH: `${path}:/bin` } })).toBe(
    HOOKS.map((hook) => `${hook.padEnd(14)}  installed  .git/hooks/${hook}\n`).join('') +
      `merge and diff  installed\nauto-push       off\nmlv             ${path}/mlv\n`,
  );
  expect(await told(rig, root, ['hooks', 'install', '--auto-push'])).toContain('updated    pre-push');
  expect(await told(rig, root, ['hooks', 'status'])).toContain('auto-push       on\n');
  writeFileSync(
    join(hooks, 'pre-push'),
    readFileSync(join(hooks, 'pre-push'), 'utf8').replace('exit "$mlv_code"', ':'),
  );
  rmSync(join(hooks, 'post-merge'));
  chmodSync(join(hooks, 'post-rewrite'), 0o644);
  writeScript(join(hooks, 'post-checkout'), '#!/bin/sh\n');
  expect(await states(repository)).toEqual(['installed', 'edited', 'foreign', 'missing', 'inactive']);
  chmodSync(join(hooks, 'post-rewrite'), 0o755);
  rmSync(join(hooks, 'post-checkout'));
  await told(rig, root, ['hooks', 'install']);
  expect(contentsOf(hooks)).toEqual(installed);
  await told(rig, root, ['hooks', 'remove']);
  expect(contentsOf(hooks)).toEqual(before);
  expect(readFiles()).toEqual(filesBefore);
  expect(await told(rig, root, ['hooks', 'remove'])).toMatch(/^(absent .*\n){5}$/);
});

test.each([
  ['a script of sh', LOGGING],
  ['one of bash, without a last line break', LOGGING.replace('#!/bin/sh', '#!/usr/bin/env bash').slice(0, -1)],
  ['one without a first line', LOGGING.replace('#!/bin/sh\n', '')],
  ['one that ends early', LOGGING.replace('{ echo', 'trap "exit" EXIT\n{ echo')],
  [
    'one that is no script of a shell',
    `#!${process.execPath}
const { appendFileSync, readFileSync } = require('node:fs');
appendFileSync('seen', \`args: \${process.argv.slice(2).join(' ')}\\n\${readFileSync(0, 'utf8')}end\\n\`);
process.exit(Number(process.env.HOOK_CODE ?? 0));
`,
  ],
])('%s keeps its arguments, input and exit code, and comes back as it was', async (what, script) => {
  const repository = project(`existing ${what}`.replaceAll(/\W/g, '-'));
  const { root, hooks, git } = repository;
  writeScript(join(hooks, 'pre-push'), script);
  chmodSync(join(hooks, 'pre-push'), 0o750);
  const before = contentsOf(hooks);
  await told(rig, root, ['hooks', 'install']);
  const push = (env = {}): number | null =>
    runGit(rig, root, ['push', 'origin', 'main', 'main:other'], { path, env }).code;
  expect(push({ HOOK_CODE: '3' })).toBe(1);
  expect(push()).toBe(0);
  const id = git('rev-parse', 'main');
  const zero = '0'.repeat(40);
  const once = `args: origin ../origin.git\nrefs/heads/main ${id} refs/heads/main ${zero}\nrefs/heads/main ${id} refs/heads/other ${zero}\nend\n`;
  expect(seen(repository)).toBe(once + once);
  // Nothing to push: no lines at all.
  expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(0);
  expect(seen(repository).slice(2 * once.length)).toBe(`${once.split('\n')[0] ?? ''}\nend\n`);
  await breakPush(repository);
  rmSync(join(root, 'seen'));
  expect(push()).toBe(1);
  expect(seen(repository)).toBe('');
  await told(rig, root, ['hooks', 'install', '--auto-push']);
  await told(rig, root, ['hooks', 'remove']);
  expect(contentsOf(hooks)).toEqual(before);
});

test('other hooks keep their input, and what is changed around our part stays', async () => {
  const repository = project('around');
  const { root, hooks, commit } = repository;
  writeScript(join(hooks, 'post-rewrite'), LOGGING);
  await told(rig, root, ['hooks', 'install']);
  const old = commit({ a: '1' });
  runGit(rig, root, ['commit', '--amend', '-m', 'amended'], { path });
  expect(seen(repository)).toBe(`args: amend\n${old} ${repository.git('rev-parse', 'HEAD')}\nend\n`);
  for (const hook of ['post-rewrite', 'post-merge'])
    writeFileSync(join(hooks, hook), `${readFileSync(join(hooks, hook), 'utf8')}echo mine\n`);
  expect(await states(repository)).toEqual(all('installed'));
  await told(rig, root, ['hooks', 'remove']);
  expect(readFileSync(join(hooks, 'post-rewrite'), 'utf8')).toBe(`${LOGGING}echo mine\n`);
  expect(readFileSync(join(hooks, 'post-merge'), 'utf8')).toBe('#!/bin/sh\necho mine\n');
  expect(existsSync(join(hooks, 'pre-push'))).toBe(false);
});

describe('what cannot be changed', () => {
  test('a symlink is put aside, what it leads to is not written to', async () => {
    const repository = project('symlink');
    const { root, hooks } = repository;
    writeScript(join(root, 'shared-hook'), LOGGING);
    symlinkSync('../../shared-hook', join(hooks, 'pre-push'));
    const before = contentsOf(hooks);
    expect(await told(rig, root, ['hooks', 'install'])).toContain(
      'before .git/hooks/pre-push.before-mlv, which was put aside\n',
    );
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(0);
    expect(seen(repository)).toMatch(/^args: origin/);
    expect(readFileSync(join(root, 'shared-hook'), 'utf8')).toBe(LOGGING);
    const installed = contentsOf(hooks);
    await told(rig, root, ['hooks', 'install']);
    expect(contentsOf(hooks)).toEqual(installed);
    writeFileSync(join(hooks, 'pre-push'), `${readFileSync(join(hooks, 'pre-push'), 'utf8')}echo mine\n`);
    expect(await refusal(rig, root, ['hooks', 'remove'])).toContain('has lines that are not mlv');
    await told(rig, root, ['hooks', 'install']);
    writeFileSync(join(hooks, 'pre-push'), readFileSync(join(hooks, 'pre-push'), 'utf8').replace('echo mine\n', ''));
    await told(rig, root, ['hooks', 'remove']);
    expect(contentsOf(hooks)).toEqual(before);
  });

  test('an installation that ended after putting a hook aside is finished by the next', async () => {
    const repository = project('interrupted');
    const { root, hooks } = repository;
    writeScript(join(hooks, 'pre-commit'), '#!/usr/bin/env python3\n');
    const before = contentsOf(hooks);
    renameSync(join(hooks, 'pre-commit'), join(hooks, 'pre-commit.before-mlv'));
    await told(rig, root, ['hooks', 'install']);
    await told(rig, root, ['hooks', 'remove']);
    expect(contentsOf(hooks)).toEqual(before);
  });

  test.each([
    ['a folder', 'is a folder', (file: string) => mkdirSync(file)],
    [
      'a script that is not executable',
      'is not executable',
      (file: string) => writeFileSync(file, '#!/bin/sh\nexit 1\n'),
    ],
    ['a symlink to nowhere', 'is not executable', (file: string) => symlinkSync('nowhere', file)],
    [
      'our part without its end',
      'and not its last one',
      (file: string) => writeScript(file, '#!/bin/sh\n# >>> mlv 0123456789abcdef >>>\n'),
    ],
    [
      'no script, where something was put aside before',
      'cannot be put aside',
      (file: string) => {
        writeScript(file, '#!/usr/bin/env python3\n');
        writeScript(`${file}.before-mlv`, 'x');
      },
    ],
  ])('%s is refused before anything is changed', async (what, message, make) => {
    const repository = project(`refused ${what}`.replaceAll(/\W/g, '-'));
    make(join(repository.hooks, 'post-merge'));
    const before = contentsOf(repository.hooks);
    expect(await refusal(rig, repository.root, ['hooks', 'install'])).toContain(message);
    expect(contentsOf(repository.hooks)).toEqual(before);
  });
});

describe('core.hooksPath', () => {
  test('outside the repository is refused, with the way to hooks of its own', async () => {
    const repository = project('outside');
    const { root, git } = repository;
    mkdirSync(join(rig.folder, 'everybodys'));
    const global = join(rig.folder, 'gitconfig');
    writeFileSync(global, `[core]\n\thooksPath = ${rig.folder}/everybodys\n`);
    const env = { GIT_CONFIG_GLOBAL: global };
    for (const command of ['install', 'status', 'remove'])
      expect(await refusal(rig, root, ['hooks', command], { env })).toBe(
        `error: Git takes hooks from ${rig.folder}/everybodys, which does not belong to this repository alone\n` +
          `hint: For hooks of its own, in place of those: git config core.hooksPath ${root}/.git/hooks\n`,
      );
    expect(contentsOf(join(rig.folder, 'everybodys'))).toEqual({});
    symlinkSync('../../everybodys', join(root, 'linked'));
    git('config', 'core.hooksPath', 'linked');
    expect(await refusal(rig, root, ['hooks', 'install'])).toContain(
      `hooks from ${root}/linked (${rig.folder}/everybodys)`,
    );
    git('config', 'core.hooksPath', '/dev/null');
    expect(await refusal(rig, root, ['hooks', 'install'])).toContain('/dev/null');
    git('config', 'core.hooksPath', join(root, '.git/hooks'));
    await told(rig, root, ['hooks', 'install'], { env });
  });

  test('inside the work tree: written there, without paths of this machine', async () => {
    const repository = project('tracked');
    const { root, git } = repository;
    git('config', 'core.hooksPath', '.githooks');
    expect(await told(rig, root, ['hooks', 'install'])).toContain('commit them, and everyone');
    for (const text of Object.values(contentsOf(join(root, '.githooks')))) expect(text).not.toContain(process.execPath);
    await breakPush(repository);
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(1);
  });

  test('of husky: beside its own scripts, which are made anew at will', async () => {
    const repository = project('husky');
    const { root, git } = repository;
    // As husky 9.1 writes them.
    const files: Record<string, string> = {
      h: `#!/usr/bin/env sh
[ "$HUSKY" = "2" ] && set -x
n=$(basename "$0")
s=$(dirname "$(dirname "$0")")/$n

[ ! -f "$s" ] && exit 0

i="\${XDG_CONFIG_HOME:-$HOME/.config}/husky/init.sh"
[ -f "$i" ] && . "$i"

[ "\${HUSKY-}" = "0" ] && exit 0

export PATH="node_modules/.bin:$PATH"
sh -e "$s" "$@"
c=$?

[ $c != 0 ] && echo "husky - $n script failed (code $c)"
[ $c = 127 ] && echo "husky - command not found in PATH=$PATH"
exit $c
`,
    };
    for (const hook of HOOKS) files[hook] = '#!/usr/bin/env sh\n. "$(dirname "$0")/h"';
    mkdirSync(join(root, '.husky/_'), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeScript(join(root, '.husky/_', name), text);
    writeFileSync(join(root, '.husky/_/.gitignore'), '*');
    writeFileSync(join(root, '.husky/pre-commit'), 'echo tested\n');
    writeFileSync(join(root, '.husky/pre-push'), 'cat > seen\nexit "${HOOK_CODE:-0}"\n');
    git('config', 'core.hooksPath', '.husky/_');
    const before = [contentsOf(join(root, '.husky')), contentsOf(join(root, '.husky/_'))];
    await told(rig, root, ['hooks', 'install']);
    expect(contentsOf(join(root, '.husky/_'))).toEqual(before[1]);
    expect(await states(repository)).toEqual(all('installed'));
    expect(runGit(rig, root, ['commit', '--allow-empty', '-m', 'x'], { path }).output).toContain('tested\n');
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path, env: { HOOK_CODE: '1' } }).code).toBe(1);
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(0);
    expect(seen(repository)).toMatch(/^refs\/heads\/main /);
    await breakPush(repository);
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).output).toContain(
      'husky - pre-push script failed (code 1)',
    );
    await told(rig, root, ['hooks', 'remove']);
    expect([contentsOf(join(root, '.husky')), contentsOf(join(root, '.husky/_'))]).toEqual(before);
  });
});

describe('the pre-commit framework', () => {
  /** As pre-commit 4 writes it, but for what it runs. */
  const FRAMEWORK = `#!/usr/bin/env bash
# File generated by pre-commit: https://pre-commit.com
# ID: 138fd403232d2ddd5efb44317e38bf03

# start templated
ARGS=(hook-impl --config=.pre-commit-config.yaml --hook-type=pre-push)
# end templated

HERE="$(cd "$(dirname "$0")" && pwd)"
ARGS+=(--hook-dir "$HERE" -- "$@")

exec "$HERE/framework" "\${ARGS[@]}"
`;
  /** What it runs: a hook that was there before, with the same input, then its own. */
  const IMPLEMENTATION = `#!/bin/sh
input=$(cat)
legacy="$(dirname "$0")/pre-push.legacy"
[ ! -x "$legacy" ] || printf '%s\\n' "$input" | "$legacy" origin url || exit 1
echo "framework: $*" >> seen
`;

  test('installed before: runs after our part', async () => {
    const repository = project('framework-before');
    const { root, hooks } = repository;
    writeScript(join(hooks, 'framework'), IMPLEMENTATION);
    writeScript(join(hooks, 'pre-push'), FRAMEWORK);
    const before = contentsOf(hooks);
    await told(rig, root, ['hooks', 'install']);
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(0);
    expect(seen(repository)).toContain('framework: hook-impl');
    await breakPush(repository);
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(1);
    await told(rig, root, ['hooks', 'remove']);
    expect(contentsOf(hooks)).toEqual(before);
  });

  test('installed after: runs ours, which it put aside', async () => {
    const repository = project('framework-after');
    const { root, hooks } = repository;
    await told(rig, root, ['hooks', 'install']);
    renameSync(join(hooks, 'pre-push'), join(hooks, 'pre-push.legacy'));
    writeScript(join(hooks, 'framework'), IMPLEMENTATION);
    writeScript(join(hooks, 'pre-push'), FRAMEWORK);
    expect(await states(repository)).toEqual(all('installed'));
    expect(await told(rig, root, ['hooks', 'install', '--auto-push'])).toContain(
      'updated    pre-push       .git/hooks/pre-push.legacy',
    );
    expect(readFileSync(join(hooks, 'pre-push'), 'utf8')).toBe(FRAMEWORK);
    await told(rig, root, ['hooks', 'install']);
    await breakPush(repository);
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(1);
    expect(seen(repository)).toBe('');
    await told(rig, root, ['hooks', 'remove']);
    expect(Object.keys(contentsOf(hooks))).toEqual(['framework', 'pre-push']);
    expect(runGit(rig, root, ['push', 'origin', 'main'], { path }).code).toBe(0);
  });
});

test('linked work trees share hooks, a submodule has its own', async () => {
  const repository = project('shared');
  const { root, hooks, git } = repository;
  git('worktree', 'add', '--quiet', '../linked');
  const linked = join(root, '../linked');
  await told(rig, linked, ['hooks', 'install']);
  expect(await states(repository)).toEqual(all('installed'));
  git('push', '--quiet', 'origin', 'main');
  git('submodule', '--quiet', 'add', '-b', 'main', '../origin.git', 'module');
  const module = join(root, 'module');
  await told(rig, module, ['hooks', 'install']);
  expect(Object.keys(contentsOf(join(root, '.git/modules/module/hooks')))).toEqual([...HOOKS].sort());
  await told(rig, linked, ['hooks', 'remove']);
  expect(contentsOf(hooks)).toEqual({});
});

test('without Git, and without the git program, it says so', async () => {
  const folder = join(rig.folder, 'no-git');
  mkdirSync(folder);
  await told(rig, folder, ['init', '--no-git']);
  expect(await refusal(rig, folder, ['hooks', 'install'])).toContain('no Git repository');
  const { root } = project('no-program');
  expect(await refusal(rig, root, ['hooks', 'install'], { env: { PATH: '/nowhere' } })).toBe(
    'error: hooks are run by the git program, and only it knows from where\nhint: Install Git.\n',
  );
});

test('a folder that cannot be written to is named', async ({ skip }) => {
  if (process.getuid?.() === 0) {
    console.log('skipped: root may write everywhere');
    skip();
  }
  const { root, hooks } = project('read-only');
  chmodSync(hooks, 0o555);
  expect(await refusal(rig, root, ['hooks', 'install'])).toContain(hooks);
  chmodSync(hooks, 0o755);
});

test('a hook that mlv has nothing to do in is wrong usage', async () => {
  const { root } = project('usage');
  expect(await refusal(rig, root, ['hooks', 'run', 'post-commit'], { code: 2 })).toBe(
    'error: mlv has nothing to do in a hook "post-commit"\nhint: Hooks are pre-commit, pre-push, post-checkout, post-merge, post-rewrite\n',
  );
});
