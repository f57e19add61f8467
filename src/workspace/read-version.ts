import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { TreePath } from '../domain/tree-path.ts';
import type { DownloadRoot } from '../storage/download-plan.ts';
import { fetchPages, wantedEntries } from '../storage/download-plan.ts';
import { download } from '../storage/download.ts';
import type { LocalCache } from '../storage/local-cache.ts';
import type { Workspace } from './open.ts';
import type { NamedRemote } from './open-remote.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import { whileFetching } from './progress.ts';
import { learnPurges } from './purge-record.ts';
import type { WantedVersion } from './transfer-scope.ts';
import { unavailable, unreadable } from './unavailable.ts';

/** A part of a directory's tree: what lies at or below a path, or of that only what one level of it tells. */
export interface TreePart {
  readonly below: TreePath | undefined;
  readonly isLevel?: boolean;
}

/**
 * One version of a tracked path, its bytes in the cache once they were asked for: what is there already is not fetched, and where
 * nothing is missing the remote is not looked at.
 */
export interface VersionReader {
  readonly cache: LocalCache;
  /** Gets the tree objects of a part. Throws `tree-unavailable`. */
  ensureTree(part: TreePart): Promise<void>;
  /** Gets a file's bytes. Throws `data-unavailable`, `data-damaged`. */
  ensureBlob(blob: { readonly digest: Digest; readonly size: number; readonly name: string }): Promise<void>;
  /** Gets the bytes of all files at and below a path, less what was purged; their tree objects are there. Throws as `ensureBlob`. */
  ensureFiles(below: TreePath | undefined): Promise<void>;
  close(): void;
}

/** Opens one version of a tracked path for reading. */
export function openVersion(
  workspace: Workspace,
  { path, pointer, revision }: WantedVersion,
  options: VerbOptions,
): VersionReader {
  const { signal } = options;
  const cache = workspace.cache();
  const name = revision === undefined ? path : `${path} (as of ${revision})`;
  const root: DownloadRoot = { digest: pointer.hash, type: pointer.type, size: pointer.size, name: path };
  let named: NamedRemote | undefined;

  async function fetch(wanted: DownloadRoot, treesOnly: boolean): Promise<void> {
    named ??= await openNamedRemote(workspace, remoteNameFor(workspace, pointer, undefined), { signal });
    const { missing, damaged, failed } = await download({
      remote: named.remote,
      cache,
      wanted: [wanted],
      treesOnly,
      signal,
      onProgress: whileFetching(options),
    });
    const what = treesOnly ? `the list of what ${name} holds` : wanted.type === 'file' ? wanted.name : name;
    const code = treesOnly ? 'tree-unavailable' : 'data-unavailable';
    if (failed[0] !== undefined) throw unreadable(code, { what, remote: named.name, reason: failed[0].reason });
    if (damaged.length > 0) throw damagedThere(what, named.name);
    if (missing.length > 0) throw unavailable(code, what, named.name);
  }

  return {
    cache,
    async ensureTree({ below, isLevel = false }) {
      const wanted = { ...root, below: below && [below], level: isLevel ? { folder: below } : undefined };
      if (await lacksTree(wanted, cache)) await fetch(wanted, true);
    },
    async ensureBlob({ digest, size, name: file }) {
      if (cache.has(digest)) return;
      await learnPurges(workspace);
      // Whoever reads it tells that it was purged.
      if (!workspace.purged().has(digest)) await fetch({ digest, type: 'file', size, name: file }, false);
    },
    async ensureFiles(below) {
      const wanted = { ...root, below: below && [below] };
      const pages = await fetchPages([wanted], cache, () => Promise.resolve());
      const isWhole = pages.every((page) => wantedEntries(page, cache).every(({ digest }) => cache.has(digest)));
      if (isWhole) return;
      await learnPurges(workspace);
      await fetch(wanted, false);
    },
    close: () => named?.remote.close(),
  };
}

async function lacksTree(root: DownloadRoot, cache: LocalCache): Promise<boolean> {
  let isLacking = false;
  await fetchPages([root], cache, (objects) => {
    isLacking ||= objects.some(({ digest }) => !cache.has(digest));
    return Promise.resolve();
  });
  return isLacking;
}

function damagedThere(what: string, remote: string): MlvError {
  return new MlvError({
    code: 'data-damaged',
    kind: 'corrupt',
    message: `${what} is damaged, or lost, on remote ${remote}`,
    hint: `"mlv verify --remote ${remote} --repair" mends it from a clone that has it.`,
  });
}
