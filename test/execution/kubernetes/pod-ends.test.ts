import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RepoPath } from '../../../src/domain/repo-path.ts';
import { digestOf } from '../../storage/transfer-rig.ts';
import { makePodRig, type PodRig } from '../../support/kubernetes/pod-rig.ts';
import { OWNER, READER } from '../../support/s3-server/rig.ts';

const ended: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

async function makeRig(options: Parameters<typeof makePodRig>[0] = {}): Promise<PodRig> {
  const rig = await makePodRig(options);
  ended.push(() => rig.dispose());
  return rig;
}

const model = { path: 'model' as RepoPath, cache: true, persist: false, push: true };
const file = (hash: string) => ({ path: 'data' as RepoPath, type: 'file', hash: digestOf(hash), size: 5 }) as const;
const KEYS = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };

describe('a container of a pod ends with', () => {
  it('64 where it was not started as it should be', async () => {
    const rig = await makeRig();
    rig.give(rig.task());
    const end = async (env: Record<string, string | undefined>) => {
      const { code, termination } = await rig.run('fetch', { env });
      return [code, termination?.code, termination?.message];
    };
    expect(await end({ MLV_TASK: undefined })).toEqual([64, 'pod-usage', 'MLV_TASK is not set']);
    expect(await end({ MLV_TASK: '/nonexistent' })).toEqual([64, 'pod-usage', 'there is no task at /nonexistent']);
    expect(await end({ MLV_JOB_UID: '../x' })).toEqual([64, 'pod-usage', 'MLV_JOB_UID is not the UID of a Job: ../x']);
    const { code, termination } = await rig.run('pull' as 'push');
    expect([code, termination?.message]).toEqual([64, 'its argument is "fetch" or "push"']);
  });

  it('64 for a task that is malformed, or another than its hash names', async () => {
    const rig = await makeRig();
    rig.give(rig.task());
    const path = join(rig.folder, 'task/task.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('true', 'rm -r /'));
    expect(await rig.run('fetch')).toMatchObject({ code: 64, termination: { code: 'cluster-task-other' } });
    writeFileSync(path, '{"version":0}\n');
    const env = { MLV_TASK_HASH: digestOf('{"version":0}\n') };
    expect(await rig.run('push', { env })).toMatchObject({ code: 64, termination: { code: 'cluster-task-invalid' } });
  });

  it('65 for data that the remote lacks, or has damaged', async () => {
    const rig = await makeRig();
    await rig.publishFile('known');
    rig.give(rig.task({ inputs: [file('other')] }));
    expect(await rig.run('fetch')).toMatchObject({
      code: 65,
      termination: { code: 'data-unavailable', message: 'data is not at s3://data/team' },
    });
    rig.give(rig.task({ inputs: [file('known')] }));
    const [pack = ''] = [...rig.server.bucket().objects().keys()].filter((key) => key.startsWith('team/packs/'));
    await rig.server
      .bucket()
      .corrupt(pack, (bytes) => Buffer.from(bytes.toString('latin1').replace('known', 'knowN'), 'latin1'));
    expect(await rig.run('fetch')).toMatchObject({ code: 65, termination: { code: 'data-damaged' } });
  });

  it('65 where the record of the Job is that of another task', async () => {
    const rig = await makeRig();
    rig.give(rig.task({ outs: [model] }));
    await rig.run('fetch');
    await rig.stage('echo > model');
    await rig.run('push');
    rig.give(rig.task({ outs: [model], commands: ['false'] }));
    expect(await rig.run('push')).toMatchObject({ code: 65, termination: { code: 'cluster-result-conflict' } });
  });

  it('66 for credentials that are missing, wrong, or may only read', async () => {
    const rig = await makeRig();
    await rig.publishFile('known');
    rig.give(rig.task({ inputs: [file('known')], outs: [model] }));
    const end = async (verb: 'fetch' | 'push', env: Record<string, string | undefined>) => {
      const { code, termination } = await rig.run(verb, { env });
      return [code, termination?.code];
    };
    expect(await end('fetch', KEYS)).toEqual([66, 'credentials-missing']);
    expect(await end('fetch', { AWS_SECRET_ACCESS_KEY: 'wrong' })).toEqual([66, 'credentials-wrong']);
    const reader = { AWS_ACCESS_KEY_ID: READER.accessKeyId, AWS_SECRET_ACCESS_KEY: READER.secretAccessKey };
    expect(await end('fetch', reader)).toEqual([0, undefined]);
    await rig.stage('echo > model');
    expect(await end('push', reader)).toEqual([66, 'remote-not-writable']);
  });

  it('67 for a remote that is not there, or cannot be reached', async () => {
    const rig = await makeRig();
    const { remote } = rig.task();
    rig.give(rig.task({ inputs: [file('known')], remote: { ...remote, url: 's3://nowhere' } }));
    expect(await rig.run('fetch')).toMatchObject({ code: 67, termination: { code: 'remote-missing' } });
    rig.give(rig.task({ inputs: [file('known')], remote: { ...remote, endpoint: 'http://127.0.0.1:1' } }));
    expect(await rig.run('fetch')).toMatchObject({ code: 67, termination: { code: 'remote-unreachable' } });
  });

  it('68 where the store has no room', async () => {
    const rig = await makeRig();
    rig.give(rig.task({ outs: [model] }));
    await rig.run('fetch');
    await rig.stage('echo > model');
    rig.server.faults.add({
      on: { method: 'PUT' },
      times: Infinity,
      action: { kind: 'answer', status: 507, code: 'InsufficientStorage' },
    });
    expect(await rig.run('push')).toMatchObject({ code: 68, termination: { code: 'remote-full' } });
  });

  it('69 where an output was not made', async () => {
    const rig = await makeRig();
    rig.give(rig.task({ outs: [{ ...model, path: 'logs' as RepoPath }, model] }));
    await rig.run('fetch');
    await rig.stage('echo > logs');
    const { code, termination, stderr } = await rig.run('push');
    expect({ code, termination }).toEqual({
      code: 69,
      termination: {
        code: 'output-not-made',
        message: 'the stage did not make model',
        hint: 'Its commands succeeded all the same: let them write there, or correct "outs" of the stage.',
      },
    });
    expect(stderr).toBe(`${JSON.stringify(termination)}\n`);
  });

  it('70 for what it has no words for, and a short message even then', async () => {
    const rig = await makeRig();
    rig.give(rig.task());
    rmSync(rig.work, { recursive: true });
    writeFileSync(rig.work, '');
    const { code, termination } = await rig.run('fetch', {
      env: { MLV_WORK: `${rig.work}/${'x'.repeat(250)}/${'ä'.repeat(3000)}` },
    });
    expect([code, termination?.code]).toEqual([70, 'bug']);
    expect(Buffer.byteLength(JSON.stringify(termination))).toBeLessThan(4096);
  });
});

describe('a pod finds its credentials', () => {
  const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey } = OWNER;
  const Expiration = new Date(Date.now() + 3_600_000).toISOString();

  /** A server on loopback that answers as the cloud's own do. */
  async function startCloud(answer: (url: string, headers: Record<string, unknown>) => string): Promise<string> {
    const server = createServer((request, response) => response.end(answer(request.url ?? '', request.headers)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ended.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  let rig: PodRig;
  beforeAll(async () => {
    rig = await makePodRig({ sharedCache: false });
    await rig.publishFile('known');
    rig.give(rig.task({ inputs: [file('known')] }));
  });
  afterAll(() => rig.dispose());

  async function fetchWith(env: (folder: string) => Promise<Record<string, string | undefined>>): Promise<unknown> {
    const { code, stderr } = await rig.run('fetch', { env: { ...KEYS, ...(await env(rig.folder)) } });
    return code === 0 ? 0 : stderr;
  }

  it('from its container, as pod identities give them', async () => {
    const keys = { AccessKeyId, SecretAccessKey, Token: '', Expiration };
    const end = await fetchWith(async (folder) => {
      writeFileSync(join(folder, 'token'), 'pod token');
      const url = await startCloud((_, headers) =>
        JSON.stringify(headers['authorization'] === 'pod token' ? keys : {}),
      );
      return {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(folder, 'token'),
      };
    });
    expect(end).toBe(0);
  });

  it('from a web identity, as roles of service accounts give them', async () => {
    const end = await fetchWith(async (folder) => {
      writeFileSync(join(folder, 'token'), 'jwt');
      const url = await startCloud(
        () =>
          `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${AccessKeyId}</AccessKeyId><SecretAccessKey>${SecretAccessKey}</SecretAccessKey><SessionToken></SessionToken><Expiration>${Expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      );
      return {
        AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'),
        AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/train',
        AWS_REGION: 'us-east-1',
        AWS_ENDPOINT_URL_STS: url,
      };
    });
    expect(end).toBe(0);
  });

  it('from its machine', async () => {
    const keys = { Code: 'Success', AccessKeyId, SecretAccessKey, Token: '', Expiration };
    const end = await fetchWith(async () => ({
      AWS_EC2_METADATA_DISABLED: undefined,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: await startCloud((url) =>
        url.endsWith('/token') ? 'token' : url.endsWith('/security-credentials/') ? 'node' : JSON.stringify(keys),
      ),
    }));
    expect(end).toBe(0);
  });
});
