/** Numbers and sizes as people read them. */

const SIZE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `990,000`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `512 B`, `1.4 MB`, `310 GB`: powers of 1000, at most three digits. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // 999.5 would be rounded to a fourth digit.
  while (value >= 999.5 && unit < SIZE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 9.95 ? value.toFixed(1) : String(Math.round(value));
  return `${digits} ${SIZE_UNITS[unit] ?? ''}`;
}
