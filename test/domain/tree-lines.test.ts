import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TreeEntry } from '../../src/domain/tree.ts';
import { formatEntry } from '../../src/domain/tree.ts';
import { entriesUnlike, entryInLine, seekLine } from '../../src/domain/tree-lines.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { digestOf, entryAt } from '../support/trees.ts';

const NAMES = Array.from({ length: 300 }, (_, index) => `folder ${index % 7}/a file ${index}`).sort();
const DIGEST = digestOf('a page');

/** Pages that have most lines in common, in long runs and short ones. */
const versions = fc.array(fc.record({ name: fc.nat(NAMES.length - 1), version: fc.integer({ min: -1, max: 2 }) }), {
  maxLength: 30,
});

function entriesOf(changes: readonly { readonly name: number; readonly version: number }[]): TreeEntry[] {
  const version = new Map(changes.map((change) => [change.name, change.version]));
  return NAMES.flatMap((name, index) => {
    const is = version.get(index) ?? 0;
    return is < 0 ? [] : [entryAt(name, is)];
  });
}

function pageOf(entries: readonly TreeEntry[]): Buffer {
  return Buffer.from(entries.map((entry) => formatEntry(entry)).join(''), 'latin1');
}

test('the lines that another page does not have are those of the entries it does not have', () => {
  fc.assert(
    fc.property(versions, versions, (changes, otherChanges) => {
      const [entries, others] = [entriesOf(changes), entriesOf(otherChanges)];
      const known = new Set(others.map((entry) => formatEntry(entry)));
      expect(entriesUnlike(pageOf(entries), pageOf(others), DIGEST)).toEqual(
        entries.filter((entry) => !known.has(formatEntry(entry))),
      );
    }),
  );
});

test('of pages that have nothing in common all is told, and nothing of one that is the same', () => {
  const entries = entriesOf([]);
  expect(entriesUnlike(pageOf(entries), Buffer.alloc(0), DIGEST)).toEqual(entries);
  expect(entriesUnlike(pageOf(entries), pageOf(entries), DIGEST)).toEqual([]);
  expect(entriesUnlike(Buffer.alloc(0), pageOf(entries), DIGEST)).toEqual([]);
});

test('a malformed line that is not shared is refused', () => {
  const page = Buffer.concat([pageOf(entriesOf([])), Buffer.from('no line\n')]);
  expect(() => entriesUnlike(page, pageOf(entriesOf([])), DIGEST)).toThrow('malformed');
  expect(() => entriesUnlike(page.subarray(0, -1), pageOf(entriesOf([])), DIGEST)).toThrow('malformed');
});

test('a line is found from any line before it', () => {
  const paths = fc.uniqueArray(fc.oneof(fc.constantFrom(...NAMES), fc.constantFrom('', 'folder', 'folder 3/', 'z')));
  fc.assert(
    fc.property(versions, paths, (changes, asked) => {
      const entries = entriesOf(changes);
      const page = pageOf(entries);
      let line = 0;
      for (const path of asked.sort()) {
        line = seekLine(page, path as TreePath, line);
        expect(entryInLine(page, line, DIGEST)).toEqual(entries.find((entry) => entry.path >= path));
      }
    }),
  );
});
