import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRead, executable, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { OWNER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import { refusal, told } from '../support/told.ts';

const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
  AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
};
const FILES = {
  'a.csv': '1,2',
  'b/run': executable('#!/bin/sh'),
  large: Buffer.alloc(20 << 20, 'large file').toString(),
};

let rig: MlvRig;
let server: S3Server;
beforeAll(async () => {
  rig = makeMlvRig();
  server = await startRig();
});
afterAll(async () => {
  await server.close();
  rig.dispose();
});

async function projectWithBucket(name: string): Promise<TestRepository> {
  const project = await rig.project(name);
  await told(rig, project.root, ['remote', 'add', '-d', 'store', `s3://data/${name}`]);
  await told(rig, project.root, ['config', 'remotes.store.endpoint', server.endpoint]);
  writeFiles(join(project.root, 'data'), FILES);
  await told(rig, project.root, ['add', 'data']);
  project.git('commit', '--quiet', '--all', '-m', 'data');
  return project;
}

test('data goes to a bucket, and from there into another clone, whatever happens on the way', async () => {
  const { root, git } = await projectWithBucket('trip');
  const env = { env: CREDENTIALS };
  server.faults.add({ times: 2, action: { kind: 'answer', status: 503, code: 'SlowDown' } });
  server.faults.add({ on: { operation: 'UploadPart' }, action: { kind: 'reset', afterRequestBytes: 1 << 20 } });
  expect(await told(rig, root, ['push'], env)).toMatch(/^store {2}s3:\/\/data\/trip {2}sent 3 blobs, /);
  const before = server.requests.length;
  expect(await told(rig, root, ['push'], env)).toContain('up to date');
  expect(server.requests.length - before).toBe(1);

  const clone = join(rig.folder, 'trip-clone');
  git('clone', '--quiet', root, clone);
  server.faults.add({ on: { operation: 'GetObject', key: 'objects/' }, action: { kind: 'truncate', bytes: 1000 } });
  await told(rig, clone, ['pull'], env);
  expect(readFolder(join(clone, 'data'))).toEqual(asRead(FILES));
  expect(server.bucket().uploads()).toEqual([]);
});

test('without credentials, or a bucket, the reason is told', async () => {
  const { root } = await projectWithBucket('refused');
  const none = { env: { AWS_EC2_METADATA_DISABLED: 'true' } };
  expect(await refusal(rig, root, ['push'], none)).toMatch(/^error: there are no credentials for s3:\/\/data\/refused/);
  await told(rig, root, ['remote', 'modify', 'store', 'url', 's3://none']);
  rmSync(join(root, '.git/mlv/remotes'), { recursive: true, force: true });
  expect(await refusal(rig, root, ['push'], { env: CREDENTIALS })).toContain(
    `error: there is no bucket "none" at ${server.endpoint}\n`,
  );
});
