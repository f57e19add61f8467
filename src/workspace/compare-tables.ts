import { createCsvReader, type RowReader } from '../domain/csv-reader.ts';
import { createJsonLinesReader } from '../domain/json-lines-reader.ts';
import { finishHash, hashFields, mixIn, newHash, type HashedRow, type HashState } from '../domain/row-hash.ts';
import { createRowTally, type RowDifference, type Side } from '../domain/row-tally.ts';

export type TableFormat = 'csv' | 'tsv' | 'jsonl';

/** What two versions of a table differ in. */
export interface TableComparison {
  readonly format: TableFormat;
  /** By their names; undefined where the first row does not look like names. */
  readonly columns:
    | { readonly added: readonly string[]; readonly removed: readonly string[]; readonly reordered: boolean }
    | undefined;
  /** By what they have in the columns of both versions. Those that changed are among neither the added nor the removed. */
  readonly rows: {
    readonly before: number;
    readonly after: number;
    readonly added: number;
    readonly removed: number;
    readonly changed: number;
    /** The column that told which row became which; undefined where none tells them apart. */
    readonly key: string | undefined;
    /** True where both have the same rows in another order. */
    readonly reordered: boolean;
  };
}

/** Hands both versions of a table to two readers. Throws what is wrong with one, as they tell it. */
export type ReadTables = (readers: Readonly<Record<Side, RowReader>>) => Promise<void>;

const TAB = 0x09;
/** Of more rows that differ it is not looked for which became which: their keys are kept in memory. */
const MOST_KEYED = 300_000;
/** Names of columns that are there to tell rows apart. */
const KEY_NAME = /^(?:id|key|uuid|guid|pk)$/i;

/** Which tables can be compared, by their names. */
export function tableFormat(path: string): TableFormat | undefined {
  const ending = /\.(csv|tsv|jsonl|ndjson)$/i.exec(path)?.[1]?.toLowerCase();
  return ending === 'ndjson' ? 'jsonl' : (ending as TableFormat | undefined);
}

/**
 * Compares two versions of a table. `read` is to hand both contents, from the beginning, to two readers, as evenly as it can; it is
 * called two or three times, and again while not all rows that differ fit into memory. Throws what `read` does.
 */
export async function compareTables(
  format: TableFormat,
  read: ReadTables,
  mostSlots?: number,
): Promise<TableComparison> {
  const plan = await planTables(format, read);
  const tally = createRowTally(mostSlots);
  const counts = { before: 0, after: 0 };
  const order: Record<Side, HashState> = { before: newHash(), after: newHash() };
  let left: RowDifference[] = [];
  const totals = { added: 0, removed: 0 };
  for (let pass = 0; pass < tally.passes(); pass++) {
    await read(
      readersOf(format, plan, (side, row) => {
        const hash = hashFields(row, plan.fields?.[side]);
        if (pass === 0) {
          counts[side] += 1;
          mixIn(order[side], hash.high);
          mixIn(order[side], hash.low);
        }
        tally.take(side, hash, plan.key === undefined ? hash : hashFields(row, [plan.key[side]]));
      }),
    );
    const isWhole = tally.passes() === 1;
    for (const difference of tally.drain()) {
      if (difference.surplus > 0) totals.added += difference.surplus;
      else totals.removed -= difference.surplus;
      if (isWhole && plan.key !== undefined && left.length <= MOST_KEYED) left.push(difference);
    }
  }
  if (tally.passes() > 1 || left.length > MOST_KEYED) left = [];
  const changed = await countChanged(format, plan, left, read);
  const isEqual = totals.added === 0 && totals.removed === 0;
  const [one, two] = [finishHash(order.before), finishHash(order.after)];
  return {
    format,
    columns: plan.columns,
    rows: {
      ...counts,
      added: totals.added - changed,
      removed: totals.removed - changed,
      changed,
      key: changed > 0 ? plan.key?.name : undefined,
      reordered: isEqual && (one.high !== two.high || one.low !== two.low),
    },
  };
}

interface Plan {
  readonly columns: TableComparison['columns'];
  /** The places of the columns of both, in the order of the later version; undefined: whole rows are compared. */
  readonly fields: Readonly<Record<Side, readonly number[]>> | undefined;
  /** A column that may tell rows apart, and its places. */
  readonly key: ({ readonly name: string } & Readonly<Record<Side, number>>) | undefined;
  readonly names: Readonly<Record<Side, Map<string, number>>>;
  /** True where the first row of a CSV file is no row. */
  readonly hasHeader: boolean;
}

/** Finds out which columns there are. */
async function planTables(format: TableFormat, read: ReadTables): Promise<Plan> {
  const names = { before: new Map<string, number>(), after: new Map<string, number>() };
  if (format === 'jsonl') {
    await read(readersOf(format, { names }, () => {}));
    return planColumns(names, false);
  }
  const cells: Record<Side, readonly string[]> = { before: [], after: [] };
  const reader = (side: Side): RowReader =>
    headerReader(delimiterOf(format), (header) => {
      cells[side] = header;
    });
  await read({ before: reader('before'), after: reader('after') });
  if (!isHeader(cells.before) || !isHeader(cells.after))
    return { columns: undefined, fields: undefined, key: undefined, names, hasHeader: false };
  for (const side of ['before', 'after'] as const)
    for (const [index, name] of cells[side].entries()) names[side].set(name, index);
  return planColumns(names, true);
}

function planColumns(names: Plan['names'], hasHeader: boolean): Plan {
  const common = [...names.after.keys()].filter((name) => names.before.has(name));
  const added = [...names.after.keys()].filter((name) => !names.before.has(name));
  const removed = [...names.before.keys()].filter((name) => !names.after.has(name));
  const inOrderOfBefore = [...names.before.keys()].filter((name) => names.after.has(name));
  // Names of objects have no order.
  const reordered = hasHeader && common.some((name, index) => name !== inOrderOfBefore[index]);
  const placesIn = (side: Side): number[] => common.map((name) => names[side].get(name) ?? 0);
  const name = common.find((each) => KEY_NAME.test(each)) ?? common[0];
  const place = (side: Side): number => names[side].get(name ?? '') ?? 0;
  const hasKey = name !== undefined && common.length > 1;
  return {
    columns: { added, removed, reordered },
    fields: common.length === 0 ? undefined : { before: placesIn('before'), after: placesIn('after') },
    key: hasKey ? { name, before: place('before'), after: place('after') } : undefined,
    names,
    hasHeader,
  };
}

/** Names differ from each other and are no numbers; the first may be empty, as that of a column of row numbers. */
function isHeader(cells: readonly string[]): boolean {
  const isName = (cell: string, index: number): boolean =>
    cell.trim() === '' ? index === 0 && cells.length > 1 : Number.isNaN(Number(cell));
  return cells.length > 0 && new Set(cells).size === cells.length && cells.every(isName);
}

function readersOf(
  format: TableFormat,
  { names, hasHeader = false }: Pick<Plan, 'names'> & Partial<Plan>,
  take: (side: Side, row: HashedRow) => void,
): Record<Side, RowReader> {
  const reader = (side: Side): RowReader => {
    if (format === 'jsonl') return createJsonLinesReader({ columns: names[side], onRow: (row) => take(side, row) });
    let isFirst = hasHeader;
    return createCsvReader({
      delimiter: delimiterOf(format),
      onHeader: () => {},
      onRow(row) {
        if (!isFirst) take(side, row);
        isFirst = false;
      },
    });
  };
  return { before: reader('before'), after: reader('after') };
}

/** Reads the first row alone. */
function headerReader(delimiter: number | undefined, onHeader: (cells: readonly string[]) => void): RowReader {
  let isDone = false;
  const reader = createCsvReader({
    delimiter,
    onHeader(cells) {
      isDone = true;
      onHeader(cells);
    },
    onRow: () => {},
  });
  return {
    push: (piece) => (isDone ? undefined : reader.push(piece)),
    end: () => (isDone ? undefined : reader.end()),
    isDone: () => isDone,
  };
}

function delimiterOf(format: TableFormat): number | undefined {
  return format === 'tsv' ? TAB : undefined;
}

/**
 * How many rows that are gone and rows that are new are one and the same row, changed: those of one key, if the keys of all rows that
 * differ are met once in each version at most. Reads both once more.
 */
async function countChanged(
  format: TableFormat,
  plan: Plan,
  left: readonly RowDifference[],
  read: ReadTables,
): Promise<number> {
  const { key } = plan;
  if (key === undefined) return 0;
  const keys = new Map<string, Record<Side, number>>();
  for (const { surplus, key: hash } of left) {
    if (Math.abs(surplus) > 1) return 0;
    const name = `${hash.high} ${hash.low}`;
    const seen = keys.get(name) ?? { before: 0, after: 0 };
    seen[surplus > 0 ? 'after' : 'before'] += 1;
    if (seen.before > 1 || seen.after > 1) return 0;
    keys.set(name, seen);
  }
  const changed = [...keys.values()].filter(({ before, after }) => before === 1 && after === 1).length;
  if (changed === 0) return 0;
  for (const seen of keys.values()) seen.before = seen.after = 0;
  let isRepeated = false;
  await read(
    readersOf(format, plan, (side, row) => {
      const hash = hashFields(row, [key[side]]);
      const seen = keys.get(`${hash.high} ${hash.low}`);
      if (seen !== undefined && ++seen[side] > 1) isRepeated = true;
    }),
  );
  return isRepeated ? 0 : changed;
}
