/** Which blocks of the code under test an input reached, told by V8 itself. */
import type { Profiler } from 'node:inspector';
import { Session } from 'node:inspector';

/** Characters of a function that ran, counted from where it begins. */
export interface Block {
  /** The function, by where it stands. */
  readonly key: string;
  readonly from: number;
  readonly to: number;
}

/** Of each function, one byte for each of its characters: 1 where it ran. */
type Reached = Map<string, Uint8Array>;

export interface Coverage {
  /** What ran since the last call. */
  take(): Block[];
}

/** Counts from now on in one script; of that, what was compiled before is not seen. */
export function startCoverage(script: URL): Coverage {
  const session = new Session();
  session.connect();
  post('Profiler.enable');
  post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

  /** Answers come before the call returns. */
  function post(method: string, params: object = {}): unknown {
    let answer: unknown;
    session.post(method, params, (error: Error | null, result: unknown) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }

  return {
    take() {
      const { result } = post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
      return (result.find(({ url }) => url === script.href)?.functions ?? []).flatMap(({ ranges }) => blocksOf(ranges));
    },
  };
}

/** What of these blocks was never reached before; from now on it was. */
export function markNews(reached: Reached, blocks: readonly Block[]): Block[] {
  const news = blocks.filter(({ key, from, to }) => reached.get(key)?.subarray(from, to).includes(0) ?? true);
  for (const { key, from, to } of news) {
    const known = reached.get(key) ?? new Uint8Array(Number(key.split('-')[1]));
    reached.set(key, known.fill(1, from, to));
  }
  return news;
}

/** Those that overlap one of `blocks`. */
export function reachedAmong(wanted: readonly Block[], blocks: readonly Block[]): Block[] {
  return wanted.filter(({ key, from, to }) =>
    blocks.some((block) => block.key === key && block.from < to && block.to > from),
  );
}

/** V8 gives a function's range, then those within it whose count is another. */
function blocksOf(ranges: readonly Profiler.CoverageRange[]): Block[] {
  const [whole] = ranges;
  if (whole === undefined || whole.count === 0) return [];
  const start = whole.startOffset;
  const key = `${start}-${whole.endOffset - start}`;
  const blocks: Block[] = [];
  const open: Profiler.CoverageRange[] = [];
  let at = start;
  const upTo = (offset: number): void => {
    if (offset > at && (open.at(-1)?.count ?? 0) > 0) blocks.push({ key, from: at - start, to: offset - start });
    at = Math.max(at, offset);
  };
  const close = (offset: number): void => {
    for (let last = open.at(-1); last !== undefined && last.endOffset <= offset; last = open.at(-1)) {
      upTo(last.endOffset);
      open.pop();
    }
  };
  for (const range of ranges) {
    close(range.startOffset);
    upTo(range.startOffset);
    open.push(range);
  }
  close(Infinity);
  return blocks;
}
