import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { withLock } from '../../src/platform/lock.ts';

/** What other processes do between this one's look at the folder and its exclusive create. */
let meanwhile: (() => void) | undefined;

vi.mock('node:fs', async (original) => {
  const actual = await original<typeof fs>();
  const openSync: typeof fs.openSync = (path, flags, mode) => {
    const act = meanwhile;
    if (flags === 'wx') meanwhile = undefined;
    if (flags === 'wx') act?.();
    return actual.openSync(path, flags, mode);
  };
  return { ...actual, openSync };
});

let folder: string;
beforeEach(() => void (folder = fs.mkdtempSync(join(tmpdir(), 'mlv-lock-'))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

const now = { command: 'test', waitMs: 0 };

test('is not held by one who looked long ago, when others have come and gone since', async () => {
  fs.writeFileSync(join(folder, 'work.1'), 'free');
  let other: Promise<void> | undefined;
  let leave: () => void = () => undefined;
  const left = new Promise<void>((resolve) => void (leave = resolve));
  meanwhile = () => {
    // The second owner has been and gone, the third is at work: number 2 is free to be created again.
    fs.rmSync(join(folder, 'work.1'));
    fs.writeFileSync(join(folder, 'work.2'), 'free');
    other = withLock(folder, 'work', now, () => left);
  };
  await expect(withLock(folder, 'work', now, () => 'mine')).rejects.toMatchObject({ code: 'locked' });
  expect(fs.readdirSync(folder)).toEqual(['work.3']);
  leave();
  await other;
  expect(await withLock(folder, 'work', now, () => 'mine')).toBe('mine');
});

test('is held by the one of two who created first', async () => {
  let other: Promise<void> | undefined;
  let leave: () => void = () => undefined;
  const left = new Promise<void>((resolve) => void (leave = resolve));
  meanwhile = () => void (other = withLock(folder, 'work', now, () => left));
  await expect(withLock(folder, 'work', now, () => 'mine')).rejects.toMatchObject({ code: 'locked' });
  leave();
  await other;
});
