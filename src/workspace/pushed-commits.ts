import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CommitId } from '../git/git.ts';
import { makeFolderDurably, writeFileDurably } from '../platform/durable-write.ts';

const NAME = 'pushed-commits';
const KNOWN_COMMITS = 20;

/**
 * Commits whose data, with all that they lead to, a remote is known to have; so a push need not walk their history again. Holds
 * as long as no more of the remote's keys (`deadKeys`) have died: what is lost may be theirs. Discardable.
 */
export function readPushedCommits(folder: string, deadKeys: number): CommitId[] {
  const path = join(folder, NAME);
  const [head, ...lines] = existsSync(path) ? readFileSync(path, 'latin1').split('\n') : [];
  return head === heading(deadKeys) ? (lines.filter((line) => /^[0-9a-f]{40,64}$/.test(line)) as CommitId[]) : [];
}

export function notePushedCommit(folder: string, deadKeys: number, commit: CommitId): void {
  const known = readPushedCommits(folder, deadKeys);
  if (known.includes(commit)) return;
  const lines = [heading(deadKeys), ...[commit, ...known].slice(0, KNOWN_COMMITS), ''];
  makeFolderDurably(folder);
  writeFileDurably(join(folder, NAME), lines.join('\n'));
}

/** For a remote that is not the one that was pushed to. */
export function forgetPushedCommits(folder: string): void {
  rmSync(join(folder, NAME), { force: true });
}

function heading(deadKeys: number): string {
  return `dead ${deadKeys}`;
}
