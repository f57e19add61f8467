import { availableParallelism } from 'node:os';
import type { TaskRunner } from '../platform/task-runner.ts';
import { createInlineRunner } from '../platform/task-runner.ts';
import type { LocalCache } from '../storage/local-cache.ts';
import type { CacheOptions, Task, TaskResult } from '../storage/tasks.ts';
import { createTaskHandler } from '../storage/tasks.ts';
import { workerEntry } from './worker-entry.ts';

/** More threads than this gain nothing: the disk is what they wait for. */
const MAX_THREADS = 8;

const FLUSH = { type: 'flush' } as const;
const ABANDON = { type: 'abandon' } as const;

type BareTask = Task extends infer T ? (T extends unknown ? Omit<T, 'cache'> : never) : never;
type ResultOf<T extends BareTask> = Extract<TaskResult, { type: T['type'] }>;

/** Runs storage tasks for one cache. */
export interface StorageTasks {
  run<T extends BareTask>(task: T): Promise<ResultOf<T>>;
  /** Starts threads, from now on; called once the work is known to be worth it. */
  useThreads(): Promise<void>;
  /** How many tasks to keep under way. */
  capacity(): number;
  /** Makes durable and visible in the cache what tasks have stored. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Runs tasks in this thread until `useThreads` is called. When the signal aborts, threads end at once, in the middle of what they
 * do: nothing of it has a name yet.
 */
export function createStorageTasks(cache: LocalCache, signal?: AbortSignal): StorageTasks {
  // What is right for this disk is found out only when something is to be stored.
  const optionsFor = (task: BareTask): CacheOptions => {
    const isStoring = 'store' in task && task.store;
    return {
      folder: cache.folder,
      packBelow: isStoring ? cache.packBelow() : undefined,
      refused: isStoring && cache.refused().size > 0 ? [...cache.refused().keys()] : undefined,
    };
  };
  let inline: TaskRunner<Task, TaskResult> | undefined;
  let threads: TaskRunner<Task, TaskResult> | undefined;
  let isStoring = false;
  const stop = (): void => void threads?.close();
  signal?.addEventListener('abort', stop, { once: true });
  const current = (): TaskRunner<Task, TaskResult> => threads ?? (inline ??= createInlineRunner(createTaskHandler()));

  return {
    async run<T extends BareTask>(task: T): Promise<ResultOf<T>> {
      isStoring ||= 'store' in task && task.store;
      try {
        // The handler answers a task with a result of its own type.
        return (await current().run({ ...task, cache: optionsFor(task) })) as ResultOf<T>;
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      }
    },
    async useThreads() {
      if (threads !== undefined) return;
      const { createThreadRunner } = await import('../platform/worker-pool.ts');
      threads ??= createThreadRunner(workerEntry(), Math.min(MAX_THREADS, availableParallelism()));
    },
    capacity: () => current().capacity,
    async flush() {
      isStoring = false;
      for (const runner of [inline, threads]) {
        if (runner === undefined) continue;
        const results = await runner.runOnEach({ ...FLUSH, cache: optionsFor(FLUSH) });
        cache.publish(results.flatMap((result) => (result.type === 'flush' ? result.rows : [])));
      }
    },
    async close() {
      signal?.removeEventListener('abort', stop);
      if (isStoring && signal?.aborted !== true) {
        for (const runner of [inline, threads]) {
          // A thread that has died of an error has told it.
          await runner?.runOnEach({ ...ABANDON, cache: optionsFor(ABANDON) }).catch(() => {});
        }
      }
      await threads?.close();
    },
  };
}
