/**
 * Whatever goes wrong between mlv and a bucket, no byte is lost and no wrong one accepted, and the same command succeeds when it
 * is over. `npm run test:faults` runs the long rows too, and writes the table of docs/operations.md; other runs compare with it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableRow } from '../support/fault-table.ts';
import { readTable, writeTable } from '../support/fault-table.ts';
import type { FaultRow } from './faults/rows.ts';
import { FAULT_ROWS } from './faults/rows.ts';
import type { Measured, TrialSite, Verb } from './faults/trial.ts';
import { makeTrialSite } from './faults/trial.ts';
import { some } from './random.ts';

const VERBS = ['push', 'pull'] as const;
const isWriting = process.env['MLV_WRITE_FAULT_TABLE'] === '1';
/** In short half of them, others each time; a seed in the environment repeats a run. */
const seed = Number(process.env['MLV_FAULT_SEED'] ?? Date.now() % 1_000_000);
const CHOSEN = isWriting ? FAULT_ROWS : some(FAULT_ROWS, FAULT_ROWS.length / 2, seed);
const hasSmallDisks = canMount();
const written = readTable();
const measured = new Map<FaultRow, TableRow>();
const usual = new Map<Verb, Measured>();

let site: TrialSite;
beforeAll(async () => {
  site = await makeTrialSite();
  for (const verb of VERBS) usual.set(verb, await site.run(verb, 'no fault', () => {}));
}, 60_000);
afterAll(() => {
  console.log(`MLV_FAULT_SEED=${seed}`);
  site.dispose();
});

test('without a fault everything arrives', () => {
  for (const each of usual.values()) expect(each).toMatchObject({ exit: 0, lost: 0, wrong: 0 });
});

describe.concurrent('with a fault', () => {
  for (const row of CHOSEN) {
    test(`${row.verb}: ${row.fault}`, { timeout: 600_000 }, async ({ skip, onTestFailed }) => {
      if (row.isLong === true && !isWriting) skip('it takes a minute or more: npm run test:faults');
      if (row.needsDisk === true && !hasSmallDisks) skip('no small disk can be mounted here');
      const { verb, fault, hint, more, seconds, arrange } = row;
      const found = await site.run(verb, fault, arrange);
      const most = (usual.get(verb)?.requests ?? 0) + more;
      onTestFailed(() => console.error(`${verb}: ${fault}: at most ${most} requests in ${seconds} s`, found));
      expect({
        ...found,
        isHintRight: hint?.test(found.hint) ?? found.hint === '',
        isBug: /^ +at |this is a bug/m.test(found.output),
        isBounded: found.requests <= most && found.seconds <= seconds,
      }).toMatchObject({
        ...(hint === undefined ? { exit: 0 } : { exit: 1, exitAgain: 0 }),
        isHintRight: true,
        isBug: false,
        isBounded: true,
        lost: 0,
        wrong: 0,
      });
      const told = tableRow(row, found);
      measured.set(row, told);
      if (!isWriting) expect(comparable(written.find((each) => isRow(each, row)))).toEqual(comparable(told));
    });
  }
});

test('docs/operations.md has the table', () => {
  if (isWriting) {
    const rows = FAULT_ROWS.flatMap((row) => measured.get(row) ?? written.find((each) => isRow(each, row)) ?? []);
    writeTable(
      rows,
      new Map(
        Array.from(usual, ([verb, { requests, seconds }]) => [
          verb,
          `without a fault: ${requests} requests, ${seconds.toFixed(1)} s`,
        ]),
      ),
    );
  }
  expect(readTable().map(({ verb, fault }) => `${verb}: ${fault}`)).toEqual(
    VERBS.flatMap((verb) => FAULT_ROWS.filter((row) => row.verb === verb)).map(
      ({ verb, fault }) => `${verb}: ${fault}`,
    ),
  );
});

function tableRow({ verb, fault }: FaultRow, found: Measured): TableRow {
  return {
    verb,
    fault,
    exit: String(found.exit),
    message: found.message.replaceAll('|', '\\|'),
    requests: String(found.requests),
    seconds: found.seconds.toFixed(1),
    lost: String(found.lost),
    wrong: String(found.wrong),
  };
}

/** What is the same in every run. */
function comparable(row: TableRow | undefined): Partial<TableRow> {
  // Which index is left out depends on its name, and so on the time of the push.
  const message = row?.message.replace(/(?<=checked out: )(?:data|model)$/, 'data or model');
  return { ...row, ...(message !== undefined && { message }), requests: '', seconds: '' };
}

function isRow(row: TableRow, { verb, fault }: FaultRow): boolean {
  return row.verb === verb && row.fault === fault;
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'mlv-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(folder);
  }
}
