/**
 * Which lines of a log were given out already, when it is read again from a while before its end. Servers go by whole seconds, so what
 * was given out since the last second but one is kept, as checksums. A log is only ever appended to: what was given out comes first.
 */
import { crc32 } from 'node:zlib';

export interface LogWindow {
  /** To be called when the log is read again. */
  restart(): void;
  /** From when to read; undefined for all of it. */
  since(): string | undefined;
  /** True for what was not given out yet; it counts as given out then. `time` is as the server wrote it. */
  isNew(time: string, piece: Uint8Array): boolean;
}

/** Seconds before the last one that are read again: two streams of one container may write in another order than their times. */
const OVERLAP_S = 1;
/** What a container writes in two seconds and is more than this may be given out twice after an interruption. */
const MOST = 1 << 20;

export function createLogWindow(): LogWindow {
  /** How often each was given out, by second. */
  const given = new Map<number, Map<number, number>>();
  let waiting = new Map<number, number>();
  let isRepeating = false;
  let newest: number | undefined;

  function note(second: number, key: number): void {
    if (newest === undefined || second > newest) {
      newest = second;
      for (const old of given.keys()) if (old < second - OVERLAP_S) given.delete(old);
    }
    if (second < newest - OVERLAP_S) return;
    const counts = given.get(second) ?? new Map<number, number>();
    given.set(second, counts);
    if (counts.size < MOST) counts.set(key, (counts.get(key) ?? 0) + 1);
  }

  return {
    restart() {
      waiting = new Map([...given.values()].flatMap((counts) => [...counts]));
      isRepeating = newest !== undefined;
    },
    since: () => (newest === undefined ? undefined : new Date((newest - OVERLAP_S) * 1000).toISOString()),
    isNew(time, piece) {
      const second = Math.floor(Date.parse(time) / 1000);
      const key = crc32(time) + (crc32(piece) & 0x1f_ffff) * 2 ** 32;
      if (isRepeating && newest !== undefined) {
        if (second < newest - OVERLAP_S) return false;
        const left = waiting.get(key) ?? 0;
        if (left > 0) {
          waiting.set(key, left - 1);
          return false;
        }
        isRepeating = false;
      }
      note(second, key);
      return true;
    },
  };
}
