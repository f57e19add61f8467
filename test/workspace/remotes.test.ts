import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestRepository } from '../support/git.ts';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;
let project: TestRepository;
let made = 0;

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());
beforeEach(async () => {
  project = await rig.project(`p${++made}/project`);
});

const tracked = (): string => readFileSync(join(project.root, '.mlv/config.yaml'), 'utf8');

/** Runs `mlv remote ARGS` and gives back what it printed; it must go well. */
async function remote(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await rig.mlv(project.root, ['remote', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** The same for one that must fail; paths made short, the exit code in front. */
async function refusal(...args: string[]): Promise<string> {
  const before = tracked();
  const { code, stdout, stderr } = await rig.mlv(project.root, ['remote', ...args]);
  expect([stdout, tracked()]).toEqual(['', before]);
  return `${code}\n${stderr.replaceAll(project.root, 'ROOT')}`;
}

describe('remote add', () => {
  test('writes the settings for everyone and stages them', async () => {
    expect(await remote('add', '-d', 'store', '../store')).toBe(
      'added  store  ../store  in .mlv/config.yaml, staged in Git\n',
    );
    expect(tracked()).toBe(`# Settings for everyone who clones this repository: see "mlv config --help"
version: 1
remotes:
  store:
    url: ../store
remote: store
`);
    expect(project.git('show', ':.mlv/config.yaml')).toBe(tracked().trimEnd());
  });

  test('tells how to make it the default when it is not', async () => {
    expect(await remote('add', 'aws', 's3://bucket/some/prefix'))
      .toBe(`added  aws  s3://bucket/some/prefix  in .mlv/config.yaml, staged in Git

  mlv remote default aws  makes it the default
`);
  });

  test('keeps a folder relative to the project, from wherever it was named', async () => {
    mkdirSync(join(project.root, 'a/b'), { recursive: true });
    const { stdout } = await rig.mlv(join(project.root, 'a/b'), ['remote', 'add', 'store', '../../../store', '--json']);
    expect(JSON.parse(stdout)).toEqual({
      name: 'store',
      isDefault: false,
      file: '.mlv/config.yaml',
      changed: true,
      staged: ['.mlv/config.yaml'],
      url: '../store',
    });
  });

  test.each(['/mnt/store', '~/store', 'file:///mnt/my%20store', 's3://bucket'])('takes %s as it is', async (url) => {
    await remote('add', 'store', url);
    expect(tracked()).toContain(`url: ${url}\n`);
  });

  test('--local is for this clone alone', async () => {
    const before = tracked();
    await remote('add', '-d', 'store', '../store', '--local');
    expect(tracked()).toBe(before);
    expect(readFileSync(join(project.root, '.git/mlv/config.yaml'), 'utf8')).toBe(
      'version: 1\nremotes:\n  store:\n    url: ../store\nremote: store\n',
    );
  });

  test('refuses a name that is taken', async () => {
    await remote('add', 'store', '../store');
    expect(await refusal('add', 'store', '../other')).toBe(`1
error: there is a remote store already: ../store
hint: mlv remote modify store url URL changes where it is
`);
  });

  test('refuses a name that no remote can have', async () => {
    expect(await refusal('add', 'my store', '../store')).toBe(`2
error: "my store" is not a remote's name
hint: A name is letters, digits, "-" and "_", at most 64, starting with a letter or digit.
`);
  });

  test('refuses a folder inside the project', async () => {
    expect(await refusal('add', 'store', 'store')).toBe(`1
error: store is inside the project ROOT, where Git would see the data and a clone would not have it
hint: Choose a folder outside: ../store, /mnt/store, ~/store
`);
    expect(await refusal('add', 'store', '.')).toContain('error: . is inside the project ROOT');
  });

  test('says what works in place of a kind of remote that mlv does not have', async () => {
    expect(await refusal('add', 'store', 'gs://bucket/prefix')).toBe(`1
error: mlv has no remotes of the kind gs://: gs://bucket/prefix
hint: Google Cloud Storage speaks S3: use s3://BUCKET/PREFIX with the endpoint https://storage.googleapis.com and an HMAC key.
`);
  });

  test('refuses credentials, and does not repeat them', async () => {
    const told = await refusal('add', 'store', 'https://me:secret@example.com/x');
    expect(told).toMatch(/^1\nerror: a URL may not hold credentials: /);
    expect(told).not.toContain('secret');
  });
});

describe('remote list', () => {
  test('marks the default and tells where each comes from', async () => {
    expect(await remote()).toBe('There are no remotes yet\n  mlv remote add -d NAME URL  makes one\n');
    await remote('add', '-d', 'store', '../store');
    await remote('add', 'archive', 's3://bucket/archive', '--local');
    expect(await remote('list')).toBe(`  archive  s3://bucket/archive  .git/mlv/config.yaml:4
* store    ../store             .mlv/config.yaml:5
`);
    const { stdout } = await rig.mlv(project.root, ['remote', '--json']);
    expect(JSON.parse(stdout)).toEqual([
      { name: 'archive', url: 's3://bucket/archive', isDefault: false, origin: '.git/mlv/config.yaml:4' },
      { name: 'store', url: '../store', isDefault: true, origin: '.mlv/config.yaml:5' },
    ]);
  });
});

describe('remote modify', () => {
  test('changes and removes a setting where the remote is', async () => {
    await remote('add', 'store', 's3://bucket', '--local');
    expect(await remote('modify', 'store', 'region', 'eu-west-1')).toBe(
      'set  store.region = eu-west-1  in .git/mlv/config.yaml\n',
    );
    expect(await remote('modify', 'store', 'region', 'eu-west-1')).toBe(
      'unchanged  store.region = eu-west-1  in .git/mlv/config.yaml\n',
    );
    expect(await remote('modify', 'store', 'region', '--unset')).toBe(
      'set  store.region unset  in .git/mlv/config.yaml\n',
    );
  });

  test('keeps a new folder relative to the project', async () => {
    mkdirSync(join(project.root, 'sub'));
    await remote('add', 'store', '../store');
    await rig.mlv(join(project.root, 'sub'), ['remote', 'modify', 'store', 'url', '../../elsewhere']);
    expect(tracked()).toContain('url: ../elsewhere\n');
  });

  test('refuses what belongs to one machine, and says where it belongs', async () => {
    await remote('add', 'aws', 's3://bucket');
    expect(await refusal('modify', 'aws', 'profile', 'work')).toBe(`1
error: remotes.aws.profile cannot be set for everyone who clones
hint: Set it for this clone: mlv config --local remotes.aws.profile work (or with --user, for all your clones).
`);
    expect(await refusal('modify', 'aws', 'endpoint', 'http://store.example.com')).toBe(`1
error: a plain http endpoint cannot be set for everyone who clones: http://store.example.com
hint: Use https, or set it for this clone alone: mlv config --local remotes.NAME.endpoint http://store.example.com
`);
    expect(await remote('modify', 'aws', 'profile', 'work', '--local')).toBe(
      'set  aws.profile = work  in .git/mlv/config.yaml\n',
    );
  });

  test('names what is missing', async () => {
    expect(await refusal('modify', 'store', 'region')).toBe(`2
error: mlv remote modify needs a VALUE, or --unset
hint: mlv remote modify --help
`);
    expect(await refusal('modify', 'store', 'region', 'x')).toBe(`1
error: no remote is called "store"
hint: mlv remote add NAME URL makes one
`);
  });
});

describe('remote default and remove', () => {
  test('shows, changes and forgets the default', async () => {
    await remote('add', 'store', '../store');
    await remote('add', 'other', '../other');
    expect(await refusal('default')).toBe(`1
error: no remote is the default
hint: mlv remote default NAME chooses one, mlv remote list shows them
`);
    expect(await remote('default', 'store')).toBe('default  store  in .mlv/config.yaml, staged in Git\n');
    expect(await remote('default')).toBe('store\n');
    expect(await refusal('default', 'stroe')).toBe(`1
error: no remote is called "stroe"
hint: Did you mean store?
`);
    await remote('default', 'store', '--local');
    expect(await remote('remove', 'store')).toBe(`removed  store  from .git/mlv/config.yaml
removed  store  from .mlv/config.yaml, staged in Git
`);
    expect(await remote('list')).toBe('  other  ../other  .mlv/config.yaml:5\n');
    expect(tracked()).not.toContain('store');
  });

  test('a remote of the user is not removed from here', async () => {
    mkdirSync(join(rig.folder, 'home/.config/mlv'), { recursive: true });
    const file = join(rig.folder, 'home/.config/mlv/config.yaml');
    writeFileSync(file, 'remotes:\n  mine:\n    url: ~/store\n');
    expect((await refusal('remove', 'mine')).replaceAll(rig.folder, '/tmp')).toBe(`1
error: the remote mine is not one of this project but of /tmp/home/.config/mlv/config.yaml
hint: mlv config --user --unset remotes.mine
`);
    expect((await rig.mlv(project.root, ['config', '--user', '--unset', 'remotes.mine'])).code).toBe(0);
    expect(existsSync(file) && readFileSync(file, 'utf8').includes('mine')).toBe(false);
  });
});
