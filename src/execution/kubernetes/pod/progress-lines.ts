import { formatBytes, formatCount } from '../../../domain/amount-text.ts';
import type { Progress } from '../../../workspace/progress.ts';

const EVERY_MS = 5_000;

/** Says a line of what is under way every few seconds, as long as there is something new to say. */
export function progressLines(tell: (line: string) => void): {
  readonly onProgress: (progress: Progress) => void;
  readonly end: () => void;
} {
  let latest: string | undefined;
  const timer = setInterval(() => {
    if (latest !== undefined) tell(latest);
    latest = undefined;
  }, EVERY_MS);
  return {
    onProgress(progress) {
      latest = lineOf(progress);
    },
    end: () => clearInterval(timer),
  };
}

const DONE: Readonly<Record<string, string>> = {
  fetching: 'fetched',
  'checking out': 'laid out',
  adding: 'hashed',
  uploading: 'sent',
};

function lineOf({ phase, files, bytes, totalFiles, totalBytes }: Progress): string {
  const of = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`;
  const ofFiles = totalFiles === undefined ? '' : ` of ${formatCount(totalFiles)}`;
  return `${DONE[phase] ?? phase} ${formatBytes(bytes)}${of}, ${formatCount(files)}${ofFiles} files`;
}
