/** However a log is cut on its way, each line of it is given once, in order. */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { KubernetesApi, LogOptions } from '../../../src/execution/kubernetes/api.ts';
import type { LogPiece } from '../../../src/execution/kubernetes/follow-logs.ts';
import { followLogs } from '../../../src/execution/kubernetes/follow-logs.ts';
import { pods } from '../../../src/execution/kubernetes/resources.ts';
import { TransientError } from '../../../src/storage/transient-error.ts';

// Nothing is won by waiting between the tries.
vi.mock('../../../src/execution/kubernetes/retry.ts', async (original) => ({
  ...(await original<object>()),
  pause: () => Promise.resolve(),
}));

interface Line {
  /** Milliseconds after the begin of the log. */
  readonly at: number;
  readonly nanoseconds: number;
  readonly text: Buffer;
}

/** One reading of the log. */
interface Reading {
  /** Of the lines, so many are written by then, from 0 to 1. */
  readonly written: number;
  /** Of the bytes, so many come through, from 0 to 1. */
  readonly through: number;
  readonly isEndClean: boolean;
  readonly pieceBytes: number;
}

const BEGIN = Date.parse('2026-11-22T10:00:00Z');
const POD = { ...pods('ml'), name: 'train-x' };

function stamp({ at, nanoseconds }: Line, zone: string): string {
  const ms = BEGIN + at;
  const shift = zone === 'Z' ? 0 : 2 * 3_600_000;
  const [date = ''] = new Date(ms + shift).toISOString().split('.');
  const fraction = String((((ms % 1000) + 1000) % 1000) * 1_000_000 + nanoseconds).padStart(9, '0');
  return `${date}.${fraction}${zone}`;
}

/** A node that has a log: it writes more of it from reading to reading, then the container has ended. */
function node(
  lines: readonly Line[],
  readings: readonly Reading[],
  options: { zone?: string; isEnded?: boolean } = {},
) {
  const { zone = 'Z' } = options;
  let reading = 0;
  const isLast = (): boolean => reading >= readings.length;

  function bytesOf(count: number, since: string | undefined): Buffer {
    // It looks at whole seconds, and at each line by itself.
    const from = since === undefined ? Number.NEGATIVE_INFINITY : Math.floor(Date.parse(since) / 1000) * 1000;
    const isAll = count === lines.length;
    return Buffer.concat(
      lines.slice(0, count).flatMap((line, index) => {
        if (BEGIN + line.at < from) return [];
        // The last line need not end.
        const end = isAll && index === count - 1 && isLast() ? '' : '\n';
        return [Buffer.from(`${stamp(line, zone)} `), line.text, Buffer.from(end)];
      }),
    );
  }

  const api = {
    get: async () => {
      const state = isLast() ? { terminated: {} } : { running: {} };
      const metadata = { name: POD.name, uid: 'u', resourceVersion: '1' };
      return { metadata, status: { containerStatuses: [{ name: 'stage', state }] } };
    },
    async *logs(_: unknown, { sinceTime }: LogOptions) {
      const { written, through, isEndClean, pieceBytes } = readings[reading] ?? WHOLE;
      const all = bytesOf(Math.round(written * lines.length), sinceTime);
      const come = all.subarray(0, Math.round(through * all.length));
      for (let at = 0; at < come.length; at += pieceBytes) yield come.subarray(at, at + pieceBytes);
      reading += 1;
      if (!isEndClean) throw new TransientError('cut');
    },
  } as unknown as KubernetesApi;
  return { api, readings: () => reading };
}

const WHOLE: Reading = { written: 1, through: 1, isEndClean: true, pieceBytes: 1 << 16 };

async function followed(api: KubernetesApi): Promise<string[]> {
  const { signal } = new AbortController();
  const lines: string[] = [];
  let open: LogPiece[] = [];
  for await (const piece of followLogs(api, { pod: POD, uid: 'u', container: 'stage', signal })) {
    open.push(piece);
    if (!piece.isEnd) continue;
    lines.push(Buffer.concat(open.map(({ bytes }) => bytes)).toString('latin1'));
    open = [];
  }
  expect(open).toEqual([]);
  return lines;
}

const bytes = fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all.map((byte) => (byte === 10 ? 11 : byte))));
const words = fc.constantFrom('', 'a', ' 2026-11-22T10:00:00Z x').map((one) => Buffer.from(one));
const text = fc.oneof(
  { weight: 20, arbitrary: words },
  { weight: 4, arbitrary: bytes },
  { weight: 1, arbitrary: fc.integer({ min: 65_000, max: 200_000 }).map((size) => Buffer.alloc(size, 'x')) },
);
const step = fc.record({
  step: fc.constantFrom(0, 0, 1, 400, 999, 5_000),
  back: fc.constantFrom(0, 0, 0, 1, 900),
  nanoseconds: fc.constantFrom(0, 0, 0, 1, 999_999),
  text,
});
/** Lines of two streams: each at most 900 ms before the one that was written before it. */
const log = fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }).map((steps) => {
  let time = 0;
  return steps.map(({ step: ms, back, ...line }): Line => {
    time += ms;
    return { ...line, at: Math.max(0, time - back) };
  });
});
const part = fc.double({ min: 0, max: 1, noNaN: true });
const reading = fc.record({
  written: part,
  through: fc.oneof(part, fc.constant(1)),
  isEndClean: fc.boolean(),
  pieceBytes: fc.constantFrom(1 << 16, 1_000, 7),
});
const readings = fc
  .array(reading, { maxLength: 8, size: 'max' })
  .map((all) => all.toSorted((a, b) => a.written - b.written));

test('any cutting of the stream', async () => {
  await fc.assert(
    fc.asyncProperty(log, readings, fc.constantFrom('Z', '+02:00'), async (lines, cuts, zone) => {
      const { api, readings: count } = node(lines, cuts, { zone });
      expect(await followed(api)).toEqual(lines.map((line) => line.text.toString('latin1')));
      expect(count()).toBe(cuts.length + 1);
    }),
    { numRuns: 400 },
  );
});

describe('a log that was rotated away while nobody read it', () => {
  test('goes on with what is left, and the line that was half read has an end', async () => {
    const line = (at: number, size: number, letter: string): Line => ({
      at,
      nanoseconds: 0,
      text: Buffer.alloc(size, letter),
    });
    const before = [line(0, 3, 'a'), line(0, 100_000, 'b')];
    const after = [line(0, 3, 'c'), line(10, 3, 'd')];
    const first = node(before, [{ ...WHOLE, through: 0.9, isEndClean: false }]);
    const second = node(after, []);
    const api = {
      get: () => (first.readings() === 0 ? first.api : second.api).get(POD),
      logs: (...asked: Parameters<KubernetesApi['logs']>) =>
        (first.readings() === 0 ? first.api : second.api).logs(...asked),
    } as unknown as KubernetesApi;
    const lines = await followed(api);
    expect(lines.map((one) => `${one.slice(0, 3)} ${one.length > 3}`)).toEqual([
      'aaa false',
      'bbb true',
      'ccc false',
      'ddd false',
    ]);
  });
});
