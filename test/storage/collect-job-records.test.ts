import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { collectJobRecords } from '../../src/storage/collect-job-records.ts';
import { openFolderHome } from '../../src/storage/folder-home.ts';

const DAY_S = 24 * 60 * 60;

it('records of Jobs go 90 days after they were written, and nothing else does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mlv-jobs-'));
  const home = openFolderHome(folder);
  const uid = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-000000000000`;
  const ages: Readonly<Record<string, number>> = {
    [`jobs/${uid('1')}`]: 89,
    [`jobs/${uid('2')}`]: 91,
    [`jobs/${uid('3')}`]: 400,
    'jobs/readme': 400,
    [`runs/${uid('2')}`]: 400,
  };
  for (const [key, days] of Object.entries(ages)) {
    await home.write(key, [Buffer.from('x')]);
    const time = Date.now() / 1000 - days * DAY_S;
    utimesSync(join(folder, key), time, time);
  }
  expect(await collectJobRecords(home, { isDry: true })).toBe(2);
  expect(readdirSync(join(folder, 'jobs'))).toHaveLength(4);
  expect(await collectJobRecords(home, { isDry: false })).toBe(2);
  expect(readdirSync(join(folder, 'jobs')).sort()).toEqual([uid('1'), 'readme']);
  expect(readdirSync(join(folder, 'runs'))).toHaveLength(1);
  rmSync(folder, { recursive: true });
});
