import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { TunnelProxy } from '../support/tunnel-proxy.ts';
import { startTunnelProxy } from '../support/tunnel-proxy.ts';
import type { S3Rig } from './s3-rig.ts';
import { startS3Rig } from './s3-rig.ts';

describe('a bucket behind', () => {
  let rig: S3Rig;
  let proxy: TunnelProxy | undefined;
  afterEach(async () => {
    await rig.dispose();
    proxy?.close();
  });

  test('a proxy is reached through one tunnel', async () => {
    rig = await startS3Rig();
    proxy = await startTunnelProxy();
    const { url, asked } = proxy;
    const { home } = rig.open({ environment: { HTTP_PROXY: url } });
    await home.write('index/x', [Buffer.from('x')]);
    expect((await home.readAll('index/x', 10)).toString()).toBe('x');
    await home.write('packs/x', [Buffer.from('0123456789')]);
    expect((await home.read('packs/x', { offset: 3, length: 4 })).toString()).toBe('3456');
    const credentials = Buffer.from('user:pass word').toString('base64');
    expect(asked).toEqual([`127.0.0.1:${rig.server.port} Basic ${credentials}`]);
  });

  test('a proxy that refuses is told', async () => {
    rig = await startS3Rig();
    proxy = await startTunnelProxy(403);
    const { url } = proxy;
    const { home } = rig.open({ environment: { HTTP_PROXY: url } });
    const error = home.size('index/x');
    await expect(error).rejects.toMatchObject({
      code: 'remote-unreachable',
      message: expect.stringMatching(
        /the proxy 127\.0\.0\.1:\d+ refused to connect to 127\.0\.0\.1:\d+: it answered 403/,
      ),
      hint: 'Look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY.',
    });
    proxy.close();
    proxy = await startTunnelProxy(407);
    await expect(rig.open({ environment: { HTTP_PROXY: proxy.url } }).home.size('index/x')).rejects.toMatchObject({
      hint: expect.stringMatching(/^It wants a name and password.* http:\/\/USER:PASSWORD@HOST:PORT\.$/),
    });
    expect(String(await error.catch((reason: unknown) => reason))).not.toContain('word');
  });

  test('a certificate of its own is refused, and accepted with AWS_CA_BUNDLE', async ({ skip }) => {
    rig = await startS3Rig();
    if (spawnSync('openssl', ['version']).status !== 0) skip('there is no openssl to make a certificate with');
    const { folder } = rig;
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', [...made, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const tls = { key: readFileSync(key), cert: readFileSync(cert) };
    const plain = rig;
    rig = await startS3Rig({ tls });
    await expect(rig.open().home.size('index/x')).rejects.toMatchObject({
      code: 'remote-unreachable',
      hint: expect.stringContaining('AWS_CA_BUNDLE'),
    });
    const { home } = rig.open({ environment: { AWS_CA_BUNDLE: cert } });
    await home.write('index/x', [Buffer.from('x')]);
    expect(rig.server.requests.at(-1)?.headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
    const large = randomBytes(3_000_000);
    await home.write('packs/x', [large]);
    for (const [offset, length] of [
      [0, 3_000_000],
      [77, 2_000_000],
      [2_999_999, 1],
    ] as const) {
      const read = await home.read('packs/x', { offset, length });
      expect(read.equals(large.subarray(offset, offset + length))).toBe(true);
    }
    proxy = await startTunnelProxy();
    const { url, asked } = proxy;
    const both = rig.open({ environment: { AWS_CA_BUNDLE: cert, HTTPS_PROXY: url } }).home;
    expect((await both.readAll('index/x', 10)).toString()).toBe('x');
    expect(asked).toHaveLength(1);
    await plain.dispose();
  });
});
