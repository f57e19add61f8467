import { MlvError } from '../domain/errors.ts';

const UNITS: Readonly<Record<string, number>> = { h: 1, d: 24, w: 7 * 24 };
const HOUR_MS = 60 * 60 * 1000;

/** `90d`, given with an option, in milliseconds. Throws `usage`. */
export function durationOf(text: string, option: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([hdw])$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * (UNITS[unit] ?? 0) * HOUR_MS;
  throw new MlvError({
    code: 'usage',
    kind: 'usage',
    message: `${option} ${JSON.stringify(text)} is not a time`,
    hint: `A number of days, weeks or hours: ${option} 90d`,
  });
}
