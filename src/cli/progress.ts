import type { Progress } from '../workspace/progress.ts';
import { countOf, formatBytes, formatCount, formatDuration } from './format.ts';
import type { OutputStream } from './output.ts';

/** Shows how far a command is; the only thing about progress that commands know. */
export interface ProgressScreen {
  /** Takes the latest state. Called as often as the work likes: all but a few calls only compare two numbers. */
  readonly update: (progress: Progress) => void;
  /** Clears what is shown while something else is written to the same stream. */
  readonly interject: (write: () => void) => void;
  /** Clears what is shown, for good. */
  readonly stop: () => void;
}

export interface ProgressOptions {
  readonly stream: OutputStream;
  /** Asked when there is something to show. `line` is rewritten in place on a terminal, `log` adds lines. */
  readonly kind: () => 'line' | 'log' | 'off';
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/** What takes less needs no progress, in milliseconds. */
const PATIENCE = 500;
/** In seconds; what a shorter time would make of a rate is no rate. */
const MEASURABLE = 0.1;
const INTERVALS = { line: 100, log: 5_000 };

export function createProgress(options: ProgressOptions): ProgressScreen {
  const { stream, now } = options;
  let kind: ReturnType<ProgressOptions['kind']> | undefined;
  const start = now();
  let next = start + PATIENCE;
  let latest: Progress | undefined;
  let phaseStart = start;
  let isShown = false;

  function draw(): void {
    if (latest === undefined) return;
    const time = now();
    if (time < next) return;
    kind ??= options.kind();
    if (kind === 'off') return stop();
    next = time + INTERVALS[kind];
    const text = progressLine(latest, (time - phaseStart) / 1000);
    isShown = true;
    stream.write(kind === 'line' ? `\r\u001b[2K${text.slice(0, (stream.columns ?? 80) - 1)}` : `${text}\n`);
  }

  // Redraws when the work is waiting for something, and never keeps the process alive.
  const timer = setInterval(draw, INTERVALS.line);
  timer.unref();

  function clear(): void {
    if (isShown && kind === 'line') stream.write('\r\u001b[2K');
  }

  function stop(): void {
    clearInterval(timer);
    next = Infinity;
    clear();
  }

  return {
    update(progress) {
      if (progress.phase !== latest?.phase) phaseStart = latest === undefined ? start : now();
      latest = progress;
      draw();
    },
    interject(write) {
      clear();
      write();
    },
    stop,
  };
}

/** `hashing: 12,340 of 100,000 files, 1.2 of 4.0 GB, 310 MB/s, 8 s left`; `seconds` since this phase began. */
export function progressLine(progress: Progress, seconds: number): string {
  const { phase, files, bytes, totalFiles, totalBytes } = progress;
  const parts: string[] = [];
  if (files > 0 || totalFiles !== undefined) {
    parts.push(
      totalFiles === undefined ? countOf(files, 'file') : `${formatCount(files)} of ${formatCount(totalFiles)} files`,
    );
  }
  if (bytes > 0 || totalBytes !== undefined) {
    parts.push(totalBytes === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`);
  }
  const isMeasurable = seconds >= MEASURABLE;
  if (isMeasurable && bytes > 0) parts.push(`${formatBytes(bytes / seconds)}/s`);
  else if (isMeasurable && files > 0) parts.push(`${countOf(Math.round(files / seconds), 'file')}/s`);
  const share = doneShare(progress);
  if (share !== undefined && share > 0.01 && share < 1)
    parts.push(`${formatDuration((seconds * (1 - share)) / share)} left`);
  return parts.length === 0 ? phase : `${phase}: ${parts.join(', ')}`;
}

/** Between 0 and 1; bytes where they are known, since files differ in size. */
function doneShare(progress: Progress): number | undefined {
  const { files, bytes, totalFiles, totalBytes } = progress;
  if (totalBytes !== undefined && totalBytes > 0) return bytes / totalBytes;
  return totalFiles !== undefined && totalFiles > 0 ? files / totalFiles : undefined;
}
