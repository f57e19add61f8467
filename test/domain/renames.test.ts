import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findRenames } from '../../src/domain/renames.ts';
import { entryAt } from '../support/trees.ts';

const at = (path: string, version: number, kind: 'f' | 'x' | 'l' | 'd' = 'f') => ({
  path,
  entry: entryAt(path, version, kind),
});

const pairs = (found: ReturnType<typeof findRenames>): Record<string, string> =>
  Object.fromEntries(Array.from(found, ([to, { path }]) => [to, path]));

test('same content under another path is the same file, the one of the same name first', () => {
  const gone = [at('a/one', 1), at('a/two', 1), at('a/other', 2)];
  const came = [at('b/new', 1), at('b/two', 1), at('b/third', 1), at('b/else', 3)];
  expect(pairs(findRenames(gone, came))).toEqual({ 'b/new': 'a/one', 'b/two': 'a/two' });
});

test('empty files, folders and other kinds are not', () => {
  const gone = [at('empty', 0), at('folder', 0, 'd'), at('file', 1)];
  const came = [at('empty2', 0), at('folder2', 0, 'd'), at('link', 1, 'l'), at('run', 1, 'x')];
  expect(pairs(findRenames(gone, came))).toEqual({});
});

test('each that went is taken once, and as many are found as there can be', () => {
  const list = (prefix: string) =>
    fc
      .array(fc.integer({ min: 1, max: 3 }), { maxLength: 12 })
      .map((all) => all.map((version, n) => at(`${prefix}${n}`, version)));
  fc.assert(
    fc.property(list('gone'), list('came'), (gone, came) => {
      const found = findRenames(gone, came);
      const taken = [...found.values()];
      expect(new Set(taken).size).toBe(taken.length);
      for (const each of came) {
        const from = found.get(each.path);
        if (from !== undefined) expect(from.entry.digest).toBe(each.entry.digest);
      }
      const count = (all: typeof gone, version: number): number =>
        all.filter(({ entry }) => entry.size === version * 10).length;
      const most = [1, 2, 3].reduce((sum, version) => sum + Math.min(count(gone, version), count(came, version)), 0);
      expect(taken).toHaveLength(most);
    }),
  );
});
