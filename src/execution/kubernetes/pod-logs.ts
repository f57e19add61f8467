import type { KubernetesApi } from './api.ts';
import { followLogs } from './follow-logs.ts';
import type { Step } from './job-state.ts';
import { STEPS } from './job-state.ts';
import { pods } from './resources.ts';
import type { SeenPod } from './seen-objects.ts';

export interface FollowPodOptions {
  readonly signal: AbortSignal;
  /** Takes a line, or a piece of a long one, without its end; waited for. */
  readonly onOutput: (step: Step, bytes: Buffer, isLineEnd: boolean) => void | Promise<void>;
  readonly onNote: (text: string) => void;
}

/** All that the containers of a pod print, one container after the other, to its end. Throws as `followLogs` does. */
export async function followPod(api: KubernetesApi, pod: SeenPod, options: FollowPodOptions): Promise<void> {
  const { name, uid } = pod.metadata;
  for (const container of STEPS) {
    const log = followLogs(api, {
      pod: { ...pods(api.namespace), name },
      uid,
      container,
      signal: options.signal,
      onTrouble: ({ message }) => options.onNote(message),
    });
    for await (const { bytes, isEnd } of log) await options.onOutput(container, bytes, isEnd);
  }
}
