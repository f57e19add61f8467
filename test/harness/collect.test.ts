import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lutimesSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { BIN, makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
let template: Awaited<ReturnType<typeof makeTemplate>>;
beforeAll(async () => {
  rig = makeMlvRig();
  template = await makeTemplate();
});
afterAll(() => rig.dispose(), 120_000);

const DAY_MS = 24 * 60 * 60 * 1000;
const NOTHING = { blobs: 0, bytes: 0 };

interface Collected {
  readonly garbage: { blobs: number; bytes: number };
  readonly unpushed: { blobs: number; bytes: number };
  readonly expired: { blobs: number; bytes: number };
  readonly done: boolean;
  readonly restored: number;
}

const gc = (root: string, ...args: string[]): Promise<Collected> => data(rig, root, ['gc', '--yes', ...args]);

/** Makes all that the cache has look as if it was used so many days ago last, and the trash too. */
function age(root: string, days: number): void {
  ageFolder(join(root, '.git/mlv/cache'), days);
}

function ageFolder(folder: string, days: number): void {
  const then = new Date(Date.now() - days * DAY_MS);
  for (const name of readdirSync(folder, { recursive: true })) lutimesSync(join(folder, String(name)), then, then);
}

/** Everything in the cache and its trash: files of blobs and packs. */
function held(root: string): { cache: string[]; trash: string[] } {
  const list = (folder: string): string[] =>
    !existsSync(folder)
      ? []
      : readdirSync(folder, { recursive: true })
          .map(String)
          .filter((name) => /(?:^|\/)(?:b3\/..\/|packs\/)/.test(name))
          .sort();
  const all = list(join(root, '.git/mlv/cache'));
  return {
    cache: all.filter((name) => !name.startsWith('trash/')),
    trash: all.filter((name) => name.startsWith('trash/')),
  };
}

/** A project with two versions of a file and of a folder, both pushed; nothing but HEAD leads to them. */
async function makeTemplate() {
  const project = await shareProject(rig, 'template', { ...manyFiles(100, 'data/'), model: 'first' }, 'data', 'model');
  const { root, git, version, remote } = project;
  const first = git('rev-parse', 'HEAD');
  await version({ ...manyFiles(100, 'data/more/'), model: 'second' }, 'data', 'model');
  await told(rig, root, ['push']);
  git('reflog', 'expire', '--expire=now', '--all');
  rmSync(join(root, '.git/ORIG_HEAD'), { force: true });
  return { root, remote, first };
}

/** A copy of it that may be changed, and of which nothing has been used lately. */
function twoVersions(name: string) {
  const root = join(rig.folder, name);
  const remote = join(rig.folder, `${name}-store`);
  // With its times, by which git and mlv know what did not change.
  execFileSync('cp', ['-a', template.root, root]);
  execFileSync('cp', ['-a', template.remote, remote]);
  const settings = join(root, '.mlv/config.yaml');
  writeFileSync(settings, readFileSync(settings, 'utf8').replace('template-store', `${name}-store`));
  age(root, 20);
  const clone = (folder: string) => {
    execFileSync('git', ['clone', '--quiet', root, join(rig.folder, folder)], { env: rig.env, stdio: 'pipe' });
    return repositoryAt(join(rig.folder, folder));
  };
  return { ...repositoryAt(root), remote, first: template.first, clone };
}

describe('gc', () => {
  test('throws away what only earlier versions need; they come back from the trash when they are asked for', async () => {
    const { root, git, first } = twoVersions('earlier');
    const before = readFolder(root, ['.git']);
    expect(await told(rig, root, ['gc', '--dry-run'])).toMatch(
      /^to the trash {2}3 blobs \([\d.]+ k?B\) that nothing needs; for two weeks they can come back\nNothing was moved: a dry run\n$/,
    );
    const { cache } = held(root);
    expect(held(root).trash).toEqual([]);
    const result = await gc(root);
    expect(result).toMatchObject({
      garbage: { blobs: 3 },
      unpushed: NOTHING,
      expired: NOTHING,
      done: true,
      restored: 0,
    });
    const after = held(root);
    expect(after.trash).toHaveLength(3);
    expect([...after.cache, ...after.trash.map((path) => path.replace(/^trash\/[^/]+\//, ''))].sort()).toEqual(cache);
    expect(await told(rig, root, ['verify'])).toMatch(/^cache .* sound: /);
    expect(await gc(root)).toMatchObject({ garbage: NOTHING, done: true });

    git('checkout', '--quiet', first);
    await told(rig, root, ['checkout']);
    expect(readFileSync(join(root, 'model'), 'utf8')).toBe('first');
    expect(existsSync(join(root, 'data/more'))).toBe(false);
    git('checkout', '--quiet', 'main');
    await told(rig, root, ['checkout']);
    expect(readFolder(root, ['.git'])).toEqual(before);
  });

  test('leaves what no remote has, unless told', async () => {
    const { root, git, version, remote } = await shareProject(rig, 'unpushed', { model: 'first' }, 'model');
    await version({ model: 'second' }, 'model');
    git('reflog', 'expire', '--expire=now', '--all');
    age(root, 20);
    expect(await gc(root)).toMatchObject({ garbage: NOTHING, unpushed: { blobs: 1, bytes: 5 }, done: true });
    expect(held(root).trash).toEqual([]);
    expect(await told(rig, root, ['gc'])).toBe(
      `note: store could not be asked: the remote's folder does not exist: ${remote}\nNothing to throw away\n1 blob (5 B) that nothing needs stay: no remote has them\nhint: mlv push --all-commits, or mlv gc --unpushed\n`,
    );
    expect(await gc(root, '--unpushed')).toMatchObject({ garbage: { blobs: 1, bytes: 5 }, unpushed: NOTHING });
    expect(held(root).trash).toHaveLength(1);
  });

  test('asks the remote again: what it has lost meanwhile stays', async () => {
    const { root, remote } = twoVersions('lost-meanwhile');
    rmSync(join(remote, 'index'), { recursive: true });
    expect(await gc(root)).toMatchObject({ garbage: NOTHING, unpushed: { blobs: 3 } });
    rmSync(remote, { recursive: true });
    const { stdout } = await rig.mlv(root, ['gc', '--yes']);
    expect(stdout).toMatch(/^note: store could not be asked: /);
    expect(held(root).trash).toEqual([]);
  });

  test('leaves what was used in the last two weeks', async () => {
    const { root } = twoVersions('young');
    age(root, 13);
    expect(await gc(root)).toMatchObject({ garbage: NOTHING, unpushed: NOTHING });
    // What is added again is used, though it was there already.
    age(root, 20);
    writeFiles(root, { again: 'first' });
    await told(rig, root, ['add', 'again']);
    rmSync(join(root, 'again.mlv'));
    repositoryAt(root).git('rm', '--quiet', '--cached', 'again.mlv');
    const { garbage } = await gc(root);
    expect(garbage.blobs).toBe(2);
  });

  test('writes packs anew of which much is not needed', async () => {
    const files = manyFiles(200, 'data/');
    const { root, version, git, remote } = await shareProject(rig, 'sparse', files, 'data');
    await told(rig, root, ['push']);
    for (const path of Object.keys(files).slice(0, 100)) rmSync(join(root, path));
    await version({}, 'data');
    await told(rig, root, ['push']);
    git('reflog', 'expire', '--expire=now', '--all');
    age(root, 20);
    const before = readFolder(join(root, 'data'));
    const { cache: packs } = held(root);
    expect(await gc(root)).toMatchObject({ garbage: { blobs: 102 }, restored: 0 });
    expect(await told(rig, root, ['verify'])).toMatch(/^cache .* sound: /);
    const after = held(root);
    const gone = packs.filter((path) => !after.cache.includes(path));
    expect(after.trash.map((path) => path.replace(/^trash\/[^/]+\//, ''))).toEqual(gone);
    expect(gone.length).toBeGreaterThan(0);

    // One that was killed had told that a pack is garbage, and not moved it.
    const cache = join(root, '.git/mlv/cache');
    const [pack = ''] = after.trash.filter((path) => path.endsWith('.pack'));
    renameSync(join(cache, pack), join(cache, pack.replace(/^trash\/[^/]+\//, '')));
    expect(await gc(root)).toMatchObject({ garbage: NOTHING, restored: 0 });
    expect(held(root)).toEqual(after);

    // What needs nothing of it goes on where the trash is damaged.
    for (const name of readdirSync(join(cache, 'trash'), { recursive: true }).map(String))
      if (/index\/[0-9a-f]{64}$/.test(name)) truncateSync(join(cache, 'trash', name), 100);
    git('checkout', '--quiet', 'HEAD~1');
    expect(await refusal(rig, root, ['checkout'])).toMatch(/mlv pull/);
    git('checkout', '--quiet', 'main');
    rmSync(join(root, 'data'), { recursive: true });
    rmSync(remote, { recursive: true });
    await told(rig, root, ['checkout', 'data']);
    expect(readFolder(join(root, 'data'))).toEqual(before);
    expect(await refusal(rig, root, ['gc', '--yes'])).toMatch(/^error: .*trash.*\nhint: /);
  });

  test('deletes what lies in the trash for two weeks, except what is needed by then', async () => {
    const { root, git, first } = twoVersions('expired');
    await gc(root);
    expect(held(root).trash).toHaveLength(3);
    age(root, 13);
    expect(await gc(root)).toMatchObject({ expired: NOTHING });
    age(root, 15);
    // A tag names the first version again: its trees come back when they are looked into, the rest because it is needed.
    git('tag', 'v1', first);
    expect(await gc(root)).toMatchObject({ expired: NOTHING, restored: 1 });
    expect(held(root).trash).toEqual([]);
    git('checkout', '--quiet', 'v1');
    await told(rig, root, ['checkout']);
    expect(readFileSync(join(root, 'model'), 'utf8')).toBe('first');
    git('checkout', '--quiet', 'main');
    await told(rig, root, ['checkout']);

    git('tag', '-d', 'v1');
    git('reflog', 'expire', '--expire=now', '--all');
    age(root, 20);
    await gc(root);
    age(root, 20);
    expect(await told(rig, root, ['gc', '--yes'])).toMatch(/^deleted {2}3 files \([\d.]+ k?B\) from the trash\n$/);
    expect(held(root).trash).toEqual([]);
    git('checkout', '--quiet', first);
    expect(await refusal(rig, root, ['checkout'])).toMatch(/mlv pull/);
    await told(rig, root, ['pull']);
    expect(readFileSync(join(root, 'model'), 'utf8')).toBe('first');
  });

  test('--undo brings back what the last one threw away', async () => {
    const { root } = twoVersions('undone');
    const before = held(root);
    await gc(root);
    expect(await told(rig, root, ['gc', '--undo'])).toMatch(/^brought back {2}3 files \([\d.]+ k?B\) of the cache\n$/);
    expect(held(root)).toEqual(before);
    expect(await told(rig, root, ['verify'])).toMatch(/^cache .* sound: /);
    expect(await refusal(rig, root, ['gc', '--undo'])).toMatch(/^error: there is nothing in the trash of /);
  });

  test('does nothing where nobody can be asked', async () => {
    const { root } = twoVersions('unasked');
    const before = held(root);
    expect(await refusal(rig, root, ['gc'])).toMatch(
      /^error: nothing was thrown away: nobody is there to be asked\n {2}to the trash {2}3 blobs .*\nhint: "mlv gc --yes"/,
    );
    expect(held(root)).toEqual(before);
    expect(await refusal(rig, root, ['gc', '--yes', '--keep-within', '3 months'], { code: 2 })).toMatch(
      /--keep-within 90d/,
    );
  });

  test('asks on a terminal, and takes no answer for a no', async ({ skip }) => {
    const isThere = /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '');
    if (!isThere) skip('the script program of util-linux is not installed');
    const { root } = twoVersions('asked');
    const before = held(root);
    const command = `'${process.execPath}' '${BIN}' gc`;
    const answer = (input: string): string =>
      execFileSync('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
        cwd: root,
        env: rig.env,
        input,
        encoding: 'utf8',
      });
    for (const no of ['\n', 'n\n', 'yesterday\n']) {
      expect(answer(no)).toMatch(/3 blobs .*\r\nThrow it away\? \[y\/N\] [^]*Nothing was moved/);
      expect(held(root)).toEqual(before);
    }
    expect(answer('y\n')).toMatch(/Throw it away\? \[y\/N\] /);
    expect(held(root).trash).toHaveLength(3);
  });

  test('deletes nothing while what is needed cannot be brought back', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('only root can run commands as another user');
    const { root, git, first } = twoVersions('forbidden');
    await gc(root);
    git('tag', 'v1', first);
    age(root, 20);
    const { trash } = held(root);
    chmodSync(rig.folder, 0o755);
    execFileSync('chown', ['-R', '64001', root]);
    const loose = join(root, '.git/mlv/cache/b3');
    execFileSync('chown', ['-R', '0', loose]);
    const options = { uid: 64_001 };
    expect(await refusal(rig, root, ['gc', '--yes'], options)).toMatch(/^error: cannot write \S+: permission denied/);
    expect(held(root).trash).toEqual(trash.filter((path) => path.includes('/b3/')));
    execFileSync('chown', ['-R', '64001', loose]);
    expect(await data(rig, root, ['gc', '--yes'], options)).toMatchObject({ restored: 1 });
    expect(held(root).trash).toEqual([]);
  });

  test('is not done twice at once', async () => {
    const { root } = twoVersions('twice');
    const results = await Promise.all([1, 2, 3].map(() => rig.mlv(root, ['gc', '--yes'])));
    expect(results.filter(({ code }) => code === 0).length).toBeGreaterThan(0);
    for (const { code, stderr } of results) if (code !== 0) expect(stderr).toMatch(/mlv gc/);
    expect(await told(rig, root, ['verify'])).toMatch(/^cache .* sound: /);
  });
});

describe('gc keeps what', () => {
  test('HEADs, refs, reflogs, stashes, the index and pointers of any work tree name, each alone', async () => {
    const { root, git } = twoVersions('keeps');
    const keepers: Record<string, (commit: string, pointer: string) => unknown> = {
      nothing: () => undefined,
      'a tag': (commit) => git('tag', 'v1', commit),
      'an annotated tag': (commit) => git('tag', '-a', '-m', 'one', 'v2', commit),
      'a ref of mlv': (commit) => git('update-ref', 'refs/mlv/kept', commit),
      'a stash': (commit) => {
        git('checkout', '--quiet', commit, '--', 'model.mlv');
        git('stash', '--quiet');
      },
      'an untracked file in a stash': (_, pointer) => {
        writeFiles(root, { 'untracked.mlv': pointer });
        git('stash', '--quiet', '--include-untracked');
      },
      'a linked work tree': (commit) => git('worktree', 'add', '--quiet', '--detach', `${root}-linked`, commit),
      'the index': (commit) => {
        git('update-index', '--add', '--cacheinfo', `100644,${git('rev-parse', `${commit}:model.mlv`)},staged.mlv`);
      },
      'a pointer that is nowhere else': (_, pointer) => writeFiles(root, { 'alone.mlv': pointer }),
      'a pointer with the marks of a conflict': (_, pointer) =>
        writeFiles(root, { 'conflicted.mlv': `<<<<<<< ours\nversion: 1\n=======\n${pointer}>>>>>>> theirs\n` }),
      'another project of the repository': (_, pointer) =>
        writeFiles(root, { 'other/.mlv/config.yaml': 'version: 1\n', 'other/model.mlv': pointer }),
      'the reflog': (commit) => {
        git('checkout', '--quiet', '--detach', commit);
        git('checkout', '--quiet', 'main');
      },
      HEAD: (commit) => git('checkout', '--quiet', '--detach', commit),
      'one of two that are merged': (commit) =>
        writeFiles(root, { '.git/MERGE_HEAD': `${git('rev-parse', 'main')}\n${commit}\n` }),
      'what a rebase has put aside': (commit) => writeFiles(root, { '.git/rebase-merge/autostash': `${commit}\n` }),
    };
    const made: { name: string; commit: string; pointer: string; blob: string }[] = [];
    for (const name of Object.keys(keepers)) {
      writeFiles(root, { model: `kept by ${name}` });
      await told(rig, root, ['add', 'model']);
      git('commit', '--quiet', '-m', name);
      const pointer = readFileSync(join(root, 'model.mlv'), 'utf8');
      const [digest = ''] = /(?<=b3:)[0-9a-f]{64}/.exec(pointer) ?? [];
      const blob = join(root, '.git/mlv/cache/b3', digest.slice(0, 2), digest.slice(2));
      made.push({ name, commit: git('rev-parse', 'HEAD'), pointer, blob });
    }
    git('reset', '--quiet', '--hard', `HEAD~${made.length}`);
    await told(rig, root, ['checkout', '--force']);
    git('reflog', 'expire', '--expire=now', '--all');
    // Git removes what this alone leads to.
    writeFileSync(join(root, '.git/ORIG_HEAD'), `${'a'.repeat(40)}\n`);
    for (const { name, commit, pointer } of made) keepers[name]?.(commit, pointer);
    age(root, 20);
    expect(made.map(({ blob }) => existsSync(blob))).toEqual(made.map(() => true));
    expect(await gc(root, '--unpushed')).toMatchObject({ restored: 0 });
    expect(made.flatMap(({ name, blob }) => (existsSync(blob) ? [] : [name]))).toEqual(['nothing']);
  });

  test.each<[string, string[], number]>([
    ['branches', ['--all-branches'], 0],
    ['a revision', ['--rev', 'other'], 0],
    ['all commits', ['--all-commits'], 0],
    ['young commits', ['--keep-within', '9999d'], 0],
    ['no commits', ['--keep-within', '90d'], 3],
    ['tags', ['--all-tags'], 3],
  ])('%s need: %j', async (name, args, blobs) => {
    const { root, git, first } = twoVersions(`scope-${name.replaceAll(' ', '-')}`);
    git('branch', 'other', first);
    git('reflog', 'expire', '--expire=now', '--all');
    expect(await gc(root, '--dry-run', ...args)).toMatchObject({ garbage: { blobs } });
  });

  test('refuses when a linked work tree cannot be reached', async () => {
    const { root, git } = twoVersions('unreachable');
    git('worktree', 'add', '--quiet', '--detach', `${root}-gone`);
    rmSync(`${root}-gone`, { recursive: true });
    expect(await refusal(rig, root, ['gc', '--yes'])).toMatch(/git worktree prune/);
    git('worktree', 'prune');
    await gc(root);
  });

  test('refuses --unpushed while it is not known what is needed', async () => {
    const project = twoVersions('unknown');
    const { root } = project.clone('unknown-clone');
    writeFiles(root, { mine: 'only here' });
    await told(rig, root, ['add', 'mine']);
    expect(await refusal(rig, root, ['gc', '--yes', '--unpushed'])).toMatch(/tree objects? of versions that are kept/);
  });

  test('works without Git', async () => {
    const { root } = rig.repository('no-git');
    rmSync(join(root, '.git'), { recursive: true });
    await told(rig, root, ['init', '--no-git']);
    writeFiles(root, { model: 'first' });
    await told(rig, root, ['add', 'model']);
    writeFiles(root, { model: 'second' });
    await told(rig, root, ['add', 'model']);
    const cache = join(root, '.mlv/local/cache');
    const then = new Date(Date.now() - 20 * DAY_MS);
    for (const name of readdirSync(cache, { recursive: true }))
      if (statSync(join(cache, String(name))).isFile()) utimesSync(join(cache, String(name)), then, then);
    expect(await gc(root, '--unpushed')).toMatchObject({ garbage: { blobs: 1, bytes: 5 } });
    expect(await told(rig, root, ['verify'])).toMatch(/sound/);
  });
});

describe('a cache that clones share', () => {
  test('keeps what any of them needs, and nothing goes while one cannot be asked', async () => {
    const { root, git, first, clone } = twoVersions('shared');
    const cache = join(rig.folder, 'shared-cache');
    const other = clone('shared-other');
    for (const each of [root, other.root]) await told(rig, each, ['config', '--local', 'cache.dir', cache]);
    for (const each of [root, other.root]) await told(rig, each, ['pull']);
    git('checkout', '--quiet', first);
    await told(rig, root, ['pull']);
    git('checkout', '--quiet', 'main');
    await told(rig, root, ['checkout']);
    git('reflog', 'expire', '--expire=now', '--all');
    other.git('checkout', '--quiet', '--detach', first);
    ageFolder(cache, 20);
    expect(await gc(root)).toMatchObject({ garbage: NOTHING });

    other.git('checkout', '--quiet', 'main');
    other.git('reflog', 'expire', '--expire=now', '--all');
    renameSync(other.root, `${other.root}-away`);
    expect(await refusal(rig, root, ['gc', '--yes'])).toMatch(
      /^error: the clone \S+\/shared-other uses this cache and cannot be read.*\nhint: .* delete \S+\/shared-cache\/clones\/[0-9a-f]{32}\n$/,
    );
    renameSync(`${other.root}-away`, other.root);
    expect(await gc(root)).toMatchObject({ garbage: { blobs: 3 } });
  });

  test('keeps what another clone needs, though this one has a record that it was purged', async () => {
    const { root, clone } = twoVersions('purged');
    const cache = join(rig.folder, 'purged-cache');
    const other = clone('purged-other');
    for (const each of [root, other.root]) await told(rig, each, ['config', '--local', 'cache.dir', cache]);
    for (const each of [root, other.root]) await told(rig, each, ['pull']);
    const [digest = ''] = /(?<=b3:)[0-9a-f]{64}/.exec(readFileSync(join(root, 'model.mlv'), 'utf8')) ?? [];
    writeFiles(root, { '.mlv/purged': `mlv-purged 1\n${digest} 2026-11-21\n` });
    ageFolder(cache, 20);
    expect(await gc(root)).toMatchObject({ garbage: NOTHING });
    // Who says so explicitly deletes it for all.
    expect(await told(rig, root, ['purge', '--yes'])).toMatch(/^purged {2}1 content/);
    expect(existsSync(join(cache, 'b3', digest.slice(0, 2), digest.slice(2)))).toBe(false);
  });
});
