import type { GitFile, GitUnmerged } from './git.ts';
import { isRegularFile, sortByPath } from './paths.ts';

/** A file as the index has it. */
export interface StagedFile extends GitFile {
  /** As Git writes it: `100644`. */
  readonly mode: string;
  /** 0, or 1 to 3 for the sides of a conflict. */
  readonly stage: number;
}

/** What of the index is not resolved, the sides of each file together. */
export function unmergedFiles(entries: Iterable<StagedFile>, accept: (path: string) => boolean): GitUnmerged[] {
  const found = new Map<string, (string | undefined)[]>();
  for (const { path, blob, mode, stage } of entries) {
    if (stage === 0 || !isRegularFile(mode) || !accept(path)) continue;
    const stages = found.get(path) ?? [];
    stages[stage] = blob;
    found.set(path, stages);
  }
  const files = Array.from(found, ([path, [, base, ours, theirs]]) => ({ path, base, ours, theirs }));
  return sortByPath(files);
}
