import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import { parseRepository } from '../../src/domain/repository-url.ts';

test.each([
  'https://example.org/data.git',
  'HTTPS://example.org/data.git',
  'http://127.0.0.1:8080/a',
  'ssh://git@example.org:2222/~ada/data',
  'git://example.org/a',
  'file:///srv/data.git',
  'https://ada@example.org/data.git',
  'https://[::1]/a',
  'git@example.org:team/data.git',
  'host:data',
])('%s is an address', (url) => {
  expect(parseRepository(url)).toEqual({ kind: 'url', url });
});

test.each(['.', '../data', '/srv/data', 'data.git', './host:data', '/srv/a:b', 'über'])('%s is a folder', (path) => {
  expect(parseRepository(path)).toEqual({ kind: 'folder', path });
});

test.each([
  ['', 'repo-invalid'],
  ['-oProxyCommand=x', 'repo-invalid'],
  ['--upload-pack=x', 'repo-invalid'],
  ['https://example.org/a\nb', 'repo-invalid'],
  ['a\0b', 'repo-invalid'],
  ['ext::sh -c x', 'repo-unsupported'],
  ['fd::17', 'repo-unsupported'],
  ['https::https://example.org', 'repo-unsupported'],
  ['ftp://example.org/a', 'repo-unsupported'],
  ['9p://example.org/a', 'repo-unsupported'],
  ['s3://bucket/a', 'repo-unsupported'],
  ['https://ada:secret@example.org/a', 'repo-credentials'],
  ['https://:secret@example.org/a', 'repo-credentials'],
])('%j is refused: %s', (text, code) => {
  expect(() => parseRepository(text)).toThrow(expect.objectContaining({ code, kind: 'usage' }));
});

test('a password is not repeated', () => {
  for (const scheme of ['https', 'ftp']) {
    expect(() => parseRepository(`${scheme}://ada:secret@example.org/a`)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  }
});

test('nothing gets through that Git could take for an option or a helper program', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('', '-', 'ext::', 'x://', 'https://', 'a@b:'), (text, start) => {
      try {
        const place = parseRepository(start + text);
        const given = place.kind === 'url' ? place.url : place.path;
        expect(given).toBe(start + text);
        expect(given).not.toMatch(/^-|^[^/]*::|[\x00-\x1f]/);
        if (/^\w+:\/\//.test(given)) expect(given).toMatch(/^(?:file|git|https?|ssh):\/\//i);
      } catch (error) {
        if (!(error instanceof MlvError)) throw error;
      }
    }),
  );
});
