/** Numbers by chance that a seed repeats. */
export interface Random {
  /** A whole number from 0 to below `below`. */
  next(below: number): number;
  pick<T>(items: readonly T[]): T;
}

/** Mulberry32: neighbouring seeds have nothing in common. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const random: Random = {
    next(below) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
    },
    pick(items) {
      const item = items[random.next(items.length)];
      if (item === undefined) throw new Error('nothing to choose from');
      return item;
    },
  };
  return random;
}
