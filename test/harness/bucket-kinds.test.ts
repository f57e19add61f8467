/** Buckets that ask for something special: a certificate of one's own, a payer, encryption, another region, few permissions. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { asRead, readFolder, writeFiles } from '../support/folders.ts';
import type { TestRepository } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { OWNER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server, S3ServerOptions } from '../support/s3-server/server.ts';
import type { Credential } from '../support/s3-server/signature.ts';
import { refusal, told } from '../support/told.ts';

/** A part more than is sent at once, so that an upload has several. */
const FILES = { 'a.csv': '1,2', large: Buffer.alloc(17 << 20, 'large file').toString() };
const WHOLE = {
  pushed: 'store  s3://data/team  sent 2 blobs, 18 MB in 2 packs and 1 large object\n',
  pulled: asRead(FILES),
  verified: expect.stringContaining(' sound: '),
};

let rig: MlvRig;
let server: S3Server;
let projects = 0;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());
afterEach(() => server.close());

/** A project with data to push to such a bucket. */
async function projectFor(options: Partial<S3ServerOptions>): Promise<TestRepository> {
  server = await startRig(options);
  const project = await rig.project(`project-${++projects}`);
  await told(rig, project.root, ['remote', 'add', '-d', 'store', 's3://data/team']);
  await told(rig, project.root, ['config', 'remotes.store.endpoint', server.endpoint]);
  writeFiles(join(project.root, 'data'), FILES);
  await told(rig, project.root, ['add', 'data']);
  project.git('add', '--all');
  project.git('commit', '--quiet', '-m', 'data');
  return project;
}

function as({ accessKeyId, secretAccessKey }: Credential = OWNER, more: Readonly<Record<string, string>> = {}) {
  return { env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, ...more } };
}

/** What comes of a push, of a pull into a clone, and of a look at all of the remote. */
async function trip({ root, git }: TestRepository, env = as()): Promise<Record<keyof typeof WHOLE, unknown>> {
  const pushed = await told(rig, root, ['push'], env);
  const clone = `${root}-clone`;
  git('clone', '--quiet', root, clone);
  await told(rig, clone, ['pull'], env);
  return {
    pushed,
    pulled: readFolder(join(clone, 'data')),
    verified: await told(rig, clone, ['verify', '--remote'], env),
  };
}

describe('a bucket', () => {
  test.for(['NODE_EXTRA_CA_CERTS', 'AWS_CA_BUNDLE'])(
    'with a certificate of its own is trusted with %s, and not without',
    async (variable, { skip }) => {
      skip(spawnSync('openssl', ['version']).status !== 0, 'there is no openssl to make a certificate with');
      const [key, cert] = [join(rig.folder, 'key.pem'), join(rig.folder, 'cert.pem')];
      const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
      const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
      execFileSync('openssl', [...made, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
      const project = await projectFor({ tls: { key: readFileSync(key), cert: readFileSync(cert) } });
      expect(await refusal(rig, project.root, ['push'], as())).toMatch(
        /^error: no trusted connection to https:\/\/127\.0\.0\.1:\d+: [^]*\nhint: .*AWS_CA_BUNDLE=\/path\/to\/ca\.pem\n$/,
      );
      expect(await trip(project, as(OWNER, { [variable]: cert }))).toEqual(WHOLE);
    },
  );

  test('whose readers pay wants that said', async () => {
    const project = await projectFor({ requesterPays: true });
    expect(await refusal(rig, project.root, ['push'], as())).toContain('mlv remote modify NAME requesterPays true.');
    await told(rig, project.root, ['remote', 'modify', 'store', 'requesterPays', 'true']);
    project.git('commit', '--quiet', '--all', '-m', 'pays');
    expect(await trip(project)).toEqual(WHOLE);
  });

  test('that takes only what is encrypted gets that', async () => {
    const project = await projectFor({ requireEncryption: true });
    expect(await refusal(rig, project.root, ['push'], as())).toContain('mlv remote modify NAME sse ');
    await told(rig, project.root, ['remote', 'modify', 'store', 'sse', 'AES256']);
    project.git('commit', '--quiet', '--all', '-m', 'sse');
    expect(await trip(project)).toEqual(WHOLE);
    expect(new Set(Array.from(server.bucket().objects().values(), ({ encryption }) => encryption))).toEqual(
      new Set(['AES256']),
    );
  });

  test('in another region is found by its answer, once for each clone', async () => {
    const project = await projectFor({ buckets: [{ name: 'data', region: 'eu-north-1' }] });
    expect(await trip(project)).toEqual(WHOLE);
    const refused = server.requests.filter(({ status }) => status >= 300 && status !== 404);
    expect(refused.map(({ status }) => status)).toEqual([301, 301]);
  });

  test('that everybody may read wants credentials all the same, and says so', async () => {
    const { root } = await projectFor({ publicRead: true });
    expect(await refusal(rig, root, ['fetch'])).toMatch(/^error: there are no credentials for s3:\/\/data\/team/);
  });

  test('is pushed to and pulled from without the right to delete, or to look at other uploads', async () => {
    const writer: Credential = {
      ...OWNER,
      denied: [
        'DeleteObject',
        'DeleteObjects',
        'ListMultipartUploads',
        'ListBuckets',
        'HeadBucket',
        'GetBucketLocation',
      ],
    };
    expect(await trip(await projectFor({ credentials: [writer] }))).toEqual(WHOLE);
  });
});
