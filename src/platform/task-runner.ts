/** Runs tasks somewhere: in worker threads, or right here where starting threads would cost more than the work. */
export interface TaskRunner<Task, Result> {
  run(task: Task): Promise<Result>;
  /** Runs one task on every thread (at least one), after what they have in hand. */
  runOnEach(task: Task): Promise<Result[]>;
  /** How many tasks to hand over at once so that no thread waits. */
  readonly capacity: number;
  close(): Promise<void>;
}

/** Runs each task at once, in this thread. */
export function createInlineRunner<Task, Result>(
  handle: (task: Task) => Result | Promise<Result>,
): TaskRunner<Task, Result> {
  const run = (task: Task): Promise<Result> =>
    new Promise((resolve) => {
      resolve(handle(task));
    });
  return { run, runOnEach: async (task) => [await run(task)], capacity: 1, close: () => Promise.resolve() };
}
