import type { CommitId, GitFileChange } from './git.ts';
import type { History } from './isomorphic-history.ts';
import { reachable } from './isomorphic-history.ts';
import { isRegularFile, sortByPath } from './paths.ts';
import { FOLDER, type TreeEntry } from './trees.ts';

/** The commits that changed accepted files, and how, simplified as `git log -- PATH` does it. */
export async function* changingCommits(
  history: History,
  tip: CommitId,
  accept: (path: string) => boolean,
): AsyncGenerator<{ readonly commit: CommitId; readonly changes: readonly GitFileChange[] }> {
  const queue: { id: CommitId; parents: readonly CommitId[]; tree: string; time: number }[] = [];
  const queued = new Set<CommitId>();
  const enqueue = async (ids: readonly CommitId[]): Promise<void> => {
    for (const id of ids) {
      if (queued.has(id)) continue;
      queued.add(id);
      const next = { id, ...(await history.commit(id)) };
      // Of those with one date, the first that was met comes first.
      const place = queue.findIndex(({ time }) => time >= next.time);
      queue.splice(place === -1 ? queue.length : place, 0, next);
    }
  };
  await enqueue([tip]);
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { changes, follow } = await compareWithParents(history, next, accept);
    if (changes.length > 0) yield { commit: next.id, changes };
    await enqueue(follow);
  }
}

/** What differs from the first parent, and which parents to follow: one that has all the same, if there is one, stands for all. */
async function compareWithParents(
  history: History,
  { parents, tree }: { readonly parents: readonly CommitId[]; readonly tree: string },
  accept: (path: string) => boolean,
): Promise<{ readonly changes: readonly GitFileChange[]; readonly follow: readonly CommitId[] }> {
  let first: readonly GitFileChange[] | undefined;
  for (const parent of parents) {
    const changes = await fileChanges(history, (await history.commit(parent)).tree, tree, accept);
    if (changes.length === 0) return { changes, follow: [parent] };
    first ??= changes;
  }
  return { changes: first ?? (await fileChanges(history, undefined, tree, accept)), follow: parents };
}

async function fileChanges(
  history: History,
  before: string | undefined,
  after: string | undefined,
  accept: (path: string) => boolean,
): Promise<GitFileChange[]> {
  const found: GitFileChange[] = [];
  const pending = [{ before, after, prefix: '' }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { prefix } = next;
    if (next.before === next.after) continue;
    const old = await entriesOf(history, next.before);
    const now = await entriesOf(history, next.after);
    for (const name of new Set([...old.keys(), ...now.keys()])) {
      const [was, is] = [old.get(name), now.get(name)];
      const path = prefix + name;
      const folders = { before: folderId(was), after: folderId(is) };
      if (folders.before !== folders.after) pending.push({ ...folders, prefix: `${path}/` });
      const [beforeBlob, afterBlob] = [fileId(was), fileId(is)];
      if (beforeBlob !== afterBlob && accept(path)) found.push({ path, before: beforeBlob, after: afterBlob });
    }
  }
  return sortByPath(found);
}

async function entriesOf(history: History, tree: string | undefined): Promise<ReadonlyMap<string, TreeEntry>> {
  return new Map((tree === undefined ? [] : await history.tree(tree)).map((entry) => [entry.name, entry]));
}

function folderId(entry: TreeEntry | undefined): string | undefined {
  return entry?.mode === FOLDER ? entry.id : undefined;
}

function fileId(entry: TreeEntry | undefined): string | undefined {
  return entry !== undefined && isRegularFile(entry.mode) ? entry.id : undefined;
}

/** The newest of the common ancestors that no other common ancestor descends to. */
export async function bestCommonAncestor(history: History, a: CommitId, b: CommitId): Promise<CommitId | undefined> {
  const ofA = await reachable(history, [a]);
  const ofB = await reachable(history, [b]);
  const common = [...ofA.keys()].filter((id) => ofB.has(id));
  const covered = new Set<CommitId>();
  for (const id of common) for (const parent of (await history.commit(id)).parents) covered.add(parent);
  const time = (id: CommitId): number => ofA.get(id) ?? 0;
  return common
    .filter((id) => !covered.has(id))
    .reduce<CommitId | undefined>((best, id) => (best === undefined || time(id) > time(best) ? id : best), undefined);
}

/** A time and zone (minutes west of Greenwich) as Git's strict ISO 8601. */
export function isoDate(seconds: number, minutesWest: number): string {
  const local = new Date((seconds - minutesWest * 60) * 1000).toISOString().slice(0, 19);
  const minutes = Math.abs(minutesWest);
  const pad = (value: number): string => String(value).padStart(2, '0');
  return `${local}${minutesWest > 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`;
}

/** The first paragraph of a commit's message, in one line. */
export function subjectOf(message: string): string {
  const [first = ''] = message.replace(/^\s*\n/, '').split(/\n[ \t]*\n/);
  return first
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
    .trim();
}
