import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { OWNER, READER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import type { Credential } from '../support/s3-server/signature.ts';
import { readFolder, writeFiles } from '../support/folders.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
let server: S3Server;
beforeAll(async () => {
  rig = makeMlvRig();
  server = await startRig();
});
afterAll(async () => {
  rig.dispose();
  await server.close();
});

function as({ accessKeyId, secretAccessKey }: Credential): { env: Record<string, string> } {
  return {
    env: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  };
}

describe('a bucket as remote', () => {
  const large = Buffer.alloc(20 << 20, 'model');

  test('takes what is pushed, gives it to whoever may read, and asks little when there is nothing to do', async () => {
    const { root, git } = await rig.project('source');
    writeFiles(root, { 'data/a': 'a', 'data/b': 'b' });
    writeFileSync(join(root, 'model'), large);
    await told(rig, root, ['add', 'data', 'model']);
    await told(rig, root, ['remote', 'add', '-d', 'store', 's3://data/team']);
    await told(rig, root, ['remote', 'modify', 'store', 'endpoint', server.endpoint]);
    git('commit', '--quiet', '-am', '1');
    expect(await told(rig, root, ['push'], as(OWNER))).toMatch(/^store {2}s3:\/\/data\/team {2}sent 3 blobs/);
    const before = server.requests.length;
    expect(await told(rig, root, ['push'], as(OWNER))).toBe('store  s3://data/team  up to date\n');
    expect(server.requests.slice(before).map(({ operation }) => operation)).toEqual(['ListObjectsV2']);

    const clone = join(rig.folder, 'clone');
    git('clone', '--quiet', root, clone);
    await told(rig, clone, ['pull'], as(READER));
    expect(readFolder(join(clone, 'data'))).toEqual({ a: 'file a', b: 'file b' });
    expect(readFileSync(join(clone, 'model')).equals(large)).toBe(true);
    writeFiles(clone, { 'data/c': 'c' });
    await told(rig, clone, ['commit']);
    expect(await refusal(rig, clone, ['push'], as(READER))).toMatch(
      /^error: s3:\/\/data\/team may not be written to \(s3:PutObject on .*\): AccessDenied \(403\)/,
    );
  });

  test('that fails for one object gives the rest, names it, and ends with 1', async () => {
    const key = [...server.bucket().objects().keys()].find((name) => name.startsWith('team/objects/')) ?? '';
    server.faults.add({
      on: { operation: 'GetObject', key },
      times: Infinity,
      action: { kind: 'answer', status: 403, code: 'AccessDenied' },
    });
    const third = join(rig.folder, 'third');
    execFileSync('git', ['clone', '--quiet', join(rig.folder, 'source'), third], { env: rig.env });
    const { code, stdout } = await rig.mlv(third, ['fetch'], as(READER));
    server.faults.clear();
    expect(code).toBe(1);
    expect(stdout).toContain('got 2 blobs');
    expect(stdout).toMatch(/failed: Everything else was transferred\n {2}model: s3:\/\/data\/team may not be read/);
    expect(await told(rig, third, ['fetch'], as(READER))).toContain('got 1 blob');
  });
});
