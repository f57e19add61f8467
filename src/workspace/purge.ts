import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { PurgedContent } from '../domain/purge-record.ts';
import { isPurgeReason } from '../domain/purge-record.ts';
import { finishRun } from '../storage/empty-trash.ts';
import type { PurgeAmount } from '../storage/purge-cache.ts';
import { findInCache, purgeFromCache } from '../storage/purge-cache.ts';
import { findOnRemote, purgeFromRemote } from '../storage/purge-remote.ts';
import { listTrash } from '../storage/trash.ts';
import { completeRoots } from './complete-roots.ts';
import type { Workspace } from './open.ts';
import type { NamedRemote } from './open-remote.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import { learnPurges, recordPurges } from './purge-record.ts';
import { findPurgeTargets, namedVersions } from './purge-targets.ts';
import { purgeFromWorkspace } from './purge-workspace.ts';
import { withRemovalLock } from './removal-lock.ts';
import { openRemoteTrees, readLocally } from './remote-trees.ts';
import { withScratch } from './scratch.ts';
import type { Targets } from './targets.ts';

/** Where some of the content is: `cache`, `trash`, or a remote. */
export interface PurgePlace extends PurgeAmount {
  readonly name: string;
  /** Folder or URL. */
  readonly where: string;
}

/** What a purge would do. */
export interface PurgePlan {
  /** The content, with the paths that have it in any version that could be looked into. */
  readonly contents: readonly (PurgedContent & { readonly paths: readonly string[] })[];
  /** How much of it is not on record yet. */
  readonly unrecorded: number;
  readonly places: readonly PurgePlace[];
  /** Versions of which a part could not be looked into: what they name is not in `paths`. */
  readonly unseen: readonly string[];
  /** What is to be looked through by hand. */
  readonly notes: readonly string[];
}

export interface PurgeResult extends PurgePlan {
  /** False for a dry run, and where the answer was no. */
  readonly done: boolean;
  /** Paths of the workspace that were deleted, or left their pointers. */
  readonly removed: readonly string[];
  /** What could not be done, and why; everything else was. The command can be run again. */
  readonly failed: readonly string[];
}

export interface PurgeOptions extends Targets, VerbOptions {
  /** Only this one of the remotes. */
  readonly remote?: string | undefined;
  readonly reason?: string | undefined;
  readonly dryRun?: boolean | undefined;
  /** Asked before anything is changed. */
  readonly confirm: (plan: PurgePlan) => Promise<boolean>;
}

/**
 * Deletes content for good from workspace, cache, trash and remotes, in all versions, and records that it was. Without targets, what
 * is recorded already. Interrupted anywhere, or where a remote cannot be reached, it can be run again. Throws what `findPurgeTargets`
 * throws, `purge-reason`, `remote-unknown`, `locked`.
 */
export async function purge(workspace: Workspace, options: PurgeOptions): Promise<PurgeResult> {
  const { reason, confirm, signal } = options;
  if (reason !== undefined && !isPurgeReason(reason)) throw badReason();
  await learnPurges(workspace);
  const failed: string[] = [];
  const remotes = await openRemotes(workspace, options, failed);
  try {
    const found = await withScratch(workspace, (scratch) => findTargets(workspace, { options, remotes, scratch }));
    const { digests, paths, unseen } = found;
    const known = workspace.purged();
    const day = new Date().toISOString().slice(0, 10);
    const contents = [...digests].map((digest) => ({
      ...(known.get(digest) ?? { digest, day, reason }),
      paths: paths.get(digest) ?? [],
    }));
    const plan: PurgePlan = {
      contents,
      unrecorded: contents.filter(({ digest }) => !known.has(digest)).length,
      places: await findPlaces(workspace, { digests, remotes, signal, failed }),
      unseen,
      notes: notesOn(workspace),
    };
    if (digests.size === 0) return { ...plan, done: true, removed: [], failed };
    if (options.dryRun === true || !(await confirm(plan))) return { ...plan, done: false, removed: [], failed };

    // The record comes first: from here on everybody who has it knows what is missing, and this can be finished.
    await recordPurges(
      workspace,
      contents.map(({ digest, day: since, reason: why }) => ({ digest, day: since, reason: why })),
    );
    const { paths: removed, problems } = await purgeFromWorkspace(workspace, digests, options);
    failed.push(...problems);
    await purgeCaches(workspace, digests, { signal, failed });
    for (const { name, remote } of remotes) {
      await unlessFailed(name, failed, async () => {
        const { stuck } = await withScratch(workspace, (scratch) =>
          purgeFromRemote({ remote, purged: digests, scratch, signal }),
        );
        for (const key of stuck)
          failed.push(`${name}: ${key} stays, as something else in it cannot be read: mlv verify --remote --repair`);
      });
    }
    return { ...plan, done: true, removed, failed };
  } finally {
    for (const { remote } of remotes) remote.close();
  }
}

/** Remotes that can be reached; of the others `failed` tells. */
async function openRemotes(workspace: Workspace, options: PurgeOptions, failed: string[]): Promise<NamedRemote[]> {
  const { remote: asked, signal } = options;
  const names =
    asked === undefined ? [...workspace.settings.remotes.keys()] : [remoteNameFor(workspace, undefined, asked)];
  const remotes: NamedRemote[] = [];
  for (const name of names) {
    await unlessFailed(name, failed, async () => {
      const named = await openNamedRemote(workspace, name, { signal });
      try {
        named.remote.requirePresent();
        remotes.push(named);
      } catch (error) {
        named.remote.close();
        throw error;
      }
    });
  }
  return remotes;
}

async function findTargets(
  workspace: Workspace,
  given: { readonly options: PurgeOptions; readonly remotes: readonly NamedRemote[]; readonly scratch: string },
) {
  const { options, remotes, scratch } = given;
  const { signal } = options;
  const unseen: string[] = [];
  const versions = await namedVersions(workspace, unseen);
  const scoped = versions.map((version) => ({
    ...version,
    selection: 'all' as const,
    expected: 'all' as const,
    name: version.path,
  }));
  const trees = remotes.map(({ home, remote }, index) =>
    openRemoteTrees(workspace, {
      home,
      find: (digests, as) => remote.find(digests, as, signal),
      scratch: join(scratch, `trees-${index}`),
      signal,
    }),
  );
  try {
    for (const each of trees) await each.load(scoped);
    const read = (digest: Digest): Buffer | undefined => {
      for (const each of trees) {
        const bytes = each.read(digest);
        if (bytes !== undefined) return bytes;
      }
      return readLocally(workspace.cache(), digest);
    };
    return findPurgeTargets(workspace, { ...options, recorded: workspace.purged().keys(), versions, read, unseen });
  } finally {
    for (const each of trees) each.close();
  }
}

async function findPlaces(
  workspace: Workspace,
  given: {
    readonly digests: ReadonlySet<Digest>;
    readonly remotes: readonly NamedRemote[];
    readonly signal: AbortSignal | undefined;
    readonly failed: string[];
  },
): Promise<PurgePlace[]> {
  const { digests, remotes, signal, failed } = given;
  const { cacheFolder } = workspace;
  const places: PurgePlace[] = [];
  const add = (name: string, where: string, { blobs, bytes, files }: PurgeAmount): void =>
    void places.push({ name, where, blobs, bytes, files });
  add('cache', cacheFolder, await findInCache(cacheFolder, digests));
  const trash = { blobs: 0, bytes: 0, files: 0 };
  for (const run of listTrash(cacheFolder)) {
    const { blobs, bytes, files } = await findInCache(run.folder, digests);
    trash.blobs += blobs;
    trash.bytes += bytes;
    trash.files += files;
  }
  add('trash', join(cacheFolder, 'trash'), trash);
  for (const { name, url, remote } of remotes)
    await unlessFailed(name, failed, async () => add(name, url, await findOnRemote(remote, digests, signal)));
  return places;
}

async function purgeCaches(
  workspace: Workspace,
  digests: ReadonlySet<Digest>,
  { signal, failed }: { readonly signal: AbortSignal | undefined; readonly failed: string[] },
): Promise<void> {
  const { cacheFolder } = workspace;
  if (!existsSync(cacheFolder)) return;
  const packBelow = (): number => workspace.cache().packBelow();
  await withRemovalLock(workspace, { command: 'mlv purge' }, async () => {
    // What a collection that was killed has left is in the cache or in the trash after this, not between them.
    for (const run of listTrash(cacheFolder)) finishRun(cacheFolder, run);
    for (const folder of [cacheFolder, ...listTrash(cacheFolder).map((run) => run.folder)]) {
      const holdings = await findInCache(folder, digests);
      await purgeFromCache(folder, { holdings, purged: digests, packBelow, signal });
      for (const path of holdings.unreadable)
        failed.push(`${path}: nobody can tell what is in it, and it stays: mlv verify --repair sets it aside`);
    }
  });
  completeRoots(workspace).forget();
}

/** Where damage was set aside, anything may be. */
function notesOn({ sharedFolder, cacheFolder }: Workspace): string[] {
  const folders = [join(sharedFolder, 'damaged'), join(cacheFolder, 'damaged')];
  return [...new Set(folders)]
    .filter((folder) => existsSync(folder))
    .map((folder) => `${folder} has what was set aside as damaged, and is not looked through: delete it by hand`);
}

/** Everything else is done all the same. */
async function unlessFailed(name: string, failed: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted' || error.code === 'content-is-tree') throw error;
    const line = `${name}: ${error.message}`;
    if (!failed.includes(line)) failed.push(line);
  }
}

function badReason(): MlvError {
  return new MlvError({
    code: 'purge-reason',
    kind: 'usage',
    message: 'the reason is to be one line of at most 200 printable characters',
    hint: 'mlv purge --reason "asked for on 2026-11-21" PATH',
  });
}
