import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asRead, emptyFolder, executable, identities, link, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose(), 120_000);

interface Pushed {
  readonly remotes: readonly {
    name: string;
    blobs: number;
    packs: number;
    objects: number;
    indexes: number;
    upToDate: boolean;
  }[];
  readonly missing: readonly string[];
}

describe('the trip from one clone to another', () => {
  const first = {
    'data/a': '1',
    'data/b': executable('2'),
    'data/l': link('a'),
    'data/none': emptyFolder,
    model: 'm1',
  };
  const second = { 'data/a': '11', 'data/c/d': '3', model: 'm2' };

  test('one push sends every version that was committed', async () => {
    const project = await shareProject(rig, 'versions', first, 'data', 'model');
    await project.version(second, 'data', 'model');
    expect(await told(rig, project.root, ['push'])).toMatch(
      /^store {2}\S+\/versions-store {2}sent 7 blobs, [\d.]+ kB in 2 packs\n$/,
    );
    const now = project.clone('versions-now');
    await told(rig, now.root, ['pull']);
    expect(tracked(now.root)).toEqual(asRead({ ...first, ...second }));
    const earlier = project.clone('versions-earlier');
    earlier.git('checkout', '--quiet', 'HEAD~1');
    await told(rig, earlier.root, ['pull']);
    expect(tracked(earlier.root)).toEqual(asRead(first));
    expect(await told(rig, earlier.root, ['status'])).toBe('2 paths unchanged (4 files, 5 B)\n');
  });

  test('with nothing to do, neither side is touched', async () => {
    const { root, remote, clone } = await shareProject(rig, 'idle', first, 'data', 'model');
    await told(rig, root, ['push']);
    const other = clone('idle-clone').root;
    await told(rig, other, ['pull']);
    // Probe files tell what links the disk makes, and the folder they were in remembers.
    const touched = (): unknown =>
      [
        identities(remote),
        identities(join(root, '.git/mlv'), ['cache/tmp']),
        identities(other, ['.git']),
        identities(join(other, '.git/mlv'), ['cache/tmp']),
      ].map((tree) => Object.fromEntries(Object.entries(tree).filter(([path]) => path !== '.')));
    await told(rig, other, ['push']);
    // Times of what was made just now may still be looked at twice.
    await new Promise((resolve) => setTimeout(resolve, 150));
    await told(rig, other, ['pull']);
    const before = touched();
    expect(await told(rig, root, ['push'])).toBe(`store  ${remote}  up to date\n`);
    expect(await told(rig, other, ['push'])).toBe(`store  ${remote}  up to date\n`);
    expect(await told(rig, other, ['fetch'])).toBe(`store  ${remote}  up to date\n`);
    expect(await told(rig, other, ['pull'])).toBe(`store  ${remote}  up to date\nNothing to check out\n`);
    expect(touched()).toEqual(before);
  });

  test('what is fetched can be checked out after the remote is gone, and what is pushed again comes back', async () => {
    const { root, remote, clone } = await shareProject(rig, 'gone', first, 'data', 'model');
    await told(rig, root, ['push']);
    const other = clone('gone-clone').root;
    expect(await told(rig, other, ['fetch'])).toMatch(/^store {2}\S+\/gone-store {2}got 4 blobs, [\d.]+ k?B\n$/);
    expect(tracked(other)).toEqual({});
    renameSync(remote, `${remote}-away`);
    await told(rig, other, ['checkout']);
    expect(tracked(other)).toEqual(asRead(first));
    for (const command of ['push', 'pull', 'fetch']) {
      expect(await refusal(rig, other, [command])).toContain(
        `there was a remote at ${remote}, and now its mlv.json is not there\n`,
      );
    }
    renameSync(`${remote}-away`, remote);
    expect(await told(rig, other, ['pull'])).toContain('up to date\n');
  });

  test('a CI image without git pulls the same bytes', async () => {
    const project = await shareProject(rig, 'no-git', first, 'data', 'model');
    await project.version({ 'data/a': Buffer.from([0, 255, 10, 13]) }, 'data');
    await told(rig, project.root, ['push']);
    const { root } = project.clone('no-git-clone');
    const env = { PATH: join(rig.folder, 'home') };
    await told(rig, root, ['pull'], { env });
    expect(tracked(root)).toEqual(tracked(project.root));
    expect(readFileSync(join(root, 'data/a'))).toEqual(Buffer.from([0, 255, 10, 13]));
    expect(await told(rig, root, ['status'], { env })).toContain('2 paths unchanged');
    await told(rig, root, ['fetch', '--rev', project.git('rev-parse', 'HEAD~1')], { env });
    expect(await told(rig, root, ['push'], { env })).toContain('up to date\n');
  });
});

describe('which data', () => {
  /** A project whose main branch, another branch, a tag and a commit that only a tag's history has name different data. */
  let project: SharedProject;
  beforeAll(async () => {
    project = await shareProject(rig, 'branchy', { data: 'base' }, 'data');
    const { git, version } = project;
    /** Goes to a commit, data and all. */
    const go = async (...args: string[]): Promise<void> => {
      git('checkout', '--quiet', ...args);
      await told(rig, project.root, ['checkout']);
    };
    await go('-b', 'side');
    await version({ data: 'side 1' }, 'data');
    await version({ data: 'side 2', extra: 'side' }, 'data', 'extra');
    await go('--detach', 'main');
    await version({ data: 'tagged 1' }, 'data');
    await version({ data: 'tagged 2' }, 'data');
    git('tag', 'v1');
    await go('main');
    await version({ data: 'main' }, 'data');
    await told(rig, project.root, ['push', '--all-commits']);
  });
  const everything = ['base', 'main', 'side', 'side 1', 'side 2', 'tagged 1', 'tagged 2'];

  test.each([
    { options: [], pushed: ['base', 'main'] },
    { options: ['--rev', 'main~1'], pushed: ['base'] },
    { options: ['--rev', 'side'], pushed: ['side', 'side 2'] },
    { options: ['--all-branches'], pushed: ['main', 'side', 'side 2'] },
    { options: ['--all-tags'], pushed: ['tagged 2'] },
    { options: ['--all-branches', '--all-tags'], pushed: ['main', 'side', 'side 2', 'tagged 2'] },
    { options: ['--all-commits'], pushed: everything },
    { options: ['--rev', 'side', 'extra'], pushed: ['side'] },
    { options: ['data'], pushed: ['main'] },
  ])('push $options sends $pushed', async ({ options, pushed }) => {
    const name = `to${options.join('')}`.replaceAll(/[^a-z]/g, '');
    const remote = join(rig.folder, name);
    await told(rig, project.root, ['remote', 'add', '--local', name, remote]);
    await told(rig, project.root, ['push', '-r', name, ...options]);
    expect(holding(remote, everything)).toEqual(pushed);
  });

  test.each([
    { options: [], fetched: ['main'] },
    { options: ['--rev', 'origin/side'], fetched: ['side', 'side 2'] },
    { options: ['--all-branches'], fetched: ['main', 'side', 'side 2'] },
    { options: ['--all-tags'], fetched: ['tagged 2'] },
    { options: ['--all-commits'], fetched: everything },
    { options: ['--rev', 'v1~1', 'data'], fetched: ['tagged 1'] },
  ])('fetch $options brings $fetched', async ({ options, fetched }) => {
    const other = project.clone(`from${options.join('').replaceAll('/', '')}`).root;
    await told(rig, other, ['fetch', ...options]);
    expect(holding(join(other, '.git/mlv/cache'), everything)).toEqual(fetched);
    await told(rig, other, ['pull', ...options]);
    expect(readFileSync(join(other, 'data'), 'utf8')).toBe('main');
  });

  test('targets: files, folders in datasets, pointers, from any folder', async () => {
    const files = { 'in/data/x/1': 'x1', 'in/data/x/2': 'x2', 'in/data/y/3': 'y3', 'in/model': 'm', other: 'o' };
    const { root, clone } = await shareProject(rig, 'targets', files, 'in/data', 'in/model', 'other');
    await told(rig, root, ['push']);
    const contents = Object.values(files).sort();
    for (const [number, [cwd, targets, found]] of (
      [
        ['', ['in'], ['m', 'x1', 'x2', 'y3']],
        ['in', ['data/x', '../other'], ['o', 'x1', 'x2']],
        ['', ['in/model.mlv', 'in/data/y/3'], ['m', 'y3']],
        ['in', ['.'], ['m', 'x1', 'x2', 'y3']],
      ] as const
    ).entries()) {
      const other = clone(`targets-${number}`).root;
      await told(rig, join(other, cwd), ['pull', ...targets]);
      expect(
        Object.values(tracked(other))
          .map((text) => text.slice('file '.length))
          .sort(),
      ).toEqual(found);
      expect(holding(join(other, '.git/mlv/cache'), contents)).toEqual(found);
    }
    const fresh = clone('targets-wrong').root;
    for (const command of ['push', 'pull', 'fetch']) {
      expect(await refusal(rig, fresh, [command, 'nothing'])).toContain('nothing');
    }
    expect(await refusal(rig, fresh, ['fetch', '--rev', 'nonsense'])).toContain('nonsense');
  });
});

describe('which remote', () => {
  test('-r names one, a pointer its own, and all else goes to the default', async () => {
    const project = await shareProject(rig, 'remotes', { usual: 'u' }, 'usual');
    const { root, remote, clone, git } = project;
    const [archive, third] = [join(rig.folder, 'archive'), join(rig.folder, 'third')];
    await told(rig, root, ['remote', 'add', 'archive', archive]);
    await told(rig, root, ['remote', 'add', 'third', third]);
    writeFiles(root, { apart: 'a' });
    await told(rig, root, ['add', 'apart', '--remote', 'archive']);
    git('commit', '--quiet', '--all', '-m', '2');
    const pushed = await data<Pushed>(rig, root, ['push']);
    expect(pushed.remotes.map(({ name, blobs, upToDate }) => [name, blobs, upToDate])).toEqual([
      ['archive', 1, false],
      ['store', 1, false],
    ]);
    expect([holding(archive, ['u', 'a']), holding(remote, ['u', 'a'])]).toEqual([['a'], ['u']]);
    const other = clone('remotes-clone').root;
    await told(rig, other, ['pull']);
    expect(tracked(other)).toEqual({ apart: 'file a', usual: 'file u' });
    await told(rig, other, ['push', '-r', 'third']);
    expect(holding(third, ['u', 'a'])).toEqual(['a', 'u']);
    const last = clone('remotes-last').root;
    await told(rig, last, ['pull', '--remote', 'third', 'apart']);
    expect(tracked(last)).toEqual({ apart: 'file a' });
    expect(await refusal(rig, last, ['pull', '-r', 'fourth'])).toBe(
      'error: there is no remote "fourth"\nhint: "mlv remote list" shows what there is; "mlv remote add fourth URL" adds it.\n',
    );
  });

  test('none configured, and a folder that is not there', async () => {
    const { root, git } = await rig.project('no-remote');
    writeFiles(root, { model: 'm' });
    await told(rig, root, ['add', 'model']);
    git('commit', '--quiet', '-m', '1');
    for (const command of ['push', 'pull', 'fetch']) {
      expect(await refusal(rig, root, [command])).toBe(
        'error: there is no remote yet\nhint: Name a folder or bucket for the data: mlv remote add -d NAME URL\n',
      );
    }
    const nowhere = join(rig.folder, 'not-mounted/store');
    await told(rig, root, ['remote', 'add', 'nowhere', nowhere]);
    for (const command of ['push', 'pull', 'fetch']) {
      expect(await refusal(rig, root, [command, '-r', 'nowhere'])).toContain(
        `the remote's folder does not exist: ${nowhere}\n`,
      );
    }
    expect(existsSync(dirname(nowhere))).toBe(false);
  });
});

describe('what a remote lacks or has damaged', () => {
  const files = { 'data/a': 'content of a', 'data/b': 'content of b', 'data/c': 'content of c', model: 'the model' };

  test('damaged bytes are named and never enter the cache; everything else comes', async () => {
    const { root, remote, clone } = await shareProject(rig, 'damaged', files, 'data', 'model');
    await told(rig, root, ['push']);
    damage(remote, 'content of b', 'CONTENT of b');
    const other = clone('damaged-clone').root;
    const fetched = await rig.mlv(other, ['fetch']);
    expect({ ...fetched, stdout: fetched.stdout.slice(fetched.stdout.indexOf('\n')) }).toEqual({
      code: 1,
      stdout:
        '\n\nmissing: Not on the remote, or damaged there\n  data/b (damaged on the remote)\n' +
        'hint: Run "mlv verify --remote --repair" in a clone that has the data, then fetch again.\n',
      stderr: '',
    });
    expect(await refusal(rig, other, ['pull'])).toBe(
      'error: 1 path is not on the remote, or damaged there; everything else was checked out\n' +
        '  data/b (damaged on the remote)\n' +
        'hint: Run "mlv verify --remote --repair" in a clone that has the data, then pull again.\n',
    );
    const { 'data/b': _, ...rest } = files;
    expect(tracked(other)).toEqual(asRead(rest));
    expect(holding(join(other, '.git/mlv/cache'), [...Object.values(files), 'CONTENT of b'])).toEqual(
      Object.values(rest).sort(),
    );
    // Mended, the same command finishes.
    damage(remote, 'CONTENT of b', 'content of b');
    await told(rig, other, ['pull']);
    expect(tracked(other)).toEqual(asRead(files));
  });

  test('a damaged list of files stops its dataset, and no other', async () => {
    const { root, remote, clone } = await shareProject(rig, 'damaged-tree', files, 'data', 'model');
    await told(rig, root, ['push']);
    damage(remote, ' f b\n', ' f B\n');
    const other = clone('damaged-tree-clone').root;
    expect(await refusal(rig, other, ['pull'])).toContain('\n  data (damaged on the remote)\n');
    expect(tracked(other)).toEqual({ model: 'file the model' });
  });

  test('data that nobody pushed is named, by all three, and the rest is done', async () => {
    const project = await shareProject(rig, 'unpushed', files, 'data', 'model');
    await told(rig, project.root, ['push']);
    await project.version({ model: 'never pushed', 'more/x': 'never pushed either' }, 'model', 'more');
    const other = project.clone('unpushed-clone').root;
    expect(await refusal(rig, other, ['pull'])).toBe(
      'error: 2 paths are not on the remote; everything else was checked out\n' +
        '  more\n  model\n' +
        'hint: Push the data from where it is ("mlv push" in the clone that added it), then pull again.\n',
    );
    expect(Object.keys(tracked(other))).toEqual(['data/a', 'data/b', 'data/c']);
    expect(await rig.mlv(other, ['fetch', 'model'])).toEqual({
      code: 1,
      stdout:
        `store  ${project.remote}  got 0 blobs, 0 B\n\nmissing: Not on the remote\n  model\n` +
        'hint: Push it from where it is ("mlv push" in the clone that added it), then fetch again.\n',
      stderr: '',
    });
    const pushed = await rig.mlv(other, ['push']);
    expect([pushed.code, pushed.stdout.split('\n').slice(2)]).toEqual([
      1,
      [
        'missing: Not sent, because neither the cache nor the remote has it',
        '  more',
        '  model',
        'hint: Push it from the clone that added it; everything else was sent.',
        '',
      ],
    ]);
    await told(rig, project.root, ['push']);
    await told(rig, other, ['pull']);
    expect(tracked(other)).toEqual(tracked(project.root));
  });

  test('bytes damaged in the cache do not leave the machine', async () => {
    const { root, remote } = await shareProject(rig, 'damaged-cache', files, 'data', 'model');
    damage(join(root, '.git/mlv/cache'), 'content of b', 'CONTENT of b');
    for (const sent of ['sent 3 blobs', 'sent 0 blobs']) {
      const { code, stdout } = await rig.mlv(root, ['push']);
      expect([code, stdout.split('\n').slice(1)]).toEqual([
        1,
        [
          '',
          'missing: Not sent, because it is damaged in the cache, or neither there nor on the remote',
          '  data/b (damaged in the cache)',
          'hint: Run "mlv verify --repair": it brings good copies from remotes and the workspace. Then push again; everything else was sent.',
          '',
        ],
      ]);
      expect(stdout).toContain(sent);
    }
    expect(holding(remote, [...Object.values(files), 'CONTENT of b'])).toEqual([
      'content of a',
      'content of c',
      'the model',
    ]);
  });
});

/** What of a work tree is neither Git's nor mlv's own. */
function tracked(root: string): Record<string, string> {
  const found = Object.entries(readFolder(root, ['.git', '.mlv']) ?? {});
  return Object.fromEntries(found.filter(([path]) => !path.endsWith('.mlv') && !path.endsWith('.gitignore')));
}

/** Which of these contents a cache or a remote has, sorted; asked of the bytes in the files there. */
function holding(folder: string, contents: readonly string[]): string[] {
  const held = new Set<string>();
  for (const file of filesIn(folder)) {
    const bytes = readFileSync(file);
    for (const content of contents) if (blobsIn(bytes).includes(content)) held.add(content);
  }
  return [...held].sort();
}

/** The blobs of a pack, or the file as a whole. */
function blobsIn(bytes: Buffer): string[] {
  if (bytes.subarray(0, 8).toString('latin1') !== 'mlv-pack') return [bytes.toString('latin1')];
  const table = Number(bytes.readBigUInt64LE(bytes.length - 48));
  const blobs: string[] = [];
  let offset = 32;
  for (let row = table; row < bytes.length - 48; row += 48) {
    const length = bytes.readUIntLE(row + 36, 6);
    blobs.push(bytes.toString('latin1', offset, offset + length));
    offset += length;
  }
  return blobs;
}

/** Puts other bytes of the same length in the place of some, wherever they are in a folder. */
function damage(folder: string, from: string, to: string): void {
  let hits = 0;
  for (const file of filesIn(folder)) {
    const bytes = readFileSync(file);
    const at = bytes.indexOf(from);
    if (at < 0) continue;
    bytes.write(to, at);
    chmodSync(file, 0o644);
    writeFileSync(file, bytes);
    hits += 1;
  }
  expect(hits).toBe(1);
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
