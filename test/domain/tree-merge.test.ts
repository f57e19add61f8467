import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EntryKind, TreeEntry } from '../../src/domain/tree.ts';
import type { MergeSide, TreeConflict, TreeMerge } from '../../src/domain/tree-merge.ts';
import { mergeTrees } from '../../src/domain/tree-merge.ts';
import { openTree } from '../../src/domain/tree-reader.ts';
import {
  boundaryNames,
  buildTree,
  byPath,
  createObjects,
  entriesIn,
  entryAt,
  hash,
  innerNames,
} from '../support/trees.ts';

/** A version of a directory: what each path holds, as `VERSION` or `VERSION KIND`. */
type Version = Readonly<Record<string, string>>;

function entriesOf(version: Version): TreeEntry[] {
  return Object.entries(version).map(([path, content]) => {
    const [number = '', kind = 'f'] = content.split(' ');
    return entryAt(path, Number(number), kind as EntryKind);
  });
}

function shown(entry: TreeEntry | undefined): string {
  if (entry === undefined) return '-';
  return entry.kind === 'f' ? String(entry.size / 10) : `${entry.size / 10} ${entry.kind}`;
}

interface Merged {
  readonly merge: TreeMerge;
  /** What the merged tree holds. */
  readonly result: Record<string, string>;
  /** A line for each conflict: path, base, ours, theirs, and what is told beside. */
  readonly told: string[];
  /** Tree objects that were read, roots aside. */
  readonly pagesRead: number;
}

function merge(
  base: Version | undefined,
  ours: Version,
  theirs: Version,
  choose?: (conflict: TreeConflict) => MergeSide | undefined,
): Merged {
  const objects = createObjects();
  const roots = [base, ours, theirs].map((version) => version && buildTree(entriesOf(version), objects).root);
  const [baseRoot, oursRoot = hashless(), theirsRoot = hashless()] = roots;
  const read = new Set<string>();
  const merged = mergeTrees({
    base: baseRoot,
    ours: oursRoot,
    theirs: theirsRoot,
    ...(choose && { choose }),
    load(digest) {
      if (!roots.includes(digest)) read.add(digest);
      return objects.load(digest);
    },
    hash,
    emit: objects.emit,
  });
  const entries = entriesIn(openTree(merged.tree.root, objects.load));
  expect(merged.tree).toEqual(buildTree(entries));
  return {
    merge: merged,
    result: Object.fromEntries(entries.map((entry) => [entry.path, shown(entry)])),
    told: merged.conflicts.map(
      ({ path, base: before, ours: a, theirs: b, folder, movedTo }) =>
        `${path}: ${shown(before)} ${shown(a)} ${shown(b)}${folder ? ` folder ${folder}` : ''}${movedTo ? ` moved to ${movedTo}` : ''}`,
    ),
    pagesRead: read.size,
  };
}

function hashless(): never {
  throw new Error('no tree');
}

describe('what comes of a path', () => {
  test.each<[string, Version | undefined, Version, Version, Version, string[]]>([
    ['nothing changed', { a: '1' }, { a: '1' }, { a: '1' }, { a: '1' }, []],
    ['changed in ours', { a: '1' }, { a: '2' }, { a: '1' }, { a: '2' }, []],
    ['changed in theirs', { a: '1' }, { a: '1' }, { a: '2' }, { a: '2' }, []],
    ['changed alike', { a: '1' }, { a: '2' }, { a: '2' }, { a: '2' }, []],
    ['changed differently', { a: '1' }, { a: '2' }, { a: '3' }, { a: '2' }, ['a: 1 2 3']],
    ['added in both, alike', {}, { a: '2' }, { a: '2' }, { a: '2' }, []],
    ['added in both, differently', {}, { a: '2' }, { a: '3' }, { a: '2' }, ['a: - 2 3']],
    ['deleted in theirs', { a: '1', b: '1' }, { a: '1', b: '1' }, { b: '1' }, { b: '1' }, []],
    ['deleted in both', { a: '1', b: '1' }, { b: '1' }, { b: '1' }, { b: '1' }, []],
    ['deleted in ours, changed in theirs', { a: '1' }, {}, { a: '2' }, {}, ['a: 1 - 2']],
    ['changed in ours, deleted in theirs', { a: '1' }, { a: '2' }, {}, { a: '2' }, ['a: 1 2 -']],
    [
      'no ancestor: what one has is added',
      undefined,
      { a: '1', b: '1' },
      { a: '1', c: '1' },
      { a: '1', b: '1', c: '1' },
      [],
    ],
    ['no ancestor: what differs', undefined, { a: '1' }, { a: '2' }, { a: '1' }, ['a: - 1 2']],
    ['renamed in ours, unchanged in theirs', { a: '1' }, { b: '1' }, { a: '1' }, { b: '1' }, []],
    ['renamed in ours, changed in theirs', { a: '1' }, { b: '1' }, { a: '2' }, { b: '1' }, ['a: 1 - 2 moved to b']],
    [
      'renamed in theirs, changed in ours',
      { a: '1' },
      { a: '2' },
      { b: '1' },
      { a: '2', b: '1' },
      ['a: 1 2 - moved to b'],
    ],
    ['copied to two places', { a: '1' }, { b: '1', c: '1' }, { a: '2' }, { b: '1', c: '1' }, ['a: 1 - 2']],
    ['renamed in both', { a: '1' }, { b: '1' }, { c: '1' }, { b: '1', c: '1' }, []],
    ['made executable in ours, changed in theirs', { a: '1' }, { a: '1 x' }, { a: '2' }, { a: '2 x' }, []],
    ['a file in ours, a link in theirs', { a: '1' }, { a: '2' }, { a: '1 l' }, { a: '2' }, ['a: 1 2 1 l']],
    ['a file in both, executable in theirs', {}, { a: '1' }, { a: '1 x' }, { a: '1' }, ['a: - 1 1 x']],
  ])('%s', (_, base, ours, theirs, result, told) => {
    const merged = merge(base, ours, theirs);
    expect(merged.result).toEqual(result);
    expect(merged.told).toEqual(told);
  });

  test.each<[string, Version, Version, Version, Version, string[]]>([
    ['a file becomes a folder', { a: '1' }, { a: '1' }, { 'a/b': '1' }, { 'a/b': '1' }, []],
    ['a folder becomes a file', { 'a/b': '1' }, { 'a/b': '1' }, { a: '1' }, { a: '1' }, []],
    [
      'a changed file against a folder',
      { a: '1' },
      { a: '2' },
      { 'a/b': '1', 'a/c': '1' },
      { a: '2' },
      ['a: 1 2 - folder theirs'],
    ],
    ['both added, a file and a folder', {}, { 'a/b': '1' }, { a: '2' }, { 'a/b': '1' }, ['a: - - 2 folder ours']],
    [
      'what stands between them is no part of it',
      {},
      { 'a/b': '1' },
      { a: '2', 'a-b': '3' },
      { 'a/b': '1', 'a-b': '3' },
      ['a: - - 2 folder ours'],
    ],
    [
      'a file against a folder that was changed',
      { 'a/b': '1', 'a/c': '1' },
      { a: '1' },
      { 'a/b': '1', 'a/c': '2' },
      { a: '1' },
      ['a: - 1 - folder theirs'],
    ],
    ['a file against a folder that is gone', { 'a/b': '1' }, { a: '1' }, { c: '1' }, { a: '1', c: '1' }, []],
    ['an empty folder is filled', { a: '0 d' }, { a: '0 d' }, { 'a/b': '1' }, { 'a/b': '1' }, []],
    ['an empty folder in ours, a filled one in theirs', {}, { a: '0 d' }, { 'a/b': '1' }, { 'a/b': '1' }, []],
    ['a filled folder in ours, an empty one in theirs', {}, { 'a/b': '1' }, { a: '0 d' }, { 'a/b': '1' }, []],
    ['emptied in theirs', { 'a/b': '1' }, { 'a/b': '1' }, { a: '0 d' }, { a: '0 d' }, []],
    [
      'emptied in theirs, added to in ours',
      { 'a/b': '1' },
      { 'a/b': '1', 'a/c': '1' },
      { a: '0 d' },
      { 'a/c': '1' },
      [],
    ],
    [
      'emptied in theirs, changed in ours',
      { 'a/b': '1' },
      { 'a/b': '2' },
      { a: '0 d' },
      { 'a/b': '2' },
      ['a/b: 1 2 -'],
    ],
    ['an empty folder below a file', {}, { a: '1' }, { 'a/b': '0 d' }, { a: '1' }, ['a: - 1 - folder theirs']],
  ])('%s', (_, base, ours, theirs, result, told) => {
    const merged = merge(base, ours, theirs);
    expect(merged.result).toEqual(result);
    expect(merged.told).toEqual(told);
  });

  test('what is chosen for a conflict is taken, for all of a folder too', () => {
    const base = { a: '1', b: '1', c: '1' };
    const ours = { a: '2', b: '2', c: '2' };
    const theirs = { 'a/x': '3', 'a/y': '3', b: '3' };
    const all = (side: MergeSide) => merge(base, ours, theirs, () => side).result;
    expect(all('ours')).toEqual(ours);
    expect(all('theirs')).toEqual(theirs);
    expect(all('base')).toEqual(base);
    const some = merge(base, ours, theirs, ({ path }) => (path === 'b' ? 'theirs' : undefined));
    expect(some.result).toEqual({ a: '2', b: '3', c: '2' });
    expect(some.told).toEqual(['a: 1 2 - folder theirs', 'b: 1 2 3', 'c: 1 2 -']);
  });
});

describe('any three versions', () => {
  const names = [
    'a',
    'a-b',
    'a/b',
    'a/b/c',
    'a/b/d',
    'a/c',
    'd',
    'd/e',
    ...boundaryNames(6, 'p'),
    ...innerNames(10, 'p'),
  ];
  const content = fc.constantFrom('1', '2', '3', '1 x', '2 x', '1 l', '0 d');
  const change = fc.tuple(fc.constantFrom(...names), fc.option(content, { nil: undefined }));
  const changes = fc.array(change, { maxLength: 12 });

  /** Set and taken out one after the other; what is in the way goes, and an empty folder stays only where nothing is in it. */
  function changed(version: Version, edits: readonly (readonly [string, string | undefined])[]): Version {
    const now = new Map(Object.entries(version));
    for (const [path, value] of edits) {
      now.delete(path);
      if (value === undefined) continue;
      for (const other of now.keys())
        if (other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) now.delete(other);
      now.set(path, value);
    }
    return Object.fromEntries(now);
  }

  /** One path of three maps: what a merge by hand makes of it. */
  function byHand(base: string | undefined, ours: string | undefined, theirs: string | undefined): string | undefined {
    if (ours === theirs) return ours ?? '-';
    if (ours === base) return theirs ?? '-';
    if (theirs === base) return ours ?? '-';
    const split = [base, ours, theirs].map((text) => /^(\d)(| x)$/.exec(text ?? ''));
    const [b, o, t] = split;
    if (!b || !o || !t) return undefined;
    const pick = (index: number): string | undefined =>
      o[index] === t[index] || t[index] === b[index] ? o[index] : o[index] === b[index] ? t[index] : undefined;
    const digits = pick(1);
    return digits === undefined ? undefined : `${digits}${pick(2) ?? ''}`;
  }

  const isBelow = (path: string, folder: string): boolean => path.startsWith(`${folder}/`);

  test('merge path by path as their maps do', () => {
    fc.assert(
      fc.property(changes, changes, changes, (first, here, there) => {
        const base = changed({}, first);
        const [ours, theirs] = [changed(base, here), changed(base, there)];
        const merged = merge(base, ours, theirs);
        const paths = [...new Set([base, ours, theirs].flatMap((version) => Object.keys(version)))];
        const outcome = new Map(paths.map((path) => [path, byHand(base[path], ours[path], theirs[path])]));
        // A file or link that may stay or come, and something below it that may, too.
        const isFile = (path: string): boolean =>
          [ours[path], theirs[path]].some((v) => v !== undefined && v !== '0 d');
        const stays = paths.filter((path) => outcome.get(path) !== '-');
        const clashes = stays.filter((path) => isFile(path) && stays.some((other) => isBelow(other, path)));
        const isInClash = (path: string): boolean => clashes.some((clash) => isBelow(path, clash));
        const conflicts = [...clashes, ...paths.filter((path) => outcome.get(path) === undefined)].filter(
          (path) => !isInClash(path),
        );
        expect(merged.merge.conflicts.map(({ path }) => String(path))).toEqual([...new Set(conflicts)].sort());
        const expected: Record<string, string> = {};
        for (const path of paths) {
          const value = clashes.includes(path) || isInClash(path) ? ours[path] : (outcome.get(path) ?? ours[path]);
          if (value !== undefined && value !== '-') expected[path] = value;
        }
        for (const path of Object.keys(expected))
          if (expected[path] === '0 d' && Object.keys(expected).some((other) => isBelow(other, path)))
            delete expected[path];
        expect(merged.result).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test('merge alike from both sides', () => {
    fc.assert(
      fc.property(fc.option(changes, { nil: undefined }), changes, changes, (first, here, there) => {
        const base = first && changed({}, first);
        const [ours, theirs] = [changed(base ?? {}, here), changed(base ?? {}, there)];
        const [one, other] = [merge(base, ours, theirs), merge(base, theirs, ours)];
        expect(other.merge.conflicts.map(({ path }) => path)).toEqual(one.merge.conflicts.map(({ path }) => path));
        if (one.told.length === 0) expect(other.merge.tree).toEqual(one.merge.tree);
        expect(merge(base, ours, theirs, () => 'theirs').merge.tree).toEqual(
          merge(base, theirs, ours, () => 'ours').merge.tree,
        );
      }),
      { numRuns: 300 },
    );
  });

  test('merge to themselves, and to the other where one changed nothing', () => {
    fc.assert(
      fc.property(changes, changes, (first, edits) => {
        const base = changed({}, first);
        const other = changed(base, edits);
        for (const [ours, theirs] of [
          [base, other],
          [other, base],
          [other, other],
        ] as const) {
          const merged = merge(base, ours, theirs);
          expect(merged.told).toEqual([]);
          expect(merged.merge.tree).toEqual(buildTree(entriesOf(other).sort(byPath)));
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('pages in which the sides do not differ are not read', () => {
  const names = [...boundaryNames(200, 'p'), ...innerNames(400, 'p')].sort();
  const base = Object.fromEntries(names.map((name) => [name, '1']));
  const [first = '', last = ''] = [names[0], names.at(-1)];
  const merged = merge(base, { ...base, [first]: '2' }, { ...base, [last]: '3' });
  expect(merged.result).toEqual({ ...base, [first]: '2', [last]: '3' });
  // Two pages, each of ours, of theirs and of the base, some of them the same; and what the edit reads until pages fall together.
  expect(merged.pagesRead).toBeLessThanOrEqual(6);
});
