import type { Workspace } from './open.ts';

const queues = new WeakMap<Workspace, Map<string, Promise<unknown>>>();

/**
 * Runs `work` when what was begun before under this name (mostly a path) in this workspace has ended: stages that run beside each other
 * may read the same folder, whose stat cache one process writes once at a time.
 */
export async function oneAtATime<T>(workspace: Workspace, path: string, work: () => Promise<T>): Promise<T> {
  const queue = queues.get(workspace) ?? new Map<string, Promise<unknown>>();
  queues.set(workspace, queue);
  const before = queue.get(path) ?? Promise.resolve();
  const done = before.then(work, work);
  queue.set(path, done);
  try {
    return await done;
  } finally {
    if (queue.get(path) === done) queue.delete(path);
  }
}
