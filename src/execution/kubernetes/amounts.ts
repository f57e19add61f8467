/** Amounts of resources, as Kubernetes writes them, and what a pod asks for. */
import type { Container, PodSpec } from './objects.ts';

const FACTORS: Readonly<Record<string, number>> = {
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

/** Cores, bytes or a count; undefined for what is no quantity. */
export function amountOf(quantity: unknown): number | undefined {
  if (typeof quantity !== 'string' && typeof quantity !== 'number') return undefined;
  const [, number, suffix = ''] =
    /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([A-Za-z]*)$/.exec(String(quantity)) ?? [];
  const factor = Object.hasOwn(FACTORS, suffix) ? FACTORS[suffix] : undefined;
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

/** For people: `8`, `31.2Gi`, rounded down. */
export function amountText(resource: string, amount: number): string {
  if (!/memory|storage/.test(resource)) return String(Math.floor(amount * 1000) / 1000);
  const [size, unit] = amount >= 2 ** 30 ? [2 ** 30, 'Gi'] : [2 ** 20, 'Mi'];
  return `${Math.floor((amount / size) * 10) / 10}${unit}`;
}

/** What one pod takes of each resource: its containers together, or one init container where that is more. */
export function podAmounts(
  { initContainers, containers }: Pick<PodSpec, 'initContainers' | 'containers'>,
  part: 'requests' | 'limits' = 'requests',
): ReadonlyMap<string, number> {
  const total = new Map<string, number>();
  for (const container of containers)
    for (const [name, amount] of amountsOf(container, part)) total.set(name, (total.get(name) ?? 0) + amount);
  for (const container of initContainers)
    for (const [name, amount] of amountsOf(container, part)) total.set(name, Math.max(total.get(name) ?? 0, amount));
  return total;
}

function amountsOf({ resources }: Container, part: 'requests' | 'limits'): [string, number][] {
  // A limit without a request is one: GPUs are asked for so.
  const given = part === 'limits' ? resources?.limits : { ...resources?.limits, ...resources?.requests };
  return Object.entries(given ?? {}).map(([name, quantity]) => [name, amountOf(quantity) ?? 0]);
}
