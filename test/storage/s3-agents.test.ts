import { expect, test } from 'vitest';
import { proxyFor } from '../../src/storage/s3-agents.ts';

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
])('chooses a proxy as curl does: %j', (environment, expected) => {
  expect(proxyFor(store, environment)?.href).toBe(expected);
});

test('says which proxies there can be, without the password', () => {
  expect(() => proxyFor(store, { HTTPS_PROXY: 'socks5://user:secret@proxy' })).toThrow(
    'HTTPS_PROXY is not the address of an http proxy',
  );
});
