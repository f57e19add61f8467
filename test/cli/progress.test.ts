import { expect, test, vi } from 'vitest';
import { createProgress, progressLine } from '../../src/cli/progress.ts';

function screen(kind: 'line' | 'log' | 'off') {
  const clock = { time: 0 };
  const written: string[] = [];
  const stream = { columns: 40, write: (text: string) => written.push(text) };
  return { clock, written, progress: createProgress({ stream, kind: () => kind, now: () => clock.time }) };
}

const state = (files: number) => ({
  phase: 'hashing',
  files,
  bytes: files * 1_000_000,
  totalFiles: 100,
  totalBytes: 100_000_000,
});

test('nothing is shown of what takes less than half a second', () => {
  const { clock, written, progress } = screen('line');
  for (clock.time = 0; clock.time < 500; clock.time += 10) progress.update(state(1));
  progress.stop();
  expect(written).toEqual([]);
});

test('a terminal gets one line, rewritten ten times a second, as wide as it fits, and cleared at the end', () => {
  const { clock, written, progress } = screen('line');
  for (clock.time = 0; clock.time <= 700; clock.time += 1) progress.update(state(50));
  progress.stop();
  expect(written).toEqual([
    '\r\u001b[2Khashing: 50 of 100 files, 50 MB of 100 ',
    '\r\u001b[2Khashing: 50 of 100 files, 50 MB of 100 ',
    '\r\u001b[2Khashing: 50 of 100 files, 50 MB of 100 ',
    '\r\u001b[2K',
  ]);
});

test('elsewhere a line comes every five seconds', () => {
  const { clock, written, progress } = screen('log');
  for (clock.time = 0; clock.time <= 6000; clock.time += 100) progress.update(state(clock.time / 100));
  progress.stop();
  expect(written).toEqual([
    'hashing: 5 of 100 files, 5.0 MB of 100 MB, 10 MB/s, 9 s left\n',
    'hashing: 55 of 100 files, 55 MB of 100 MB, 10 MB/s, 4 s left\n',
  ]);
});

test('while the work waits, a terminal is still redrawn', () => {
  vi.useFakeTimers();
  try {
    const { clock, written, progress } = screen('line');
    progress.update(state(50));
    clock.time = 1000;
    vi.advanceTimersByTime(1000);
    expect(written.length).toBe(1);
    progress.stop();
    clock.time = 2000;
    vi.advanceTimersByTime(1000);
    expect(written.length).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test('switched off it writes nothing', () => {
  const { clock, written, progress } = screen('off');
  clock.time = 10_000;
  progress.update(state(50));
  progress.stop();
  expect(written).toEqual([]);
});

test('a line tells what is known', () => {
  expect(progressLine({ phase: 'looking', files: 0, bytes: 0 }, 3)).toBe('looking');
  expect(progressLine({ phase: 'listing', files: 1, bytes: 0 }, 2)).toBe('listing: 1 file, 1 file/s');
  expect(progressLine({ phase: 'listing', files: 1200, bytes: 0, totalFiles: 2400 }, 2)).toBe(
    'listing: 1,200 of 2,400 files, 600 files/s, 2 s left',
  );
  expect(progressLine({ phase: 'sending', files: 3, bytes: 2_000_000 }, 0)).toBe('sending: 3 files, 2.0 MB');
  expect(progressLine({ phase: 'sending', files: 3, bytes: 2_000_000 }, 0.001)).toBe('sending: 3 files, 2.0 MB');
});
