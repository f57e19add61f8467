/**
 * The fields of an object that an API server took and did not keep, as paths (`spec.podFailurePolicy`); those of lists by position. What it
 * adds, and what it writes in another form (`1Gi` for `1073741824`), is no matter: only what is gone is told.
 */
export function droppedFields(sent: unknown, kept: unknown, at = ''): string[] {
  if (Array.isArray(sent)) {
    const items: readonly unknown[] = Array.isArray(kept) ? kept : [];
    return sent.flatMap((each: unknown, index) => droppedFields(each, items[index], `${at}[${index}]`));
  }
  if (typeof sent !== 'object' || sent === null) return kept === undefined && sent !== null ? [at] : [];
  if (Object.keys(sent).length === 0) return [];
  if (typeof kept !== 'object' || kept === null) return [at];
  return Object.entries(sent).flatMap(([key, value]) =>
    // Empty lists and false are what a field is without being said.
    value === undefined || value === false || (Array.isArray(value) && value.length === 0)
      ? []
      : droppedFields(value, (kept as Record<string, unknown>)[key], at === '' ? key : `${at}.${key}`),
  );
}
