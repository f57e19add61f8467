/** A store in memory, whose clock stands still while nobody waits: days pass in a moment, and in a random order things happen. */
import { readFileSync } from 'node:fs';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import type { Home } from '../../src/storage/home.ts';
import { objectMissing, objectShort, sourceDamaged } from '../../src/storage/home.ts';
import type { Random } from './random.ts';

const HOUR_MS = 60 * 60 * 1000;
export const DAY_MS = 24 * HOUR_MS;

/** How long an actor takes between two steps. */
export type Pace = 'eager' | 'brisk' | 'slow' | 'sleepy';

export class Killed extends Error {}

interface Stored {
  readonly bytes: Buffer;
  readonly modified: number;
}

export interface SimulatedStore {
  readonly objects: ReadonlyMap<string, Stored>;
  now(): number;
  /** A home for one actor; after `steps` of them it is killed. */
  home(pace: Pace, steps?: number): Home & { lastListed(): number };
  /** Waits so long. */
  wait(ms: number): Promise<void>;
  /** Lets time pass until the work is done. */
  run(work: Promise<unknown>): Promise<void>;
}

const { hash } = hashEngine();
const PAGE = 3;

export function createStore(random: Random, onChange: () => void): SimulatedStore {
  const objects = new Map<string, Stored>();
  const waiting: { readonly until: number; readonly resolve: () => void }[] = [];
  let now = Date.UTC(2026, 0, 1);

  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      waiting.push({ until: now + ms, resolve });
    });

  function delay(pace: Pace): number {
    const dice = random.next(1000);
    if (pace === 'sleepy' && dice < 100) return random.next(16 * DAY_MS);
    if (pace === 'eager') return random.next(3_000);
    if (pace !== 'brisk' && dice < 60) return random.next(DAY_MS);
    if (pace !== 'brisk' && dice < 300) return random.next(HOUR_MS);
    if (dice < 5) return random.next(2 * HOUR_MS);
    return random.next(3_000);
  }

  return {
    objects,
    now: () => now,
    wait,
    home(pace, steps = Infinity) {
      let left = steps;
      let lastListed = 0;
      const turn = async (): Promise<void> => {
        await wait(delay(pace));
        if (--left < 0) throw new Killed();
      };
      const read = async (key: string): Promise<Buffer> => {
        await turn();
        const found = objects.get(key);
        if (found === undefined) throw objectMissing('store', key);
        return found.bytes;
      };
      const store = async (key: string, bytes: Buffer): Promise<void> => {
        await turn();
        if (objects.get(key)?.bytes.length !== bytes.length) {
          objects.set(key, { bytes, modified: now });
          onChange();
        }
        await turn();
      };
      return {
        name: 'store',
        lastListed: () => lastListed,
        async time() {
          await turn();
          return now - random.next(1_000);
        },
        async *list(prefix) {
          await turn();
          lastListed = now;
          for (let after = ''; ;) {
            const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
            const page = keys.slice(0, PAGE).map((key) => {
              const { bytes, modified } = objects.get(key) as Stored;
              return { key, size: bytes.length, modified };
            });
            yield* page;
            if (keys.length <= PAGE) return;
            after = page.at(-1)?.key ?? '';
            await turn();
          }
        },
        async size(key) {
          await turn();
          return objects.get(key)?.bytes.length;
        },
        async read(key, { offset, length, into }) {
          const bytes = (await read(key)).subarray(offset, offset + length);
          if (bytes.length < length) throw objectShort('store', key);
          return into === undefined ? Buffer.from(bytes) : (bytes.copy(into), into);
        },
        readAll: async (key) => Buffer.from(await read(key)),
        clone: async () => false,
        write: (key, chunks) => store(key, Buffer.concat(chunks)),
        writeFile(key, source) {
          const bytes = readFileSync(source.path).subarray(source.offset, source.offset + source.length);
          if (digestFromBytes(hash(bytes)) !== (source.digest as Digest)) throw sourceDamaged(source);
          return store(key, Buffer.from(bytes));
        },
        async delete(key) {
          await turn();
          objects.delete(key);
          onChange();
        },
      };
    },
    async run(work) {
      const state = { isDone: false };
      const done = work.finally(() => (state.isDone = true));
      done.catch(() => {}); // told at the end
      while (!state.isDone) {
        // Whoever can go on does; what waits for the disk is given a moment.
        for (let rounds = 0; rounds < 3; rounds++) await new Promise((resolve) => setImmediate(resolve));
        if (waiting.length === 0) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        let next = 0;
        for (const [index, { until }] of waiting.entries()) if (until < (waiting[next]?.until ?? 0)) next = index;
        const [event] = waiting.splice(next, 1);
        now = Math.max(now, event?.until ?? 0);
        event?.resolve();
      }
      await done;
    },
  };
}
