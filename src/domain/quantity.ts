/** Amounts as people write them in pipelines: `8Gi`, `90s`. */

/** A number of bytes with a unit: `500M`, `8Gi`, `1.5 GB`. */
export const SIZE_PATTERN = '^\\d+(\\.\\d+)? ?([kKMGTP]i?)?B?$';
/** `2h`, `90s`, `1h30m`, `1d`. */
export const DURATION_PATTERN = '^(?=\\d)(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s?)?$';
/** Cores, or thousandths of one: `0.5`, `500m`. */
export const CPU_PATTERN = '^\\d+(\\.\\d+)?m?$';

const PREFIXES = 'kmgtp';
const SECONDS: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1, '': 1 };

/** Bytes. Of text that matches `SIZE_PATTERN`. */
export function parseSize(text: string): number {
  const prefix = /[kmgtp]/i.exec(text)?.[0].toLowerCase();
  const power = prefix === undefined ? 0 : PREFIXES.indexOf(prefix) + 1;
  return Math.round(Number.parseFloat(text) * (text.includes('i') ? 1024 : 1000) ** power);
}

/** Seconds. Of text that matches `DURATION_PATTERN`. */
export function parseDuration(text: string): number {
  let seconds = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+)([dhms]?)/g)) seconds += Number(count) * (SECONDS[unit] ?? 0);
  return seconds;
}

/** Cores. Of text that matches `CPU_PATTERN`. */
export function parseCores(text: string): number {
  return text.endsWith('m') ? Number.parseFloat(text) / 1000 : Number(text);
}
