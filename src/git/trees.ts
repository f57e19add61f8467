import { MlvError } from '../domain/errors.ts';
import type { CommitId, GitFileVersion } from './git.ts';
import { isRegularFile } from './paths.ts';

export interface TreeEntry {
  readonly name: string;
  /** As Git writes it: `040000`, `100644`. */
  readonly mode: string;
  readonly id: string;
}

/** Commits and trees as a repository has them. Both throw `git-object-missing`. */
export interface TreeSource {
  /** The id of a commit's tree. */
  commit(id: CommitId): Promise<{ readonly tree: string }>;
  tree(id: string): Promise<readonly TreeEntry[]>;
}

/** The mode of a folder. */
export const FOLDER = '040000';

/** How many folders are asked for before the first answer is waited for. */
const AT_ONCE = 32;

/**
 * The entries of a tree object whose ids have this many bytes: 20, or 32 in a SHA-256 repository. isomorphic-git's own
 * reader refuses names that have a backslash. Throws `git-tree-damaged`.
 */
export function parseTree(bytes: Buffer, idBytes: number): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(32, at);
    const end = space < 0 ? -1 : bytes.indexOf(0, space);
    if (end < 0 || end + 1 + idBytes > bytes.length) throw damaged();
    entries.push({
      mode: bytes.toString('latin1', at, space).padStart(6, '0'),
      name: bytes.toString('utf8', space + 1, end),
      id: bytes.toString('hex', end + 1, end + 1 + idBytes),
    });
    at = end + 1 + idBytes;
  }
  return entries;
}

function damaged(): MlvError {
  return new MlvError({
    code: 'git-tree-damaged',
    kind: 'corrupt',
    message: 'A tree object of Git is malformed',
    hint: 'git fsck tells which; git fetch --refetch gets it again',
  });
}

/**
 * Every distinct (path, blob) of accepted regular files in the trees of these commits. A folder that several of them have at
 * the same path is read once.
 */
export async function* distinctFiles(
  source: TreeSource,
  { commits, accept }: { readonly commits: readonly CommitId[]; readonly accept: (path: string) => boolean },
): AsyncGenerator<GitFileVersion> {
  const foldersSeen = new Set<string>();
  const filesSeen = new Set<string>();
  for (const commit of commits) {
    const pending = [{ prefix: '', id: (await source.commit(commit)).tree }];
    while (pending.length > 0) {
      const unread = pending.splice(-AT_ONCE).filter(({ prefix, id }) => isNew(foldersSeen, `${id} ${prefix}`));
      const read = await Promise.all(
        unread.map(async ({ prefix, id }) => ({ prefix, entries: await source.tree(id) })),
      );
      for (const { prefix, entries } of read) {
        for (const { name, mode, id } of entries) {
          const path = prefix + name;
          if (mode === FOLDER) pending.push({ prefix: `${path}/`, id });
          else if (isRegularFile(mode) && accept(path) && isNew(filesSeen, `${id} ${path}`)) {
            yield { path, blob: id, commit };
          }
        }
      }
    }
  }
}

function isNew(seen: Set<string>, key: string): boolean {
  return seen.size < seen.add(key).size;
}
