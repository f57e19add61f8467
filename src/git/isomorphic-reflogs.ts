import { promises as fs, type Dirent } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode } from '../domain/errors.ts';
import type { CommitId } from './git.ts';

export interface ReflogSource {
  /** What `refs/stash` leads to. */
  readonly stash: string | undefined;
  /** The commit that an object is or leads to; undefined where it is not there, or leads to none. */
  commitAt(id: string): Promise<CommitId | undefined>;
  /** Throws `git-object-missing`. */
  parentsOf(commit: CommitId): Promise<readonly CommitId[]>;
}

/** `GitRepository.reflogCommits` for the repository with this common folder, from its files. */
export async function reflogCommits(commonDir: string, source: ReflogSource): Promise<CommitId[]> {
  const shared = join(commonDir, 'logs');
  const linked = (await entriesOf(join(commonDir, 'worktrees'))).map(({ name }) =>
    join(commonDir, 'worktrees', name, 'logs'),
  );
  const ids = new Set<string>();
  for (const folder of [shared, ...linked]) {
    for await (const file of filesBelow(folder)) for (const id of await idsIn(file)) ids.add(id);
  }
  // The log can have been expired without the ref, and a ref that leads nowhere is damage.
  const stashes = source.stash === undefined ? [] : [source.stash as CommitId];
  for (const id of await idsIn(join(shared, 'refs', 'stash'))) {
    const commit = await source.commitAt(id);
    if (commit !== undefined) stashes.push(commit);
  }
  for (const stash of stashes) for (const parent of await source.parentsOf(stash)) ids.add(parent);
  const commits = new Set<CommitId>();
  for (const id of ids) {
    const commit = await source.commitAt(id);
    if (commit !== undefined) commits.add(commit);
  }
  return [...commits];
}

async function* filesBelow(folder: string): AsyncGenerator<string> {
  for (const entry of await entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await fs.readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** Both ids of each line (`OLD NEW WHO TIME ZONE\tMESSAGE`), without those that stand for nothing. */
async function idsIn(reflog: string): Promise<Set<string>> {
  let text: string;
  try {
    text = await fs.readFile(reflog, 'latin1');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return new Set();
    throw error;
  }
  const ids = new Set<string>();
  for (const [, before = '', after = ''] of text.matchAll(/^([0-9a-f]{40}) ([0-9a-f]{40}) /gm)) {
    ids.add(before).add(after);
  }
  ids.delete('0'.repeat(40));
  return ids;
}
