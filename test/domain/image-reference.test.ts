/** Names of container images. Examples are those of the OCI distribution project's own tests, where they have one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { imageIdentity, imageWarning, parseImageReference } from '../../src/domain/image-reference.ts';

const HEX = 'abcdef0123456789'.repeat(4);
const DIGEST = `sha256:${HEX}`;

describe('the name of an image', () => {
  test.each([
    ['test_com', { name: 'test_com' }],
    ['test.com:tag', { name: 'test.com', tag: 'tag' }],
    ['test.com:5000', { name: 'test.com', tag: '5000' }],
    ['test.com/repo:tag', { name: 'test.com/repo', tag: 'tag' }],
    ['test:5000/repo', { name: 'test:5000/repo' }],
    ['test:5000/repo:tag', { name: 'test:5000/repo', tag: 'tag' }],
    [`test:5000/repo@${DIGEST}`, { name: 'test:5000/repo', digest: DIGEST }],
    [`test:5000/repo:tag@${DIGEST}`, { name: 'test:5000/repo', tag: 'tag', digest: DIGEST }],
    ['sub-dom1.foo.com/bar/baz/quux:some-long-tag', { name: 'sub-dom1.foo.com/bar/baz/quux', tag: 'some-long-tag' }],
    ['b.gcr.io/test.example.com/my-app', { name: 'b.gcr.io/test.example.com/my-app' }],
    ['xn--n3h.com/myimage:xn--n3h.com', { name: 'xn--n3h.com/myimage', tag: 'xn--n3h.com' }],
    ['foo_bar.com:8080', { name: 'foo_bar.com', tag: '8080' }],
    ['foo/foo_bar.com:8080', { name: 'foo/foo_bar.com', tag: '8080' }],
    ['Uppercase.example/lowercase:tag', { name: 'Uppercase.example/lowercase', tag: 'tag' }],
    ['192.168.1.1:8080/repo:tag', { name: '192.168.1.1:8080/repo', tag: 'tag' }],
    ['[2001:db8::1]:5000/repo:tag', { name: '[2001:db8::1]:5000/repo', tag: 'tag' }],
    ['a--b/c__d:_x', { name: 'a--b/c__d', tag: '_x' }],
    [`${'a/'.repeat(127)}a:tag`, { name: `${'a/'.repeat(127)}a`, tag: 'tag' }],
    [`repo@sha512:${HEX.repeat(2)}`, { name: 'repo', digest: `sha512:${HEX.repeat(2)}` }],
  ])('%s is read', (text, expected) => {
    expect(parseImageReference(text)).toEqual(expected);
  });

  test.each([
    '',
    ':justtag',
    `@${DIGEST}`,
    'repo@sha256:ffff33bb',
    `repo@sha256:${HEX.toUpperCase()}`,
    `repo@md5:${HEX}`,
    `repo@${DIGEST}:tag`,
    'Uppercase:tag',
    'test:5000/Uppercase/lowercase:tag',
    'aa/asdf$$^/aa',
    'a__/b',
    'a___b',
    '-a',
    'repo:',
    `repo:${'x'.repeat(129)}`,
    'https://github.com/docker/docker',
    'repo tag',
    'repo:tag\n',
    `example.org/${'a'.repeat(256)}`,
    '[fe80::1%eth0]:5000/repo',
    HEX,
  ])('%j is none', (text) => {
    expect(parseImageReference(text)).toBeUndefined();
  });

  const alnum = fc.stringMatching(/^[a-z0-9]{1,3}$/);
  const part = fc
    .tuple(alnum, fc.array(fc.tuple(fc.constantFrom('.', '_', '__', '-', '---'), alnum), { maxLength: 2 }))
    .map(([first, rest]) => first + rest.map((pair) => pair.join('')).join(''));
  const host = fc.constantFrom(
    'localhost',
    'localhost:5000',
    'R.example.org',
    '10.0.0.1:443',
    '[::1]',
    '[::1]:1',
    'x-y.z',
  );
  const parts = fc.record({
    host: fc.option(host, { nil: undefined }),
    path: fc.array(part, { minLength: 1, maxLength: 3 }).map((each) => each.join('/')),
    tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}$/), { nil: undefined }),
    digest: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/), { nil: undefined }),
  });

  test('is taken apart into what it was put together of', () => {
    fc.assert(
      fc.property(parts, ({ host: at, path, tag, digest }) => {
        const name = at === undefined ? path : `${at}/${path}`;
        const text = name + (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@sha256:${digest}`);
        expect(parseImageReference(text)).toEqual({
          name,
          ...(tag !== undefined && { tag }),
          ...(digest !== undefined && { digest: `sha256:${digest}` }),
        });
        expect(imageIdentity(text)).toBe(digest === undefined ? text : `@sha256:${digest}`);
        expect(imageWarning(text) === undefined).toBe(digest !== undefined);
      }),
    );
  });

  test('is judged at once, however long', () => {
    const started = performance.now();
    for (const text of [
      `${'a'.repeat(200_000)}!`,
      `${'a-'.repeat(100_000)}!`,
      `${'a.'.repeat(100_000)}/`,
      'a/'.repeat(100_000),
    ])
      expect(parseImageReference(text)).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

test('an image without a digest is warned of, with what to write', () => {
  expect(imageWarning('python:3.12')).toBe(
    'what python:3.12 means may change, and mlv would not see it: write python@sha256:… to mean one image for good',
  );
  expect(imageWarning('localhost:5000/train')).toContain('what localhost:5000/train:latest means');
  expect(imageWarning(`python:3.12@${DIGEST}`)).toBeUndefined();
});
