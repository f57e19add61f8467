/** Counts of kinds for each name, as a table in Markdown. */
export interface Histogram {
  add(name: string, kind: string): void;
  toString(): string;
}

/** `titles` are those of names, of their sums, and of the kinds. */
export function openHistogram(...titles: readonly [string, string, string]): Histogram {
  const counts = new Map<string, Map<string, number>>();
  const sum = (values: Iterable<number>): number => [...values].reduce((all, each) => all + each, 0);
  const total = (): number => sum([...counts.values()].map((byKind) => sum(byKind.values())));
  return {
    add(name, kind) {
      const byKind = counts.get(name) ?? new Map<string, number>();
      byKind.set(kind, (byKind.get(kind) ?? 0) + 1);
      counts.set(name, byKind);
    },
    toString() {
      const rows = Array.from(counts, ([name, byKind]) => {
        const list = [...byKind].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`);
        return `| ${name} | ${sum(byKind.values())} | ${list.join(', ')} |`;
      });
      return [`| ${titles.join(' | ')} |`, '| --- | --- | --- |', ...rows, `| all | ${total()} | |`].join('\n');
    },
  };
}
