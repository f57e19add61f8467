import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { MAX_ROOT_LINES } from '../../src/domain/tree.ts';
import type { TreeEntry } from '../../src/domain/tree.ts';
import { diffTrees } from '../../src/domain/tree-diff.ts';
import { openTree } from '../../src/domain/tree-reader.ts';
import { fetchDifferences } from '../../src/storage/download-plan.ts';
import {
  boundaryNames,
  buildTree,
  byPath,
  createObjects,
  entryAt,
  innerNames,
  type Objects,
} from '../support/trees.ts';

/** A machine that has nothing yet, and notes what it asks for. */
function emptyMachine(remote: Objects) {
  const here = new Set<Digest>();
  const read = (digest: Digest): Buffer => {
    if (!here.has(digest)) throw new Error(`not fetched: ${digest}`);
    return remote.load(digest);
  };
  return {
    here,
    read,
    fetch: (...roots: Digest[]) =>
      fetchDifferences(
        roots.map((digest) => ({ digest, type: 'dir', size: 0, name: 'data' })),
        { has: (digest) => here.has(digest), read },
        (objects) => {
          for (const { digest } of objects) here.add(digest);
          return Promise.resolve();
        },
      ),
  };
}

/** The nodes of a tree with the path that everything in them comes after. */
function placesOf(objects: Objects, root: Digest): Set<string> {
  const found = new Set<string>();
  const cursor = openTree(root, objects.load);
  let after = '';
  for (let item = cursor.peek(); item !== undefined; item = cursor.peek()) {
    if (item.type === 'node') {
      found.add(`${item.node.digest} ${after}`);
      cursor.open();
    } else {
      after = item.entry.path;
      cursor.skip();
    }
  }
  return found;
}

/** What comparing finds, and that nothing was fetched which it does not read, or which both trees have at one place. */
async function expectEnough(
  objects: Objects,
  before: readonly TreeEntry[],
  after: readonly TreeEntry[],
): Promise<void> {
  const [old, now] = [buildTree(before, objects).root, buildTree(after, objects).root];
  const machine = emptyMachine(objects);
  await machine.fetch(old, now);
  if (old === now) {
    expect(machine.here.size).toBe(0);
    return;
  }
  const expected = [...diffTrees(openTree(old, objects.load), openTree(now, objects.load))];
  const read = new Set<Digest>();
  const load = (digest: Digest): Buffer => {
    read.add(digest);
    return machine.read(digest);
  };
  expect([...diffTrees(openTree(old, load), openTree(now, load))]).toEqual(expected);
  expect([...machine.here].filter((digest) => !read.has(digest))).toEqual([]);
  const [oldPlaces, newPlaces] = [placesOf(objects, old), placesOf(objects, now)];
  const places = new Map<string, number>();
  for (const place of new Set([...oldPlaces, ...newPlaces])) {
    const [digest = ''] = place.split(' ');
    places.set(digest, (places.get(digest) ?? 0) + 1);
  }
  // A page can be shared at one place, and moved at another.
  const shared = [...oldPlaces].filter((place) => newPlaces.has(place)).map((place) => place.split(' ')[0] ?? '');
  expect(shared.filter((digest) => places.get(digest) === 1 && machine.here.has(digest as Digest))).toEqual([]);
}

/** Enough pages for a root with lists; one name ends a list. */
const MANY = [...boundaryNames(MAX_ROOT_LINES + 10, 'b'), ...boundaryNames(1, 'b', 1), ...innerNames(40, 'b')];

const NAMES = [...boundaryNames(25, 'p'), ...innerNames(60, 'p')].sort();
const content = fc
  .uniqueArray(fc.record({ path: fc.constantFrom(...NAMES), version: fc.nat(1) }), {
    selector: ({ path }) => path,
    maxLength: 80,
  })
  .map((list) => list.map(({ path, version }) => entryAt(path, version)));

test('what two versions do not share is fetched, and nothing else', async () => {
  const property = fc.asyncProperty(content, content, (before, after) => expectEnough(createObjects(), before, after));
  await expect(fc.assert(property, { numRuns: 150 })).resolves.toBeUndefined();
});

test('of trees with lists of pages, too, also of different heights', async () => {
  const base = [...new Set(MANY)].map((name) => entryAt(name)).sort(byPath);
  const edits = fc.array(fc.record({ at: fc.nat(base.length - 1), version: fc.constantFrom(0, 1, undefined) }), {
    maxLength: 6,
  });
  const property = fc.asyncProperty(edits, fc.boolean(), async (list, isLow) => {
    const after = [...base] as (TreeEntry | undefined)[];
    for (const { at, version } of list)
      after[at] = version === undefined ? undefined : entryAt(base[at]?.path ?? '', version);
    if (isLow) after.splice(100, 50);
    const objects = createObjects();
    await expectEnough(
      objects,
      base,
      after.filter((entry) => entry !== undefined),
    );
  });
  await expect(fc.assert(property, { numRuns: 6 })).resolves.toBeUndefined();
}, 60_000);

test('of one change in a thousand pages, two pages, two lists on the way and two roots', async () => {
  const names = [...new Set(MANY)].sort();
  const objects = createObjects();
  const before = buildTree(
    names.map((name) => entryAt(name)),
    objects,
  );
  const after = buildTree(
    names.map((name, index) => entryAt(name, index === 2000 ? 1 : 0)),
    objects,
  );
  const machine = emptyMachine(objects);
  await machine.fetch(before.root, after.root);
  expect(machine.here.size).toBe(6);
});

test('three versions: what not all of them have', async () => {
  const objects = createObjects();
  const roots = [0, 1, 2].map(
    (version) =>
      buildTree(
        NAMES.map((name, index) => entryAt(name, index === 40 ? version : 0)),
        objects,
      ).root,
  );
  const machine = emptyMachine(objects);
  await machine.fetch(...roots);
  expect(machine.here.size).toBe(6);
});
