import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { OWNER, READER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import type { Credential } from '../support/s3-server/signature.ts';
import { data, refusal, told } from '../support/told.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NONE = { blobs: 0, bytes: 0, files: 0 };
const as = ({ accessKeyId, secretAccessKey }: Credential) => ({
  env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
});

let rig: MlvRig;
let server: S3Server;
let names = 0;
beforeAll(async () => {
  rig = makeMlvRig();
  server = await startRig();
});
afterAll(async () => {
  await server.close();
  rig.dispose();
});

/** The store's clock; everything before the first day has been there for ever. */
function day(number: number): void {
  server.clockOffsetMs = (number - 400) * DAY_MS;
}
beforeEach(() => day(0));

interface Project extends TestRepository {
  readonly name: string;
  mlv(...args: string[]): Promise<string>;
  gc(...args: string[]): Promise<Record<string, unknown>>;
  /** Writes files, records, commits, pushes data and commits. Returns the commit. */
  publish(files: Record<string, string | Buffer>, ...paths: string[]): Promise<string>;
  /** Keys of packs and objects. */
  stored(): string[];
  clone(name: string): Project;
}

function at(name: string, repository: TestRepository): Project {
  const { root, git } = repository;
  const mlv = (...args: string[]): Promise<string> => told(rig, root, args, as(OWNER));
  return {
    ...repository,
    name,
    mlv,
    gc: (...args) => data(rig, root, ['gc', '--remote', 'store', '--yes', ...args], as(OWNER)),
    async publish(files, ...paths) {
      writeFiles(root, files);
      await mlv('add', ...paths);
      git('add', '--all');
      git('commit', '--quiet', '-m', 'version');
      await mlv('push');
      git('push', '--quiet', 'origin', 'HEAD');
      return git('rev-parse', 'HEAD');
    },
    stored: () =>
      [...server.bucket().objects().keys()].filter(
        (key) => /^[^/]+\/(?:packs|objects)\//.test(key) && key.startsWith(`${name}/`),
      ),
    clone(folder) {
      git('clone', '--quiet', join(rig.folder, `${name}.git`), join(rig.folder, folder));
      return at(name, repositoryAt(join(rig.folder, folder)));
    },
  };
}

/** A project in a bucket, with a Git server. */
async function makeProject(): Promise<Project> {
  const name = `project${names++}`;
  const repository = await rig.project(name);
  const project = at(name, repository);
  repository.git('init', '--quiet', '--bare', '--initial-branch=main', join(rig.folder, `${name}.git`));
  repository.git('remote', 'add', 'origin', join(rig.folder, `${name}.git`));
  await project.mlv('remote', 'add', '-d', 'store', `s3://data/${name}`);
  await project.mlv('config', 'remotes.store.endpoint', server.endpoint);
  repository.git('commit', '--quiet', '-m', 'project');
  return project;
}

/** Takes the last commit back, everywhere. */
async function withdraw({ root, git, mlv }: Project): Promise<void> {
  git('reset', '--quiet', '--hard', 'HEAD~1');
  git('push', '--quiet', '--force', 'origin', 'HEAD');
  git('reflog', 'expire', '--expire=now', '--all');
  rmSync(join(root, '.git/ORIG_HEAD'));
  await mlv('checkout', '--force');
  // What lies there untracked is kept as well.
  rmSync(join(root, '.git/mlv/checkout'), { recursive: true });
}

describe('gc --remote', () => {
  test('kills what no commit names, and deletes it a week later; what is named stays', async () => {
    const project = await makeProject();
    const { root, git, mlv, gc, stored } = project;
    await project.publish({ ...manyFiles(60, 'data/'), model: 'first' }, 'data', 'model');
    const kept = stored();
    await project.publish({ ...manyFiles(90, 'data/more/'), model: Buffer.alloc(9 << 20, 'm') }, 'data', 'model');
    const all = stored();
    expect(all).toHaveLength(kept.length + 3);
    await withdraw(project);
    const before = readFolder(root, ['.git']);

    // It was pushed not long ago.
    day(60);
    expect(await gc()).toMatchObject({ garbage: NONE, expired: NONE, done: true });
    day(91);
    expect(await mlv('gc', '--remote', 'store', '--dry-run')).toMatch(
      /^store {2}s3:\/\/data\/project0\nnote: versions that .*: 2\. If .*\nto die {2}93 blobs \([\d.]+ MB\) in 3 files that nothing needs; deleted by a collection in a week or later\nNothing was changed: a dry run\n$/,
    );
    expect(await gc()).toMatchObject({ garbage: { blobs: 93, files: 3 }, expired: NONE, done: true, stuck: 0 });
    expect(stored()).toEqual(all);
    expect(await mlv('verify', '--remote')).toMatch(/sound/);
    expect(await mlv('push')).toMatch(/up to date/);

    day(97);
    expect(await gc()).toMatchObject({ garbage: NONE, expired: NONE });
    day(99);
    expect(await gc()).toMatchObject({ garbage: NONE, expired: { blobs: 93, files: 3 }, rescued: { blobs: 0 } });
    expect(stored()).toEqual(kept);
    day(110);
    expect(await mlv('gc', '--remote', 'store', '--yes')).toBe('store  s3://data/project0  nothing to throw away\n');
    await server.bucket().put('project0/jobs/0f0e0d0c-1234-5678-9abc-def012345678', 'a record');
    day(190);
    expect(await gc()).toMatchObject({ jobs: 0 });
    day(201);
    expect(await mlv('gc', '--remote', 'store', '--dry-run')).toBe(
      'store  s3://data/project0\nto be deleted  1 record of Kubernetes Jobs that ended over 90 days ago\nNothing was changed: a dry run\n',
    );
    expect(await mlv('gc', '--remote', 'store', '--yes')).toBe(
      'store  s3://data/project0\ndeleted  1 record of Kubernetes Jobs that ended over 90 days ago\n',
    );
    expect([...server.bucket().objects().keys()].filter((key) => key.startsWith('project0/jobs'))).toEqual([]);
    expect(await mlv('verify', '--remote')).toMatch(/sound/);
    const other = project.clone('other0');
    await other.mlv('pull');
    expect(readFolder(other.root, ['.git'])).toEqual(before);
    expect(git('status', '--short')).toBe('');
  });

  test('serves who still needs it until it is deleted, and saves what is needed by then', async () => {
    const project = await makeProject();
    const { mlv, gc, stored } = project;
    await project.publish({ model: 'first' }, 'model');
    const commit = await project.publish({ ...manyFiles(60, 'data/') }, 'data');
    const old = stored();
    await withdraw(project);
    day(100);
    expect(await gc()).toMatchObject({ garbage: { files: 2 } });
    // Somebody has the commit yet.
    project.git('fetch', '--quiet', 'origin');
    project.git('branch', 'again', commit);
    project.git('push', '--quiet', 'origin', 'again');
    const other = project.clone('other1');
    other.git('checkout', '--quiet', 'again');
    await other.mlv('pull');
    expect(Object.keys(readFolder(join(other.root, 'data')) ?? {})).toHaveLength(60);
    day(108);
    expect(await gc()).toMatchObject({
      garbage: NONE,
      expired: { files: 2, blobs: 62 },
      rescued: { blobs: 62 },
      stuck: 0,
    });
    expect(stored().filter((key) => old.includes(key))).toHaveLength(old.length - 2);
    expect(stored()).toHaveLength(old.length);
    expect(await mlv('verify', '--remote', '--rev', 'again')).toMatch(/sound/);
    rmSync(join(other.root, '.git/mlv/cache'), { recursive: true });
    rmSync(join(other.root, 'data'), { recursive: true });
    await other.mlv('pull');
    expect(Object.keys(readFolder(join(other.root, 'data')) ?? {})).toHaveLength(60);
  });

  test('a push sends again what died, under other keys', async () => {
    const project = await makeProject();
    const { mlv, gc, stored, git } = project;
    await project.publish({ model: 'first' }, 'model');
    const commit = await project.publish(
      { ...manyFiles(60, 'data/'), large: Buffer.alloc(9 << 20, 'l') },
      'data',
      'large',
    );
    await withdraw(project);
    day(100);
    await gc();
    git('reset', '--quiet', '--hard', commit);
    expect(await mlv('push')).toMatch(/sent 61 blobs/);
    git('push', '--quiet', 'origin', 'HEAD');
    const again = stored();
    day(115);
    expect(await gc()).toMatchObject({ expired: { files: 3 }, rescued: { blobs: 0 } });
    expect(stored()).toHaveLength(again.length - 3);
    const other = project.clone('other2');
    await other.mlv('pull');
    expect(readFolder(join(other.root, 'data'))).toEqual(readFolder(join(project.root, 'data')));
  });

  test('stores packs anew of which much is not needed', async () => {
    const project = await makeProject();
    const { mlv, gc, git, stored, root } = project;
    const files = manyFiles(200, 'data/');
    await project.publish(files, 'data');
    for (const path of Object.keys(files).slice(0, 120)) rmSync(join(root, path));
    await project.publish({}, 'data');
    expect(stored()).toHaveLength(3);
    day(100);
    git('reflog', 'expire', '--expire=now', '--all');
    // All commits keep what they name; the tips of branches, less.
    expect(await gc()).toMatchObject({ garbage: NONE });
    const result = await gc('--all-branches');
    expect(result).toMatchObject({ garbage: { files: 2 }, kept: { blobs: 80 }, stuck: 0 });
    expect(await mlv('verify', '--remote')).toMatch(/sound/);
    day(108);
    expect(await gc('--all-branches')).toMatchObject({
      garbage: NONE,
      expired: { files: 2 },
      rescued: { blobs: 0 },
    });
    expect(stored()).toHaveLength(2);
    const other = project.clone('other3');
    await other.mlv('pull');
    expect(readFolder(join(other.root, 'data'))).toEqual(readFolder(join(root, 'data')));
  });

  test('refuses where it cannot know what is needed', async () => {
    const project = await makeProject();
    await project.publish({ model: 'first' }, 'model');
    const other = project.clone('behind');
    await project.publish({ model: 'second' }, 'model');
    project.git('tag', '-a', '-m', 'one', 'v1');
    project.git('push', '--quiet', 'origin', 'v1');
    day(100);
    const gc = ['gc', '--remote', 'store', '--yes'];
    expect(await refusal(rig, other.root, gc, as(OWNER))).toMatch(
      /^error: 2 refs of Git remotes lead to commits that this clone does not have.*\n {2}origin refs\/heads\/main\n {2}origin refs\/tags\/v1\nhint: git fetch/,
    );
    other.git('fetch', '--quiet', '--all', '--tags');
    expect(await other.gc()).toMatchObject({ garbage: NONE });
    other.git(
      'clone',
      '--quiet',
      '--depth=1',
      `file://${join(rig.folder, `${project.name}.git`)}`,
      `${other.root}-shallow`,
    );
    expect(await refusal(rig, `${other.root}-shallow`, gc, as(OWNER))).toMatch(/git fetch --unshallow/);
    rmSync(join(rig.folder, `${project.name}.git`), { recursive: true });
    expect(await refusal(rig, other.root, gc, as(OWNER))).toMatch(/^error: .*git/i);
    expect(await refusal(rig, other.root, [...gc, '--undo'], { ...as(OWNER), code: 2 })).toMatch(/--undo/);
  });

  test('does nothing where nobody can be asked, or may delete', async () => {
    const project = await makeProject();
    const { stored, root } = project;
    await project.publish({ model: 'first' }, 'model');
    await project.publish({ model: 'second' }, 'model');
    await withdraw(project);
    day(100);
    const before = [...server.bucket().objects().keys()];
    expect(await refusal(rig, root, ['gc', '--remote', 'store'], as(OWNER))).toMatch(
      /^error: nothing was thrown away: nobody is there/,
    );
    expect(await refusal(rig, root, ['gc', '--remote', 'store', '--yes'], as(READER))).toMatch(/may not be written to/);
    expect([...server.bucket().objects().keys()]).toEqual(before);
    await project.gc();
    day(108);
    server.faults.add({
      on: { operation: 'DeleteObject' },
      times: Infinity,
      action: { kind: 'answer', status: 403, code: 'AccessDenied' },
    });
    const kept = stored();
    expect(await refusal(rig, root, ['gc', '--remote', 'store', '--yes'], as(OWNER))).toMatch(/s3:DeleteObject/);
    expect(stored()).toEqual(kept);
  });
});
