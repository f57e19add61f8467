import { describe, expect, test } from 'vitest';
import { parseRemoteUrl, requireNoCredentials } from '../../src/domain/remote-url.ts';

describe('parseRemoteUrl', () => {
  test.each([
    ['/srv/store', { kind: 'folder', base: 'absolute', path: '/srv/store' }],
    ['/srv/my store #1?', { kind: 'folder', base: 'absolute', path: '/srv/my store #1?' }],
    ['C:\\store', { kind: 'folder', base: 'absolute', path: 'C:\\store' }],
    ['~/store', { kind: 'folder', base: 'home', path: 'store' }],
    ['../store', { kind: 'folder', base: 'repository', path: '../store' }],
    ['store', { kind: 'folder', base: 'repository', path: 'store' }],
    ['mail@example/store', { kind: 'folder', base: 'repository', path: 'mail@example/store' }],
    ['file:///srv/store', { kind: 'folder', base: 'absolute', path: '/srv/store' }],
    ['file://localhost/srv/store', { kind: 'folder', base: 'absolute', path: '/srv/store' }],
    ['file:///srv/my%20store%23', { kind: 'folder', base: 'absolute', path: '/srv/my store#' }],
    ['FILE:///C:/store', { kind: 'folder', base: 'absolute', path: 'C:/store' }],
    ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '' }],
    ['s3://bucket/', { kind: 's3', bucket: 'bucket', prefix: '' }],
    ['S3://my.bucket-1/a/b c/', { kind: 's3', bucket: 'my.bucket-1', prefix: 'a/b c' }],
  ])('reads %s', (text, url) => {
    expect(parseRemoteUrl(text)).toEqual(url);
  });

  test.each([
    '',
    'a\nb',
    '~',
    '~root/store',
    's3://',
    's3:///x',
    's3://a',
    's3://bu_/x',
    's3://bucket//x',
    's3://bucket/a/../b',
    'file://host/x',
    'file://x',
    'file:///%zz',
    'file:///a?b',
    'file:///a%00b',
  ])('refuses %j', (text) => {
    expect(() => parseRemoteUrl(text)).toThrow(expect.objectContaining({ code: 'remote-url-invalid', kind: 'usage' }));
  });

  test('takes no longer for what is long and nearly something else', () => {
    const begun = performance.now();
    expect(parseRemoteUrl(`s3://bucket/a${'/'.repeat(3)}`)).toEqual({ kind: 's3', bucket: 'bucket', prefix: 'a' });
    expect(() => parseRemoteUrl(`s3://bucket/a${'/'.repeat(200_000)}b`)).toThrow('segments');
    expect(parseRemoteUrl('@'.repeat(200_000))).toMatchObject({ kind: 'folder' });
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test.each([
    ['gs://bucket/x', 'gs', 'https://storage.googleapis.com'],
    ['gcs://bucket/x', 'gcs', 'https://storage.googleapis.com'],
    ['azure://container/x', 'azure', 'blobfuse2'],
    ['abfss://container/x', 'abfss', 'blobfuse2'],
    ['ssh://host/x', 'ssh', 'sshfs'],
    ['host.example.org@there:x', 'ssh', 'sshfs'],
    ['http://host/x', 'http', 'set its endpoint'],
    ['https://host/x', 'https', 'set its endpoint'],
    ['hdfs://host/x', 'hdfs', 'Mount it'],
    ['gopher://host/x', 'gopher', 's3://BUCKET/PREFIX, or a folder'],
    ['constructor://host/x', 'constructor', 's3://BUCKET/PREFIX, or a folder'],
  ])('says for %s what works instead', (text, scheme, hint) => {
    expect(() => parseRemoteUrl(text)).toThrow(
      expect.objectContaining({
        code: 'remote-url-unsupported',
        kind: 'unsupported',
        message: `mlv has no remotes of the kind ${scheme}://: ${text}`,
        hint: expect.stringContaining(hint) as string,
      }),
    );
  });

  test.each([
    's3://AKIA123:hunter2@bucket/x',
    's3://hunter2@bucket',
    'https://u:hunter2@host/x?X-Amz-Signature=hunter2',
    'ssh://hunter2@host/x',
  ])('refuses credentials in %s, and does not repeat them', (text) => {
    for (const check of [parseRemoteUrl, requireNoCredentials]) {
      expect(() => check(text)).toThrow(
        expect.objectContaining({
          code: 'remote-url-credentials',
          kind: 'refused',
          message: expect.not.stringContaining('hunter2') as string,
        }),
      );
    }
  });

  test('does not repeat a signature', () => {
    expect(() => parseRemoteUrl('https://host/x?X-Amz-Signature=hunter2')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') as string }),
    );
  });
});
