import { createByteBudget } from './parallel.ts';

export interface PooledBuffer {
  /** Exactly as many bytes as were asked for, with anything in them. */
  readonly bytes: Buffer;
  /** Gives the memory to the next one; nobody may look at it any more. */
  release(): void;
}

export interface BufferPool {
  /** Waits until the pool has room, in the order asked. Whoever asks for more than the limit gets it, and is alone then. */
  take(bytes: number, signal?: AbortSignal): Promise<PooledBuffer>;
}

const SMALLEST = 64 << 10;

/**
 * Memory for bytes under way, `limit` together. Buffers are used again: fresh ones cost a page fault for each 4 KiB, as much
 * as reading a file into them, and are freed long after they are done with.
 */
export function createBufferPool(limit: number): BufferPool {
  const budget = createByteBudget(limit);
  const free: Buffer[] = [];
  let allocated = 0;

  function allocate(size: number): Buffer {
    const at = free.findLastIndex((buffer) => buffer.length === size);
    const [reused] = at < 0 ? [] : free.splice(at, 1);
    if (reused !== undefined) return reused;
    for (let oldest = free[0]; oldest !== undefined && allocated + size > limit; oldest = free[0]) {
      free.shift();
      allocated -= oldest.length;
    }
    allocated += size;
    return Buffer.allocUnsafeSlow(size);
  }

  return {
    async take(bytes, signal) {
      const rounded = 2 ** Math.ceil(Math.log2(Math.max(SMALLEST, bytes)));
      const size = Math.max(bytes, Math.min(limit, rounded));
      const giveBack = await budget.take(size, signal);
      const buffer = allocate(size);
      let isHeld = true;
      return {
        bytes: buffer.subarray(0, bytes),
        release() {
          if (isHeld) free.push(buffer);
          isHeld = false;
          giveBack();
        },
      };
    },
  };
}
