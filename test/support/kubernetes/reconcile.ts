/** A controller's loop: looks at everything again, soon after anything it watches has changed. */
import type { ResourceName } from './resources.ts';
import type { Store } from './store.ts';

export interface Reconciler {
  /** Looks again in so many milliseconds. */
  wakeIn(ms: number): void;
  close(): void;
}

export function openReconciler(store: Store, watched: readonly ResourceName[], sync: () => void): Reconciler {
  const timers = new Set<NodeJS.Timeout>();
  let next: NodeJS.Immediate | undefined;
  const wake = (): void => {
    next ??= setImmediate(() => {
      next = undefined;
      sync();
    });
  };
  const stop = store.onChange(({ resource }) => {
    if (watched.includes(resource)) wake();
  });
  wake();
  return {
    wakeIn(ms) {
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          wake();
        },
        Math.min(Math.max(ms, 1), 2 ** 31 - 1),
      );
      timers.add(timer);
    },
    close() {
      stop();
      clearImmediate(next);
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
