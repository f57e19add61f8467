/** A clock for a folder remote that a test sets forward: months go by for whoever collects there, and for the tombstones. */
import { renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PRELOAD = fileURLToPath(new URL('store-clock-preload.mjs', import.meta.url));
const DAY_MS = 24 * 60 * 60 * 1000;

export interface StoreClock {
  /** For all who use the remote. */
  readonly env: Readonly<Record<string, string>>;
  /** Days that have gone by, beside those that did. */
  days(): number;
  advance(days: number): void;
}

/** `file` is where the clock is kept, `remote` the folder that goes by it. */
export function makeStoreClock(file: string, remote: string): StoreClock {
  let total = 0;
  const clock: StoreClock = {
    env: { MLV_STORE: remote, MLV_STORE_CLOCK: file, NODE_OPTIONS: `--import=${PRELOAD}` },
    days: () => total,
    advance(days) {
      total += days;
      writeFileSync(`${file}-new`, String(total * DAY_MS));
      renameSync(`${file}-new`, file);
    },
  };
  clock.advance(0);
  return clock;
}
