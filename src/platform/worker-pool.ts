import type { Transferable } from 'node:worker_threads';
import { parentPort, Worker } from 'node:worker_threads';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { TaskRunner } from './task-runner.ts';

interface Job<Task, Result> {
  readonly task: Task;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

type Reply<Result> = { readonly result: Result } | { readonly error: SerialisedError };

interface SerialisedError {
  readonly expected: boolean;
  readonly code: string;
  readonly kind: MlvError['kind'];
  readonly message: string;
  readonly hint: string | undefined;
  readonly items: readonly string[];
  readonly stack: string | undefined;
}

/**
 * Starts `size` threads of the module at `entry`, which calls `serveTasks`. Threads are handed one task at a time, so a slow
 * task delays nobody else.
 */
export function createThreadRunner<Task, Result>(entry: URL, size: number): TaskRunner<Task, Result> {
  const queue: Job<Task, Result>[] = [];
  const threads = Array.from({ length: size }, () => startThread());

  function startThread() {
    const worker = new Worker(entry);
    const own: Job<Task, Result>[] = [];
    let current: Job<Task, Result> | undefined;
    let failure: unknown;
    const advance = (): void => {
      if (current !== undefined) return;
      current = own.shift() ?? queue.shift();
      if (current === undefined) worker.unref();
      else if (failure !== undefined) settle((job) => job.reject(failure));
      else {
        worker.ref();
        worker.postMessage(current.task);
      }
    };
    const settle = (how: (job: Job<Task, Result>) => void): void => {
      const job = current;
      current = undefined;
      if (job !== undefined) how(job);
      advance();
    };
    worker.on('message', (reply: Reply<Result>) => {
      settle((job) => ('result' in reply ? job.resolve(reply.result) : job.reject(deserialise(reply.error))));
    });
    worker.on('error', (error) => {
      failure = hasErrorCode(error, 'ERR_WORKER_INIT_FAILED') ? notStarted(error) : error;
      settle((job) => job.reject(failure));
    });
    worker.unref();
    return {
      own,
      advance,
      close: async (): Promise<void> => {
        failure ??= new Error('the threads were closed');
        await worker.terminate();
        settle((job) => job.reject(failure));
      },
    };
  }

  return {
    capacity: size * 2,
    run: (task) =>
      new Promise((resolve, reject) => {
        queue.push({ task, resolve, reject });
        for (const thread of threads) thread.advance();
      }),
    runOnEach: (task) =>
      Promise.all(
        threads.map(
          (thread) =>
            new Promise<Result>((resolve, reject) => {
              thread.own.push({ task, resolve, reject });
              thread.advance();
            }),
        ),
      ),
    close: async () => {
      for (const job of queue.splice(0)) job.reject(new Error('the threads were closed'));
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

/** A thread needs files of its own, and memory. */
function notStarted(cause: Error): MlvError {
  return new MlvError({
    code: 'thread-not-started',
    kind: 'io',
    message: `a thread cannot be started (${cause.message})`,
    hint: 'Raise the limit of open files ("ulimit -n 4096"), or of memory and processes.',
    cause,
  });
}

/** The other end, called by a thread's entry module: answers each task that arrives, one at a time. */
export function serveTasks<Result>(
  handle: (task: never) => Result | Promise<Result>,
  transfers: (result: Result) => Transferable[],
): void {
  const answer = async (task: never): Promise<void> => {
    try {
      const result = await handle(task);
      parentPort?.postMessage({ result }, transfers(result));
    } catch (error) {
      parentPort?.postMessage({ error: serialise(error) });
    }
  };
  parentPort?.on('message', (task) => void answer(task as never));
}

function serialise(error: unknown): SerialisedError {
  if (error instanceof MlvError) {
    const { code, kind, message, hint, items, stack } = error;
    return { expected: true, code, kind, message, hint, items, stack };
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  // Of the system's errors, the code decides what people are told.
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return { expected: false, code, kind: 'io', message, hint: undefined, items: [], stack };
}

function deserialise(error: SerialisedError): Error {
  const { expected, code, kind, message, hint, items, stack } = error;
  if (expected) return new MlvError({ code, kind, message, items, ...(hint === undefined ? {} : { hint }) });
  const bug = code === '' ? new Error(message) : Object.assign(new Error(message), { code });
  if (stack !== undefined) bug.stack = stack;
  return bug;
}
