/** Counts by command and phase, as a table in Markdown. */
export interface Histogram {
  add(command: string, phase: string): void;
  total(): number;
  toString(): string;
}

export function openHistogram(): Histogram {
  const counts = new Map<string, Map<string, number>>();
  const sum = (values: Iterable<number>): number => [...values].reduce((all, each) => all + each, 0);
  const total = (): number => sum([...counts.values()].map((byPhase) => sum(byPhase.values())));
  return {
    add(command, phase) {
      const byPhase = counts.get(command) ?? new Map<string, number>();
      byPhase.set(phase, (byPhase.get(phase) ?? 0) + 1);
      counts.set(command, byPhase);
    },
    total,
    toString() {
      const rows = Array.from(counts, ([command, byPhase]) => {
        const list = [...byPhase].sort(([a], [b]) => (a < b ? -1 : 1)).map(([phase, count]) => `${phase} ${count}`);
        return `| ${command} | ${sum(byPhase.values())} | ${list.join(', ')} |`;
      });
      return [
        '| command | kills | by what was being done |',
        '| --- | --- | --- |',
        ...rows,
        `| all | ${total()} | |`,
      ].join('\n');
    },
  };
}
