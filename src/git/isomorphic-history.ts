import type { CommitId, GitFileVersion } from './git.ts';
import { FOLDER, type TreeEntry, type TreeSource } from './trees.ts';

/** What walking needs of a repository. */
export interface History extends TreeSource {
  /** Parents as this clone knows them (none where it is shallow), tree and time (seconds) of a commit. */
  commit(
    id: CommitId,
  ): Promise<{ readonly parents: readonly CommitId[]; readonly tree: string; readonly time: number }>;
}

/** Every entry below a tree that is not a folder. */
export async function* treeFiles(
  history: History,
  tree: string,
  prefix = '',
): AsyncGenerator<TreeEntry & { path: string }> {
  for (const entry of await history.tree(tree)) {
    const path = prefix + entry.name;
    if (entry.mode === FOLDER) yield* treeFiles(history, entry.id, `${path}/`);
    else yield { ...entry, path };
  }
}

/** The entries of `tree` that `base` has not, or has otherwise; folders that are the same in both are not read. */
async function* changedFiles(
  history: History,
  tree: string,
  base: string | undefined,
  prefix = '',
): AsyncGenerator<TreeEntry & { path: string }> {
  if (tree === base) return;
  const before = new Map((base === undefined ? [] : await history.tree(base)).map((entry) => [entry.name, entry]));
  for (const entry of await history.tree(tree)) {
    const old = before.get(entry.name);
    const path = prefix + entry.name;
    if (entry.mode === FOLDER) {
      yield* changedFiles(history, entry.id, old?.mode === FOLDER ? old.id : undefined, `${path}/`);
    } else if (old?.id !== entry.id || old.mode !== entry.mode) {
      yield { ...entry, path };
    }
  }
}

/** Every entry that a commit of the range has otherwise than one of its parents, newest commit first. May repeat. */
export async function* introducedFiles(
  history: History,
  tips: readonly CommitId[],
  exclude: readonly CommitId[],
): AsyncGenerator<GitFileVersion & { mode: string }> {
  const excluded = await reachable(history, exclude);
  const queue: { id: CommitId; parents: readonly CommitId[]; tree: string; time: number }[] = [];
  const queued = new Set<CommitId>();
  const enqueue = async (ids: readonly CommitId[]): Promise<void> => {
    for (const id of ids) {
      if (excluded.has(id) || queued.has(id)) continue;
      queued.add(id);
      const next = { id, ...(await history.commit(id)) };
      const place = queue.findIndex(({ time }) => time > next.time);
      queue.splice(place === -1 ? queue.length : place, 0, next);
    }
  };
  await enqueue(tips);
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const bases = next.parents.length === 0 ? [undefined] : next.parents;
    for (const parent of bases) {
      const base = parent === undefined ? undefined : (await history.commit(parent)).tree;
      for await (const { path, id, mode } of changedFiles(history, next.tree, base)) {
        yield { path, blob: id, commit: next.id, mode };
      }
    }
    await enqueue(next.parents);
  }
}

/** The tips and all their ancestors, with their times (seconds). */
export async function reachable(history: History, tips: readonly CommitId[]): Promise<Map<CommitId, number>> {
  const found = new Map<CommitId, number>();
  const pending = [...tips];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next)) continue;
    const { parents, time } = await history.commit(next);
    found.set(next, time);
    pending.push(...parents);
  }
  return found;
}
