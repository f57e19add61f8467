import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asRead, executable, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { OWNER, READER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import type { Credential } from '../support/s3-server/signature.ts';
import { refusal, told } from '../support/told.ts';

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

function as({ accessKeyId, secretAccessKey }: Credential): { env: Record<string, string> } {
  return { env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } };
}

async function projectWithBucket(name: string): Promise<TestRepository> {
  const project = await rig.project(name);
  await told(rig, project.root, ['remote', 'add', '-d', 'store', `s3://data/${name}`]);
  await told(rig, project.root, ['config', 'remotes.store.endpoint', server.endpoint]);
  writeFiles(join(project.root, 'data'), FILES);
  await told(rig, project.root, ['add', 'data']);
  project.git('add', '--all');
  project.git('commit', '--quiet', '-m', 'data');
  return project;
}

describe('a bucket as remote', () => {
  let source: TestRepository;

  test('takes what is pushed, gives it to whoever may read, whatever happens on the way', async () => {
    source = await projectWithBucket('trip');
    const { root, git } = source;
    server.faults.add({ times: 2, action: { kind: 'answer', status: 503, code: 'SlowDown' } });
    server.faults.add({ on: { operation: 'UploadPart' }, action: { kind: 'reset', afterRequestBytes: 1 << 20 } });
    expect(await told(rig, root, ['push'], as(OWNER))).toMatch(/^store {2}s3:\/\/data\/trip {2}sent 3 blobs, /);
    expect(server.bucket().uploads()).toEqual([]);
    const before = server.requests.length;
    expect(await told(rig, root, ['push'], as(OWNER))).toBe('store  s3://data/trip  up to date\n');
    expect(server.requests.slice(before).map(({ operation }) => operation)).toEqual(['ListObjectsV2']);

    const clone = join(rig.folder, 'clone');
    git('clone', '--quiet', root, clone);
    server.faults.add({ on: { operation: 'GetObject', key: 'objects/' }, action: { kind: 'truncate', bytes: 1000 } });
    await told(rig, clone, ['pull'], as(READER));
    expect(readFolder(join(clone, 'data'))).toEqual(asRead(FILES));
    writeFiles(clone, { 'data/c': 'c' });
    await told(rig, clone, ['commit']);
    expect(await refusal(rig, clone, ['push'], as(READER))).toMatch(
      /^error: s3:\/\/data\/trip may not be written to \(s3:PutObject on .*\): AccessDenied \(403\)/,
    );
  });

  test('that fails for one object gives the rest, names it, and ends with 1', async () => {
    const key = [...server.bucket().objects().keys()].find((name) => name.startsWith('trip/objects/')) ?? '';
    server.faults.add({
      on: { operation: 'GetObject', key },
      times: Infinity,
      action: { kind: 'answer', status: 403, code: 'AccessDenied' },
    });
    const third = join(rig.folder, 'third');
    source.git('clone', '--quiet', source.root, third);
    const { code, stdout } = await rig.mlv(third, ['fetch'], as(READER));
    server.faults.clear();
    expect(code).toBe(1);
    expect(stdout).toContain('got 2 blobs');
    expect(stdout).toMatch(
      /failed: Everything else was transferred\n {2}data\/large: s3:\/\/data\/trip may not be read/,
    );
    expect(await told(rig, third, ['fetch'], as(READER))).toContain('got 1 blob');
  });
});

test('without credentials, or a bucket, the reason is told', async () => {
  const { root } = await projectWithBucket('refused');
  const none = { env: {} };
  expect(await refusal(rig, root, ['push'], none)).toMatch(/^error: there are no credentials for s3:\/\/data\/refused/);
  await told(rig, root, ['remote', 'modify', 'store', 'url', 's3://none']);
  rmSync(join(root, '.git/mlv/remotes'), { recursive: true, force: true });
  const { endpoint } = server;
  expect(await refusal(rig, root, ['push'], as(OWNER))).toBe(
    `error: there is no bucket "none" at ${endpoint}\n` +
      `hint: Create it (mlv does not): aws s3 mb s3://none --endpoint-url ${endpoint}. Or correct the URL: mlv remote modify NAME url s3://BUCKET/PREFIX\n`,
  );
});
