/** What was pushed once and is on the remote no more goes there again, earlier versions too. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';

import { OWNER, startRig } from '../support/s3-server/rig.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

async function pushTwoVersions(name: string) {
  const project = await shareProject(rig, name, { 'data/a': 'first' }, 'data');
  await project.version({ 'data/a': 'second' }, 'data');
  await told(rig, project.root, ['push']);
  return { ...project, store: join(rig.folder, `${name}-store`) };
}

const SOUND = / sound: /;

test('to a remote that was emptied on purpose', async () => {
  const { root, store } = await pushTwoVersions('emptied');
  rmSync(store, { recursive: true });
  const hint = await refusal(rig, root, ['push']);
  rmSync(/remove (\S+) and push again/.exec(hint)?.[1] ?? '', { recursive: true });
  expect(await told(rig, root, ['push'])).toContain('sent 2 blobs');
  expect(await told(rig, root, ['verify', '--remote', '--all-commits'])).toMatch(SOUND);
});

test('to a remote that lost it, once a repair elsewhere has found no copy', async () => {
  const { root, store, clone } = await pushTwoVersions('lost');
  rmSync(join(store, 'packs'), { recursive: true });
  const { code } = await rig.mlv(clone('lost-clone').root, ['verify', '--remote', '--repair']);
  expect(code).toBe(1);
  expect(await told(rig, root, ['push'])).toContain('sent 2 blobs');
  expect(await told(rig, root, ['verify', '--remote', '--all-commits'])).toMatch(SOUND);
});

test('to the same bucket at another endpoint', async () => {
  const [first, second] = [await startRig(), await startRig()];
  try {
    const { accessKeyId, secretAccessKey } = OWNER;
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const { root } = await pushTwoVersions('moved');
    await told(rig, root, ['remote', 'add', '-d', 'bucket', 's3://data/moved']);
    for (const { endpoint } of [first, second]) {
      const at = { env: { ...env, AWS_ENDPOINT_URL: endpoint } };
      expect(await told(rig, root, ['push'], at)).toContain('sent 2 blobs');
      expect(await told(rig, root, ['verify', '--remote', '--all-commits'], at)).toMatch(SOUND);
    }
  } finally {
    await Promise.all([first.close(), second.close()]);
  }
});

test('an endpoint in the environment that is none is told', async () => {
  const { root } = await pushTwoVersions('misspelt');
  await told(rig, root, ['remote', 'add', '-d', 'bucket', 's3://data/moved']);
  const { stderr } = await rig.mlv(root, ['push'], { env: { AWS_ENDPOINT_URL: 'localhost:9000' } });
  expect(stderr).toBe(
    'error: AWS_ENDPOINT_URL is not the address of a store: "localhost:9000"\nhint: It looks like https://s3.example.org\n',
  );
});
