import type { Digest } from '../domain/digest.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { readContents } from '../storage/cache-contents.ts';
import { markOf } from '../storage/digest-marks.ts';
import { fetchPages, wantedEntries } from '../storage/download-plan.ts';
import { measureRun } from '../storage/empty-trash.ts';
import { listTrash } from '../storage/trash.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote } from './open-remote.ts';
import { groupByRemote } from './push.ts';
import { findIncomplete } from './remote-trees.ts';
import type { TransferOptions, WantedVersion } from './transfer-scope.ts';
import { wantedVersions } from './transfer-scope.ts';

/** How much room one version of a tracked path takes. All in bytes. */
export interface DuItem {
  readonly path: RepoPath;
  /** A commit that has it; undefined for the workspace's. */
  readonly revision: string | undefined;
  readonly files: number;
  readonly bytes: number;
  /** Of what no other version that was looked at has, content that is there several times counted once. Undefined where its trees are not here. */
  readonly unique: number | undefined;
  /** In the cache of this machine; undefined likewise. */
  readonly here: number | undefined;
  /** Whether its remote has all of it; undefined where that was not asked. */
  readonly isPushed: boolean | undefined;
}

export interface DuResult {
  readonly items: readonly DuItem[];
  /** Of all of them, content that is there several times counted once. */
  readonly distinct: number;
  /** Files of the cache, whatever names them, and of its trash. */
  readonly cache: number;
  readonly trash: number;
}

export interface DuOptions extends TransferOptions {
  /** Ask the remotes what they have. */
  readonly askRemote?: boolean | undefined;
}

/** Content of several versions. */
const SHARED = -1;

/** Tells how much room versions of tracked paths take, and how much of it they share. Reads trees, and no data. */
export async function du(workspace: Workspace, options: DuOptions): Promise<DuResult> {
  const versions = distinctVersions(await wantedVersions(workspace, options));
  const contents = readContents(workspace.cacheFolder);
  const pushed = options.askRemote === true ? await findPushed(workspace, versions, options) : undefined;
  const trees: (Page[] | undefined)[] = [];
  for (const version of versions) trees.push(await readPages(workspace, version));
  const owners = ownersOf(trees);
  const entries = createEntries();
  const hereOf = new Map<Digest, number>();
  const here = trees.map((pages, index) =>
    pages?.reduce((sum, page) => {
      let found = hereOf.get(page.digest);
      if (found === undefined) {
        found = 0;
        for (const { digest, size } of page.entries()) {
          if (contents.has(digest)) found += size;
          entries.add(digest, size, owners.get(page.digest) ?? index);
        }
        hereOf.set(page.digest, found);
      }
      return sum + found;
    }, 0),
  );
  const { unique, distinct } = entries.sum(versions.length);
  const trash = listTrash(workspace.cacheFolder).reduce((sum, run) => sum + measureRun(run).bytes, 0);
  const items = versions.map((version, index) => ({
    path: version.path,
    revision: version.revision,
    files: version.pointer.files ?? 1,
    bytes: version.pointer.size,
    unique: trees[index] === undefined ? undefined : unique[index],
    here: here[index],
    isPushed: pushed?.get(version),
  }));
  return { items, distinct, cache: contents.bytes, trash };
}

/** Each version of a path once, the workspace's or newest first. */
function distinctVersions(versions: readonly WantedVersion[]): WantedVersion[] {
  const seen = new Set<string>();
  const isNew = ({ path, pointer }: WantedVersion): boolean => seen.size < seen.add(`${pointer.hash} ${path}`).size;
  return versions.filter(isNew).sort((a, b) => Number(a.path > b.path) - Number(a.path < b.path));
}

interface Page {
  readonly digest: Digest;
  readonly entries: () => readonly Pick<TreeEntry, 'digest' | 'size'>[];
}

/** The pages of a version; a file is a page of one entry. Undefined where a tree object is not here. */
async function readPages(workspace: Workspace, { path, pointer }: WantedVersion): Promise<Page[] | undefined> {
  const { hash: digest, type, size } = pointer;
  if (type === 'file') return [{ digest, entries: () => [{ digest, size }] }];
  const cache = workspace.cache();
  const pages = await fetchPages([{ digest, type, size, name: path }], cache, () => Promise.resolve());
  const files = pages.reduce((sum, { node }) => sum + node.files, 0);
  // What is not here is left out.
  if (!cache.has(digest) || files !== pointer.files) return undefined;
  return pages.map((page) => ({ digest: page.node.digest, entries: () => wantedEntries(page, cache) }));
}

/** The one version that has a page, or that it is shared. */
function ownersOf(trees: readonly (readonly Page[] | undefined)[]): Map<Digest, number> {
  const owners = new Map<Digest, number>();
  for (const [index, pages = []] of trees.entries()) {
    for (const { digest } of pages) owners.set(digest, (owners.get(digest) ?? index) === index ? index : SHARED);
  }
  return owners;
}

/** Content by the first 52 bits of its digest: 20 bytes an entry. */
function createEntries() {
  let marks = new Float64Array(1024);
  let sizes = new Float64Array(1024);
  let owners = new Int32Array(1024);
  let count = 0;
  return {
    add(digest: Digest, size: number, owner: number): void {
      if (count === marks.length) {
        [marks, sizes] = [marks, sizes].map((old) => {
          const larger = new Float64Array(2 * count);
          larger.set(old);
          return larger;
        }) as [typeof marks, typeof sizes];
        const larger = new Int32Array(2 * count);
        larger.set(owners);
        owners = larger;
      }
      marks[count] = markOf(digest);
      sizes[count] = size;
      owners[count++] = owner;
    },
    /** Bytes that each of so many owners has alone, and all together. */
    sum(versions: number): { unique: number[]; distinct: number } {
      const order = new Uint32Array(count).map((_, index) => index).sort((a, b) => (marks[a] ?? 0) - (marks[b] ?? 0));
      const unique = Array.from({ length: versions }, () => 0);
      let distinct = 0;
      for (let first = 0, next = 1; first < count; first = next++) {
        const entry = order[first] ?? 0;
        let owner = owners[entry] ?? SHARED;
        for (; next < count && marks[order[next] ?? 0] === marks[entry]; next++)
          if (owners[order[next] ?? 0] !== owner) owner = SHARED;
        distinct += sizes[entry] ?? 0;
        if (owner !== SHARED) unique[owner] = (unique[owner] ?? 0) + (sizes[entry] ?? 0);
      }
      return { unique, distinct };
    },
  };
}

/** Which versions are whole on their remotes: an indexed root or blob, by closure, means all of it. */
async function findPushed(
  workspace: Workspace,
  versions: readonly WantedVersion[],
  { remote: asked, signal }: DuOptions,
): Promise<Map<WantedVersion, boolean>> {
  const pushed = new Map<WantedVersion, boolean>();
  for (const [name, group] of groupByRemote(workspace, versions, asked)) {
    const { remote } = await openNamedRemote(workspace, name, { signal });
    try {
      const incomplete = new Set(
        await findIncomplete(group, (wanted, kind) => remote.find(wanted, kind, signal), workspace.purged()),
      );
      for (const version of group) pushed.set(version, !incomplete.has(version));
    } finally {
      remote.close();
    }
  }
  return pushed;
}
