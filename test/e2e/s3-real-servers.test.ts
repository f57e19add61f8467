/** Whole trips through servers that were not written here: both ways to address a bucket, prefixes with and without a slash. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeRealServers } from '../support/describe-real-servers.ts';
import { asRead, executable, manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { ACCESS_KEY, SECRET_KEY } from '../support/real-s3-servers.ts';
import { told } from '../support/told.ts';

const FILES = {
  ...manyFiles(1_200),
  'deep/a+b c.csv': '1,2',
  'deep/ünï 100%': 'x',
  run: executable('#!/bin/sh'),
  large: Buffer.alloc(20 << 20, 'large file').toString(),
};

describeRealServers((started) => {
  let rig: MlvRig;
  beforeAll(() => {
    rig = makeMlvRig();
  });
  afterAll(() => rig.dispose());

  test.each([
    { where: 'path', prefix: 'team/data', pathStyle: true },
    { where: 'host name', prefix: 'te+am/a b/ünï%41', pathStyle: false },
  ])('takes data and gives it back: bucket in the $where, prefix "$prefix"', async ({ where, prefix, pathStyle }) => {
    const { server, proxy } = started();
    const bucket = `trip-${where.replace(' ', '-')}`;
    await server.createBucket(bucket);
    const env = {
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      ...(!pathStyle && { HTTP_PROXY: proxy.url }),
    };
    const url = `s3://${bucket}/${prefix}`;
    const { root, git } = await rig.project(bucket);
    await told(rig, root, ['remote', 'add', '-d', 'store', url]);
    await told(rig, root, ['remote', 'add', 'neighbour', `${url}-2`]);
    for (const name of ['store', 'neighbour']) {
      const endpoint = pathStyle ? server.endpoint : server.namedEndpoint;
      await told(rig, root, ['remote', 'modify', name, 'endpoint', endpoint]);
      await told(rig, root, ['remote', 'modify', name, 'pathStyle', String(pathStyle)]);
    }
    writeFiles(join(root, 'data'), FILES);
    await told(rig, root, ['add', 'data']);
    git('add', '--all');
    git('commit', '--quiet', '-m', 'data');
    const sent = 'sent 1,204 blobs, 21 MB in 2 packs and 1 large object';
    expect(await told(rig, root, ['push'], { env })).toBe(`store  ${url}  ${sent}\n`);
    expect(await told(rig, root, ['push'], { env })).toContain('up to date\n');

    const clone = join(rig.folder, `${bucket}-clone`);
    git('clone', '--quiet', root, clone);
    await told(rig, clone, ['remote', 'modify', 'store', 'url', `${url}/`]);
    await told(rig, clone, ['pull'], { env });
    expect(readFolder(join(clone, 'data'))).toEqual(asRead(FILES));
    expect(await told(rig, clone, ['verify', '--remote'], { env })).toContain(' sound: ');
    expect(await told(rig, clone, ['verify', '--quick'], { env })).toContain(' complete: ');
    // What begins alike is another remote.
    const neighbour = await rig.mlv(clone, ['verify', '--quick', '-r', 'neighbour'], { env });
    expect(neighbour.code).toBe(1);
    await told(rig, clone, ['push', '-r', 'neighbour'], { env });
    expect(await told(rig, clone, ['verify', '--remote', '-r', 'neighbour'], { env })).toContain(' sound: ');
  });
});
