/** Amounts of resources, as Kubernetes writes them. */

const SUFFIXES: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The number that a quantity stands for; NaN where it is none. */
export function amountOf(quantity: string | number): number {
  const [, number, suffix = ''] =
    /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([A-Za-z]*)$/.exec(String(quantity)) ?? [];
  const factor = SUFFIXES[suffix];
  if (number === undefined || factor === undefined) return Number.NaN;
  const amount = Number(number) * factor;
  // Free of what binary fractions add, so that sums compare; above this, doubles have no room for it.
  return Math.abs(amount) < 1e9 ? Math.round(amount * 1e6) / 1e6 : amount;
}

/** A number as a quantity: whole, or in thousandths. */
export function quantityOf(amount: number): string {
  if (!Number.isInteger(amount)) return `${Math.round(amount * 1000)}m`;
  if (amount >= 2 ** 20 && amount % 2 ** 30 === 0) return `${amount / 2 ** 30}Gi`;
  if (amount >= 2 ** 20 && amount % 2 ** 20 === 0) return `${amount / 2 ** 20}Mi`;
  return String(amount);
}

export type Amounts = Record<string, number>;

export function addAmounts(total: Amounts, more: Readonly<Amounts>): Amounts {
  for (const [name, amount] of Object.entries(more)) total[name] = (total[name] ?? 0) + amount;
  return total;
}

/** The greater of each. */
export function maxAmounts(total: Amounts, other: Readonly<Amounts>): Amounts {
  for (const [name, amount] of Object.entries(other)) total[name] = Math.max(total[name] ?? 0, amount);
  return total;
}

export function amountsOf(quantities: Readonly<Record<string, string>> = {}): Amounts {
  return Object.fromEntries(Object.entries(quantities).map(([name, quantity]) => [name, amountOf(quantity)]));
}
