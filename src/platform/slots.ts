/** Places for a number of holders that may change while they are held. */
export interface Slots {
  /** Waits for a place, in the order asked; call what it returns to give it back. Rejects with the signal's reason. */
  take(signal?: AbortSignal): Promise<() => void>;
  /** True when somebody waits. */
  isFull(): boolean;
}

/** As many places as `limit` says whenever one is asked for or given back. */
export function createSlots(limit: () => number): Slots {
  const waiting: (() => void)[] = [];
  let held = 0;

  function serve(): void {
    while (held < limit()) {
      const start = waiting.shift();
      if (start === undefined) return;
      held += 1;
      start();
    }
  }

  return {
    isFull: () => waiting.length > 0,
    take: (signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(signal.reason as Error);
        const cancel = (): void => {
          waiting.splice(waiting.indexOf(start), 1);
          reject(signal?.reason as Error);
        };
        const start = (): void => {
          signal?.removeEventListener('abort', cancel);
          let isHeld = true;
          resolve(() => {
            if (isHeld) held -= 1;
            isHeld = false;
            serve();
          });
        };
        signal?.addEventListener('abort', cancel, { once: true });
        waiting.push(start);
        serve();
      }),
  };
}
