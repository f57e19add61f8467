/** Numbers by chance that a seed repeats. */
export interface Random {
  /** A whole number from 0 to below `below`. */
  next(below: number): number;
  pick<T>(items: readonly T[]): T;
}

/** Some of them by chance, in their order: what the short form of a harness takes, another part each time. */
export function some<T>(items: readonly T[], count: number, seed: number): T[] {
  const random = seededRandom(seed);
  const ranks = new Map(items.map((item) => [item, random.next(1 << 30)]));
  const chosen = new Set(items.toSorted((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0)).slice(0, count));
  return items.filter((item) => chosen.has(item));
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
