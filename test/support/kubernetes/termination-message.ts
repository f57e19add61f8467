/** What a container says at its end: pkg/kubelet/kuberuntime of 1.34. */
import { readFileSync } from 'node:fs';
import type { ContainerLog } from './container-log.ts';

const MESSAGE_BYTES = 4096;
const LOG_LINES = 80;
const LOG_BYTES = 2048;

/** The file's content; the end of the log where the container failed and its policy says so. */
export function terminationMessage(
  file: string,
  { policy, exitCode, log }: { policy: string | undefined; exitCode: number; log: ContainerLog },
): { message?: string } {
  let text = Buffer.from(readFileSync(file)).subarray(0, MESSAGE_BYTES).toString();
  if (text === '' && exitCode !== 0 && policy === 'FallbackToLogsOnError') {
    text = log.lines
      .slice(-LOG_LINES)
      .map((line) => `${line.text}\n`)
      .join('')
      .slice(-LOG_BYTES);
  }
  return text === '' ? {} : { message: text };
}
