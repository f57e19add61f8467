import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import {
  isInside,
  joinRepoPath,
  parseRepoPath,
  relativeRepoPath,
  REPO_ROOT,
  repoBasename,
  repoDirname,
} from '../../src/domain/repo-path.ts';

const segment = fc.string({ unit: fc.constantFrom('a', 'b', '-', 'é'), minLength: 1, maxLength: 3 });
const repoPath = fc.array(segment, { maxLength: 4 }).map((segments) => parseRepoPath(segments.join('/')));

describe('parseRepoPath', () => {
  test.each(['', 'data', 'data/images/größe 1.png', 'Makefile'])('accepts %j as it stands', (text) => {
    expect(parseRepoPath(text)).toBe(text);
  });

  test.each(['./data', '../data', '/data', 'data/', 'a//b', 'a/./b', 'a\\b', '.git/config', 'x/.MLV/y', '\ud800'])(
    'refuses %j',
    (text) => {
      expect(() => parseRepoPath(text)).toThrow(expect.objectContaining({ code: 'path-invalid', kind: 'refused' }));
    },
  );

  test('names the path and the reason', () => {
    expect(() => parseRepoPath('a/../b')).toThrow(
      new MlvError({ code: '', kind: 'io', message: 'not a path that mlv can track: "a/../b": ".." is not a name' })
        .message,
    );
  });
});

describe('moving about', () => {
  test('joins, and checks what it joined', () => {
    expect(joinRepoPath(REPO_ROOT, 'data')).toBe('data');
    expect(joinRepoPath(parseRepoPath('data'), 'a/b')).toBe('data/a/b');
    expect(() => joinRepoPath(parseRepoPath('data'), '../x')).toThrow(
      expect.objectContaining({ code: 'path-invalid' }),
    );
    expect(() => joinRepoPath(parseRepoPath('data'), '')).toThrow(expect.objectContaining({ code: 'path-invalid' }));
  });

  test('takes apart what it joins', () => {
    fc.assert(
      fc.property(repoPath, segment, (parent, name) => {
        const path = joinRepoPath(parent, name);
        expect([repoDirname(path), repoBasename(path), relativeRepoPath(path, parent)]).toEqual([parent, name, name]);
        expect([isInside(path, parent), isInside(parent, path), isInside(path, REPO_ROOT)]).toEqual([
          true,
          false,
          true,
        ]);
      }),
    );
    expect(repoDirname(REPO_ROOT)).toBe('');
  });

  test('knows a neighbour with the same beginning from a folder', () => {
    const parent = parseRepoPath('data');
    expect([
      isInside(parseRepoPath('data-2/x'), parent),
      isInside(parent, parent),
      isInside(REPO_ROOT, REPO_ROOT),
    ]).toEqual([false, false, false]);
    expect(relativeRepoPath(parseRepoPath('data-2/x'), parent)).toBeUndefined();
    expect(relativeRepoPath(parent, parent)).toBe('');
    expect(relativeRepoPath(parseRepoPath('data/x/y'), parent)).toBe('x/y');
  });
});
