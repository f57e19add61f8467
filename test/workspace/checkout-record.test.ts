import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import type { CheckoutRecord } from '../../src/workspace/checkout-record.ts';
import {
  announceCheckoutRecord,
  readCheckoutRecord,
  settleCheckoutRecord,
  writeCheckoutRecord,
} from '../../src/workspace/checkout-record.ts';
import type { Workspace } from '../../src/workspace/open.ts';

const path = 'data' as RepoPath;
const content = { type: 'dir', hash: 'a'.repeat(64) as Digest, exec: false } as const;
const record: CheckoutRecord = {
  path,
  base: content,
  selected: 'all',
  target: { content, selected: [], earlier: [content], restore: 'all' },
};

let folder: string;
let workspace: Workspace;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-record-'));
  workspace = { prefix: '', ownFolder: folder } as unknown as Workspace;
});
afterEach(() => rmSync(folder, { recursive: true }));

test('is read as it was written; where there is none, nothing was checked out', () => {
  expect(readCheckoutRecord(workspace, path, undefined)).toEqual({ path, base: undefined, selected: [] });
  writeCheckoutRecord(workspace, record);
  expect(readCheckoutRecord(workspace, path, undefined)).toEqual(record);
});

test.each([
  ['cut short', '{"version":1,"path":"da'],
  ['of a later version', JSON.stringify({ ...record, version: 2 })],
  ['of another path', JSON.stringify({ ...record, version: 1, path: 'other' })],
  ['with a base that is no digest', JSON.stringify({ ...record, version: 1, base: { ...content, hash: 'a' } })],
  ['with a base of another kind', JSON.stringify({ ...record, version: 1, base: { ...content, type: 'x' } })],
  ['without a selection', JSON.stringify({ ...record, version: 1, selected: undefined })],
  ['with a selection of numbers', JSON.stringify({ ...record, version: 1, selected: [1] })],
  ['with a target without content', JSON.stringify({ ...record, version: 1, target: { selected: 'all' } })],
  ['with a target without a selection', JSON.stringify({ ...record, version: 1, target: { content } })],
  ['null', 'null'],
  ['with a bit flipped since', `${JSON.stringify({ ...record, version: 1 })}\n${'0'.repeat(64)}\n`],
])('is refused when it is %s, and by name', (_, text) => {
  writeCheckoutRecord(workspace, record);
  mkdirSync(join(folder, 'checkout'), { recursive: true });
  const [name = ''] = readdirSync(join(folder, 'checkout'));
  writeFileSync(join(folder, 'checkout', name), text);
  expect(() => readCheckoutRecord(workspace, path, undefined)).toThrow(
    expect.objectContaining({
      code: 'checkout-record-damaged',
      message: expect.stringContaining(join(folder, 'checkout', name)) as string,
    }) as Error,
  );
});

test('that was announced holds once the pointer names it, and not before', () => {
  const next = { path, base: { ...content, hash: 'b'.repeat(64) as Digest }, selected: [] } as const;
  writeCheckoutRecord(workspace, record);
  announceCheckoutRecord(workspace, next);
  expect(readCheckoutRecord(workspace, path, content)).toEqual(record);
  expect(readCheckoutRecord(workspace, path, next.base)).toEqual(next);
  expect(settleCheckoutRecord(workspace, path, next.base)).toEqual(next);
  expect(readCheckoutRecord(workspace, path, content)).toEqual(next);
});
