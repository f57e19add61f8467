import { expect, test } from 'vitest';
import { proxyFor } from '../../src/storage/http-proxy.ts';

const store = new URL('https://s3.example.org:9000');

test.each([
  [{}, undefined],
  [{ HTTPS_PROXY: 'http://proxy:3128' }, 'http://proxy:3128/'],
  [{ https_proxy: 'proxy:3128', HTTPS_PROXY: 'http://other' }, 'http://proxy:3128/'],
  [{ HTTP_PROXY: 'http://proxy' }, undefined],
  [{ ALL_PROXY: 'http://proxy' }, 'http://proxy/'],
  [{ HTTPS_PROXY: 'http://proxy', NO_PROXY: '*' }, undefined],
  [{ HTTPS_PROXY: 'http://proxy', NO_PROXY: 'localhost, .example.org' }, undefined],
  [{ HTTPS_PROXY: 'http://proxy', NO_PROXY: 'example.org:9000' }, undefined],
  [{ HTTPS_PROXY: 'http://proxy', NO_PROXY: 'example.org:443' }, 'http://proxy/'],
  [{ HTTPS_PROXY: 'http://proxy', NO_PROXY: 'ample.org' }, 'http://proxy/'],
  [{ HTTPS_PROXY: 'http://proxy', NO_PROXY: '10.0.0.0/8' }, 'http://proxy/'],
])('chooses a proxy as curl does: %j', (environment, expected) => {
  expect(proxyFor(store, environment)?.href).toBe(expected);
});

test.each([
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.1.2.3', '10.0.0.0/8', false],
  ['[fd00::1]', 'fd00::/8', true],
  ['10.1.2.3', 'fd00::/8', false],
  ['10.1.2.3', '10.0.0.0/99', false],
  ['10.example.org', '10.0.0.0/8', false],
])('reaches %s directly with NO_PROXY=%s: %s', (host, list, isDirect) => {
  const proxy = proxyFor(new URL(`https://${host}:6443`), { HTTPS_PROXY: 'http://proxy', NO_PROXY: list });
  expect(proxy === undefined).toBe(isDirect);
});

test('says which proxies there can be, without the password', () => {
  expect(() => proxyFor(store, { HTTPS_PROXY: 'socks5://user:secret@proxy' })).toThrow(
    'HTTPS_PROXY is not the address of an http proxy',
  );
});
