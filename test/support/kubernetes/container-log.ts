/** What a container printed, line by line, as the runtime writes it and the kubelet reads it. */

export interface LogLine {
  /** RFC 3339 with nine digits of fraction; no two lines of a container have the same. */
  readonly time: string;
  readonly text: string;
  /** The output ended within it, before a newline. */
  readonly isPartial: boolean;
}

export interface ContainerLog {
  /** Those of the file in use: rotation hides what came before. */
  readonly lines: readonly LogLine[];
  readonly isClosed: boolean;
  /** Lines of the two streams do not mix. */
  append(from: 'stdout' | 'stderr', chunk: Buffer): void;
  /** What an unfinished line has becomes one. */
  close(): void;
  rotate(): void;
  /** Those who follow are told that it has ended, as some kubelets do at rotation. */
  endFollowers(): void;
  onLine(listener: (line: LogLine | undefined) => void): () => void;
}

const started = { wall: BigInt(Date.now()) * 1_000_000n, steady: process.hrtime.bigint() };
let last = 0n;

export function openContainerLog(): ContainerLog {
  const listeners = new Set<(line: LogLine | undefined) => void>();
  let lines: LogLine[] = [];
  const rests = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  let isClosed = false;

  function add(bytes: Buffer, isPartial = false): void {
    const line = { time: timestamp(), text: bytes.toString(), isPartial };
    lines.push(line);
    for (const listener of listeners) listener(line);
  }

  return {
    get lines() {
      return lines;
    },
    get isClosed() {
      return isClosed;
    },
    append(from, chunk) {
      let rest = Buffer.concat([rests[from], chunk]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        add(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
      }
      rests[from] = rest;
    },
    close() {
      if (isClosed) return;
      for (const rest of Object.values(rests)) if (rest.length > 0) add(rest, true);
      isClosed = true;
      for (const listener of listeners) listener(undefined);
    },
    rotate() {
      lines = [];
    },
    endFollowers() {
      for (const listener of listeners) listener(undefined);
    },
    onLine(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Now, later than any before. */
function timestamp(): string {
  const now = started.wall + process.hrtime.bigint() - started.steady;
  last = now > last ? now : last + 1n;
  const nanoseconds = String(last % 1_000_000_000n).padStart(9, '0');
  return `${new Date(Number(last / 1_000_000n)).toISOString().slice(0, 19)}.${nanoseconds}Z`;
}
