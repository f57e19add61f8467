import type { ResolveResult } from '../workspace/resolve-merge.ts';
import { columns, countOf, shorten, type Style, visible } from './format.ts';

const MAX_CONFLICTS = 20;

/** What `checkout --ours` and `--theirs` say: what is resolved, and what is left. */
export function mergeLines(result: ResolveResult, style: Style, limit: number = MAX_CONFLICTS): string[] {
  const lines = result.resolved.map(
    ({ path, isRemoved }) =>
      `${visible(path)}  ${style.good(isRemoved ? 'resolved: tracked no more, staged in Git; the data stays' : 'resolved, staged in Git. Next: git commit')}`,
  );
  for (const { path, conflicts } of result.remaining) {
    lines.push(`${visible(path)}  ${style.bad(`merge conflict in ${countOf(conflicts.length, 'place')} left`)}`);
    const rows = columns(
      conflicts.map((each) => [visible(each.path), visible(each.reason)]),
      '    ',
    );
    for (const line of shorten(rows, limit, style, '    ')) lines.push(line);
  }
  return lines;
}
