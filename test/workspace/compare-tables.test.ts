import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TableComparison, TableFormat } from '../../src/workspace/compare-tables.ts';
import { compareTables, tableFormat } from '../../src/workspace/compare-tables.ts';
import { createCsvReader } from '../../src/domain/csv-reader.ts';

/** Compares two texts that come in pieces of so many bytes. Rejects with what a reader says is wrong. */
function compared(
  format: TableFormat,
  before: string | Buffer,
  after: string | Buffer,
  { piece = 7, mostSlots }: { piece?: number; mostSlots?: number } = {},
): Promise<TableComparison> {
  const bytes = { before: Buffer.from(before as string), after: Buffer.from(after as string) };
  return compareTables(
    format,
    (readers) => {
      for (let at = 0; at < Math.max(bytes.before.length, bytes.after.length); at += piece)
        for (const side of ['before', 'after'] as const) {
          const part = bytes[side].subarray(at, at + piece);
          const problem = part.length === 0 ? undefined : readers[side].push(part);
          if (problem !== undefined) return Promise.reject(new Error(problem));
        }
      const problem = readers.before.end() ?? readers.after.end();
      return problem === undefined ? Promise.resolve() : Promise.reject(new Error(problem));
    },
    mostSlots,
  );
}

function written(rows: readonly (readonly string[])[], end: string, quoteAll: boolean): string {
  const cell = (text: string): string =>
    quoteAll || /[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text;
  return rows.map((row) => row.map(cell).join(',') + end).join('');
}

/** How often each row is in one and not in the other. */
function naive(before: readonly string[], after: readonly string[]): { added: number; removed: number } {
  const rest = [...before];
  let added = 0;
  for (const row of after) {
    const at = rest.indexOf(row);
    if (at === -1) added += 1;
    else rest.splice(at, 1);
  }
  return { added, removed: rest.length };
}

const cell = fc.oneof(
  fc.constantFrom('', '1', 'a', 'b', 'x"y', 'p,q', 'l\nm', 'r\r', 'é'),
  fc.string({ maxLength: 3 }),
);
const rowsOf = fc.array(
  fc.tuple(
    cell.filter((text) => !text.includes('\0')),
    fc.constantFrom('u', 'v'),
  ),
  { maxLength: 25 },
);

describe('rows of CSV', () => {
  test('are compared as multisets, however they are written, cut into pieces and fit into memory', async () => {
    const property = fc.asyncProperty(
      rowsOf,
      rowsOf,
      fc.record({
        ends: fc.tuple(fc.constantFrom('\n', '\r\n'), fc.constantFrom('\n', '\r\n')),
        quoteAll: fc.boolean(),
        piece: fc.integer({ min: 1, max: 40 }),
        mostSlots: fc.constantFrom(4, 16, 1024),
      }),
      async (before, after, { ends, quoteAll, piece, mostSlots }) => {
        const header = ['first', 'second'];
        const found = await compared(
          'csv',
          written([header, ...before], ends[0], quoteAll),
          written([header, ...after], ends[1], !quoteAll),
          { piece, mostSlots },
        );
        const expected = naive(before.map(String), after.map(String));
        const { added, removed, changed } = found.rows;
        expect({ added: added + changed, removed: removed + changed }).toEqual(expected);
        expect([found.rows.before, found.rows.after]).toEqual([before.length, after.length]);
        const isSame = expected.added + expected.removed === 0;
        expect(found.rows.reordered).toBe(isSame && before.map(String).join('\n') !== after.map(String).join('\n'));
        expect(found.columns).toEqual({ added: [], removed: [], reordered: false });
      },
    );
    await expect(fc.assert(property, { numRuns: 400 })).resolves.toBeUndefined();
  });

  test('that have another value under the same key are changed ones', async () => {
    const before = 'id,v\n1,a\n2,b\n3,c\n';
    expect((await compared('csv', before, 'id,v\n3,c\n4,d\n2,B\n')).rows).toEqual({
      before: 3,
      after: 3,
      added: 1,
      removed: 1,
      changed: 1,
      key: 'id',
      reordered: false,
    });
  });

  test('are no changed ones where the key is met twice in a version', async () => {
    const { rows } = await compared('csv', 'kind,v\nx,1\nx,2\ny,3\n', 'kind,v\nx,1\nx,5\ny,3\n');
    expect(rows).toMatchObject({ added: 1, removed: 1, changed: 0, key: undefined });
  });

  test('a column that came, went or moved changes no row', async () => {
    const found = await compared('csv', 'id,a,b,c\n1,x,y,z\n2,x,y,z\n', 'b,id,new,a\ny,1,n,x\ny,2,n,x\n');
    expect(found.columns).toEqual({ added: ['new'], removed: ['c'], reordered: true });
    expect(found.rows).toMatchObject({ added: 0, removed: 0, changed: 0, reordered: false });
  });

  test('without a first row of names are compared as they are', async () => {
    const found = await compared('csv', '1,2\n3,4\n', '3,4\n5,6\n1,2\n');
    expect(found.columns).toBeUndefined();
    expect(found.rows).toMatchObject({ before: 2, after: 3, added: 1, removed: 0 });
  });

  test('semicolons, tabs, a byte order mark, a missing last line break, empty lines', async () => {
    expect((await compared('csv', 'a;b\n1;2\n', '\uFEFFa;b\r\n\r\n1;2')).rows).toMatchObject({ added: 0, removed: 0 });
    expect((await compared('csv', 'a;b\n1;2\n', 'b;a\n2;1\n')).columns).toEqual({
      added: [],
      removed: [],
      reordered: true,
    });
    expect((await compared('tsv', 'a\tb\n1,1\t2\n', 'a\tb\n1,1\t3\n')).rows).toMatchObject({ changed: 1, key: 'a' });
  });

  test('rows of another length, and quotes inside a field, are taken as they are', async () => {
    const { rows } = await compared('csv', 'a,b\n1\n2,3,4\n5" pipe,x\n', 'a,b\n1,\n2,3,4\n5" pipe,x\n');
    expect(rows).toMatchObject({ before: 3, after: 3, added: 0, removed: 0, changed: 1 });
  });

  test('in any encoding', async () => {
    const latin = Buffer.from('name,v\nJos\xe9,1\nZo\xeb,2\n', 'latin1');
    const other = Buffer.from('name,v\nJos\xe9,1\nZo\xea,2\n', 'latin1');
    expect((await compared('csv', latin, other)).rows).toMatchObject({ added: 1, removed: 1, changed: 0 });
  });

  test('an empty file, and one of names alone', async () => {
    expect((await compared('csv', '', 'a,b\n')).rows).toMatchObject({ before: 0, after: 1, added: 1 });
    expect((await compared('csv', 'a,b\n', 'a,b\n1,2\n')).rows).toMatchObject({ before: 0, after: 1, added: 1 });
  });

  test('a quote that is never closed, and NUL, are no CSV', async () => {
    await expect(compared('csv', 'a,b\n1,2\n', 'a,b\n"1,2\n3,4\n')).rejects.toThrow('a quote is never closed');
    await expect(compared('csv', 'a,b\n1,2\n', 'a,b\n1,\0\n')).rejects.toThrow('it has NUL bytes');
  });
});

test('CSV is read field by field', () => {
  let header: readonly string[] = [];
  const counts: number[] = [];
  const reader = createCsvReader({
    delimiter: undefined,
    onHeader: (cells) => {
      header = cells;
    },
    onRow: ({ count }) => counts.push(count),
  });
  const text = '"a ""quoted""","b\nc",d"e,\r\n1,2,3,4\n\n5\n,\n""\n';
  for (const byte of Buffer.from(text)) expect(reader.push(Uint8Array.of(byte))).toBeUndefined();
  expect(reader.end()).toBeUndefined();
  expect(header).toEqual(['a "quoted"', 'b\nc', 'd"e', '']);
  expect(counts).toEqual([4, 4, 1, 2, 1]);
});

describe('JSON Lines', () => {
  const value = fc.dictionary(
    fc.constantFrom('id', 'a', 'b'),
    fc.oneof(fc.nat(2), fc.constantFrom('x', null), fc.array(fc.nat(1), { maxLength: 1 })),
  );

  test('are compared as multisets of objects, whatever the order of names', async () => {
    const property = fc.asyncProperty(
      fc.array(value, { maxLength: 15 }),
      fc.array(value, { maxLength: 15 }),
      fc.integer({ min: 1, max: 30 }),
      async (before, after, piece) => {
        // Columns that one version lacks are not compared: both get all.
        const all = { id: 9, a: 9, b: 9 };
        const lines = (values: readonly object[]): string[] => [all, ...values].map((each) => JSON.stringify(each));
        const reversed = [all, ...after].map((each) =>
          JSON.stringify(Object.fromEntries(Object.entries(each).toReversed())),
        );
        const found = await compared('jsonl', lines(before).join('\n'), reversed.join('\r\n'), { piece });
        const canonical = (each: object): string =>
          JSON.stringify(Object.entries(each).sort(([one], [two]) => (one < two ? -1 : 1)));
        const { added, removed, changed } = found.rows;
        expect({ added: added + changed, removed: removed + changed }).toEqual(
          naive(before.map(canonical), after.map(canonical)),
        );
      },
    );
    await expect(fc.assert(property, { numRuns: 300 })).resolves.toBeUndefined();
  });

  test('names that came and went are columns', async () => {
    const found = await compared('jsonl', '{"id":1,"old":1}\n{"id":2}\n', '{"id":1}\n\n{"id":2,"new":{"x":1}}');
    expect(found.columns).toEqual({ added: ['new'], removed: ['old'], reordered: false });
    expect(found.rows).toMatchObject({ before: 2, after: 2, added: 0, removed: 0, changed: 0 });
  });

  test('a line that is no object is a row; one that is no JSON is none', async () => {
    expect((await compared('jsonl', '1\n[2]\n', '[2]\n"3"\n')).rows).toMatchObject({ added: 1, removed: 1 });
    await expect(compared('jsonl', '{}\n', '{}\n{"a":\n')).rejects.toThrow('a line is not JSON');
  });
});

test('tables are known by their names', () => {
  const names = ['a.csv', 'A.TSV', 'x/y.jsonl', 'z.ndjson', 'csv', 'a.csv.gz', 'a.json'];
  expect(names.map(tableFormat)).toEqual(['csv', 'tsv', 'jsonl', 'jsonl', undefined, undefined, undefined]);
});
