import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { DamagedBlob } from '../storage/download-blobs.ts';
import type { DownloadResult } from '../storage/download.ts';
import { download } from '../storage/download.ts';
import { completeRoots } from './complete-roots.ts';
import { readCheckoutRecord, selectionToBe } from './checkout-record.ts';
import { selectedPaths } from './targets.ts';
import type { Workspace } from './open.ts';
import { whileFetching } from './progress.ts';
import type { NamedRemote } from './open-remote.ts';
import { openNamedRemote } from './open-remote.ts';
import type { FailedPath } from './push.ts';
import { groupByRemote } from './push.ts';
import { learnPurges, purgedLine } from './purge-record.ts';
import { requireHeld } from './require-held.ts';
import { contentOf } from './tracked.ts';
import type { TransferOptions, WantedVersion } from './transfer-scope.ts';
import { wantedVersions } from './transfer-scope.ts';

export interface FetchedRemote {
  readonly name: string;
  readonly url: string;
  readonly blobs: number;
  readonly bytes: number;
  /** True when everything was in the cache already. */
  readonly upToDate: boolean;
}

export interface FetchResult {
  readonly remotes: readonly FetchedRemote[];
  /** What the remote does not have, has lost or damaged; everything else was fetched. */
  readonly missing: readonly string[];
  /** True when it lost or damaged some of it: then it has to be repaired, as its indexes say that it has it. */
  readonly needsRepair: boolean;
  /** What was left out, as it must not exist any more: a line for each content that was met. */
  readonly purged: readonly string[];
  /** What could not be fetched, however often it was tried; everything else was. */
  readonly failed: readonly FailedPath[];
}

/**
 * Brings data into the cache: of the workspace's pointers, of parts of them, or of the revisions that the options name. With
 * `scope: 'selected'`, and no targets, only as much of each as a checkout would bring.
 */
export async function fetch(
  workspace: Workspace,
  options: TransferOptions,
  scope: 'all' | 'selected' = 'all',
): Promise<FetchResult> {
  await learnPurges(workspace);
  const all = await wantedVersions(workspace, options);
  const versions =
    scope === 'all' || options.targets.length > 0 ? all : all.map((version) => selectedPart(workspace, version));
  const remotes: FetchedRemote[] = [];
  const missing: string[] = [];
  const purged: string[] = [];
  let needsRepair = false;
  const failed: FailedPath[] = [];
  for (const [name, group] of groupByRemote(workspace, versions, options.remote)) {
    const named = await openNamedRemote(workspace, name, options);
    try {
      const notes = completeRoots(workspace);
      const complete = notes.read();
      const unknown = group.filter(({ pointer }) => !complete.has(pointer.hash));
      const result = await receive(workspace, named, { versions: unknown, complete }, options);
      const unfetched = result.missing.length + result.damaged.length + result.failed.length;
      if (unfetched === 0) {
        const whole = unknown.filter(({ selection }) => selection === 'all');
        notes.note(whole.map(({ pointer }) => pointer.hash));
      }
      const { blobs, bytes } = result;
      remotes.push({
        name,
        url: named.url,
        blobs,
        bytes,
        upToDate: blobs + bytes + unfetched === 0,
      });
      for (const { path, digest } of result.purged) {
        const content = workspace.purged().get(digest);
        if (content !== undefined) purged.push(purgedLine(path, content));
      }
      for (const { path } of result.missing) missing.push(path);
      for (const { path, how } of result.damaged) missing.push(`${path} (${HOW[how]})`);
      needsRepair ||= result.damaged.length > 0;
      for (const { path, reason } of result.failed) failed.push({ path, reason });
    } finally {
      named.remote.close();
    }
  }
  requireTargets(workspace, versions);
  return { remotes, missing, needsRepair, purged, failed };
}

const HOW: Readonly<Record<DamagedBlob['how'], string>> = {
  damaged: 'damaged on the remote',
  gone: 'lost by the remote',
  'other-size': 'on the remote its size is not the one that its version says',
};

/** What was named must be in one of the versions at least: a path that was misspelt is not up to date. */
function requireTargets(workspace: Workspace, versions: readonly WantedVersion[]): void {
  for (const { path, selection } of versions) {
    const same = versions.filter((version) => version.path === path);
    if (same.some(({ pointer }) => pointer.type === 'file')) continue;
    requireHeld(
      workspace,
      path,
      same.map(({ pointer }) => pointer.hash),
      selection,
    );
  }
}

function selectedPart(workspace: Workspace, version: WantedVersion): WantedVersion {
  const content = contentOf(version.pointer);
  const selection = selectionToBe(readCheckoutRecord(workspace, version.path, content), 'all', {
    content,
    isNamed: false,
  });
  return { ...version, selection };
}

/** The roots of what was last checked out at the versions' paths: only a short cut, so a damaged record is none. */
function checkedOutRoots(workspace: Workspace, versions: readonly WantedVersion[]): Digest[] {
  const pointers = new Map(versions.map(({ path, pointer }) => [path, pointer]));
  return [...pointers].flatMap(([path, pointer]) => {
    try {
      const { base } = readCheckoutRecord(workspace, path, contentOf(pointer));
      return base?.type === 'dir' ? [base.hash] : [];
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      return [];
    }
  });
}

function receive(
  workspace: Workspace,
  { remote }: NamedRemote,
  { versions, complete }: { readonly versions: readonly WantedVersion[]; readonly complete: ReadonlySet<Digest> },
  options: TransferOptions,
): Promise<DownloadResult> {
  return download({
    remote,
    cache: workspace.cache(),
    wanted: versions.map(({ path, pointer, selection, revision }) => ({
      digest: pointer.hash,
      type: pointer.type,
      size: pointer.size,
      name: revision === undefined ? path : `${path} (as of ${revision})`,
      below: selectedPaths(selection),
    })),
    complete: checkedOutRoots(workspace, versions).filter((root) => complete.has(root)),
    signal: options.signal,
    onProgress: whileFetching(options),
  });
}
