/** Stays with a job until it has ended, has waited in vain, or nobody wants to stay with it any longer. */
import { MlvError } from '../../domain/errors.ts';
import type { KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import type { Stage } from '../../domain/pipeline.ts';
import type { KubernetesApi } from './api.ts';
import type { JobEnd } from './follow-job.ts';
import { followJob } from './follow-job.ts';
import { jobFailed, jobWaited } from './job-errors.ts';
import type { JobFailure, JobState, Step, Wait } from './job-state.ts';
import { POD_TO_COME, WAITS } from './job-state.ts';
import { followPod } from './pod-logs.ts';
import { jobs } from './resources.ts';
import type { SeenJob, SeenPod } from './seen-objects.ts';

export interface WatchOverOptions {
  readonly stage: Stage;
  readonly profile: KubernetesProfile;
  readonly job: SeenJob;
  /** False for a job that somebody else sent: it is never deleted. */
  readonly isOwn: boolean;
  /** Aborted when nobody is to stay; what the profile says of that is done. */
  readonly signal: AbortSignal;
  /** Told why nothing runs, once for each change, and what else there is to say. */
  readonly onNote: (text: string) => void;
  /** Told when a try begins to run the command, from 1. */
  readonly onAttempt: (attempt: number) => void;
  readonly onOutput: (step: Step, bytes: Buffer, isLineEnd: boolean) => void;
  /** The last lines that the command printed. */
  readonly lastLines: () => readonly string[];
}

/** `detached`: the job goes on without anybody; `deleted`: it was asked to end; `gone`: somebody deleted it, perhaps when it had ended. */
export type WatchEnd = 'complete' | 'detached' | 'deleted' | 'gone';

/** What was printed last comes after the end of its container is told. */
const LOG_GRACE_MS = 10_000;

/** Throws how the job failed, or that it waited in vain and was deleted. */
export async function watchOverJob(api: KubernetesApi, options: WatchOverOptions): Promise<WatchEnd> {
  const { stage, profile, job, onNote } = options;
  const told = { stage, profile, job: job.metadata.name };
  const over = new AbortController();
  const logs: Promise<void>[] = [];
  const attempts = new Set<string>();
  let givenUp: MlvError | undefined;
  const waiting = watchWaits(stage, profile, (error) => {
    givenUp = error;
    over.abort(error);
  });
  // A pod goes to and fro between pulling an image and waiting to pull it again.
  const notes = new Set<string>();
  const tell = (text: string): void => {
    if (!notes.has(text)) onNote(text);
    notes.add(text);
  };
  const onState = (state: JobState): void => {
    waiting.see(state);
    if (state.type === 'waiting' && state.message !== POD_TO_COME) tell(`${WAITS[state.wait]}: ${state.message}`);
    if (state.type !== 'active' || state.step !== 'stage' || attempts.has(state.pod.metadata.uid)) return;
    attempts.add(state.pod.metadata.uid);
    options.onAttempt(attempts.size);
  };
  const logsOver = new AbortController();
  const onPod = (pod: SeenPod): void => {
    if (logs.length > 0) notes.clear();
    const log = followPod(api, pod, { ...options, signal: logsOver.signal });
    logs.push(
      log.catch((error: unknown) => {
        // It goes on without: what it prints is not what it makes.
        if (!logsOver.signal.aborted && error instanceof MlvError)
          onNote(`its output cannot be read: ${error.message}`);
        else if (!logsOver.signal.aborted) over.abort(error);
      }),
    );
  };
  const onPodFailed = ({ message }: JobFailure): void => onNote(`a try failed: ${message.trim()}`);
  const onTrouble = ({ message }: MlvError): void => onNote(message);
  const stop = (): void => over.abort(new Leaving());
  if (options.signal.aborted) stop();
  else options.signal.addEventListener('abort', stop, { once: true, signal: logsOver.signal });
  try {
    const end: JobEnd = await followJob(api, { job, signal: over.signal, onState, onPod, onPodFailed, onTrouble });
    await Promise.race([Promise.allSettled(logs), after(LOG_GRACE_MS, logsOver.signal)]);
    if (end.type === 'gone') return 'gone';
    if (end.type === 'failed') throw jobFailed(told, end.failure, options.lastLines());
    return 'complete';
  } catch (error) {
    if (error instanceof Leaving) {
      const deletes = options.isOwn && profile.interrupt === 'delete';
      if (deletes) await deleteJob(api, job);
      return deletes ? 'deleted' : 'detached';
    }
    // It will not mend by waiting any longer, and holds what others may wait for. Somebody else's is his to end.
    if (error === givenUp && options.isOwn) await deleteJob(api, job);
    throw error;
  } finally {
    waiting.end();
    logsOver.abort();
    await Promise.allSettled(logs);
  }
}

/** What it owns goes with it, in the background. */
async function deleteJob(api: KubernetesApi, { metadata }: SeenJob): Promise<void> {
  await api.delete({ ...jobs(api.namespace), name: metadata.name }, { uid: metadata.uid });
}

class Leaving extends Error {}

/** Gives up when a job has waited too long for one thing, or, where the stage says so, at all. */
function watchWaits(stage: Stage, profile: KubernetesProfile, giveUp: (error: MlvError) => void) {
  // What a job names may be being made when the job is.
  const { imageGrace } = profile;
  const graces: Partial<Record<Wait, number>> = { image: imageGrace, config: imageGrace, 'no-pod': imageGrace };
  const told = { stage, profile, job: '' };
  let last: { readonly wait: Wait; readonly message: string } | undefined;
  let grace: NodeJS.Timeout | undefined;
  const { pendingTimeout } = stage.cluster ?? {};
  const fail = (): void => giveUp(jobWaited(told, last?.wait ?? 'starting', last?.message ?? 'nothing was told of it'));
  const startPending = (): NodeJS.Timeout | undefined =>
    pendingTimeout === undefined ? undefined : setTimeout(fail, timerMs(pendingTimeout));
  // From when it is seen to wait: then there is something to tell, too.
  let pending: NodeJS.Timeout | undefined;
  return {
    see(state: JobState): void {
      const wait = state.type === 'waiting' ? state.wait : undefined;
      if (wait !== last?.wait) {
        clearTimeout(grace);
        // A quota is free again when others have ended.
        const isFull = state.type === 'waiting' && wait === 'no-pod' && /exceeded quota/i.test(state.message);
        const most = wait === undefined || isFull ? undefined : graces[wait];
        grace = most === undefined ? undefined : setTimeout(fail, timerMs(most));
      }
      last = state.type === 'waiting' ? state : undefined;
      if (state.type === 'waiting') pending ??= startPending();
      else {
        clearTimeout(pending);
        pending = undefined;
      }
    },
    end(): void {
      clearTimeout(grace);
      clearTimeout(pending);
    },
  };
}

/** Timers take no more: three weeks and a half, which is as good as for ever. */
function timerMs(seconds: number): number {
  return Math.min(seconds * 1000, 2 ** 31 - 1);
}

async function after(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
