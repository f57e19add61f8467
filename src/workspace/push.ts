import type { Digest } from '../domain/digest.ts';
import { DAY_MS } from '../domain/remote-times.ts';
import type { CommitId } from '../git/git.ts';
import { isShallow } from '../git/layout.ts';
import { upload } from '../storage/upload.ts';
import type { UploadResult } from '../storage/upload.ts';
import type { UploadRoot } from '../storage/upload-plan.ts';
import type { Workspace } from './open.ts';
import type { NamedRemote } from './open-remote.ts';
import { openNamedRemote, remoteNameFor } from './open-remote.ts';
import type { TransferOptions, WantedVersion } from './transfer-scope.ts';
import { learnPurges } from './purge-record.ts';
import type { RemoteMoment } from './pushed-commits.ts';
import { notePushedCommit, readPushedCommits } from './pushed-commits.ts';
import { historyVersions, wantedVersions } from './transfer-scope.ts';
import { versionAround } from './version-at.ts';

export interface PushedRemote {
  readonly name: string;
  readonly url: string;
  readonly blobs: number;
  readonly bytes: number;
  readonly packs: number;
  readonly objects: number;
  readonly indexes: number;
  /** True when there was nothing to send. */
  readonly upToDate: boolean;
}

/** Something that could not be transferred, and why. */
export interface FailedPath {
  readonly path: string;
  readonly reason: string;
}

export interface PushResult {
  readonly remotes: readonly PushedRemote[];
  /** What neither the cache nor the remote has, or is damaged in the cache; everything else was sent. */
  readonly missing: readonly string[];
  /** True when some of it is damaged in the cache. */
  readonly needsRepair: boolean;
  /** What could not be sent, however often it was tried; everything else was. */
  readonly failed: readonly FailedPath[];
}

/** Below this, looking every blob up costs less than asking Git. */
const BASE_FROM_FILES = 10_000;

/**
 * Sends data to remotes: without a scope or targets that of the workspace's pointers and of every commit that HEAD leads to, so
 * that whoever gets those commits gets their data.
 */
export async function push(workspace: Workspace, options: TransferOptions): Promise<PushResult> {
  await learnPurges(workspace);
  const isDefault = options.targets.length === 0 && !hasRevisionScope(options);
  const versions = await wantedVersions(workspace, options);
  const groups = groupByRemote(workspace, versions, options.remote);
  // Earlier commits may name data of the default remote even when the workspace names none.
  if (groups.size === 0 && isDefault) groups.set(remoteNameFor(workspace, undefined, options.remote), []);
  return pushGroups(workspace, groups, { ...options, withHistory: isDefault });
}

/** Sends these versions to the remotes they belong to. */
export async function pushVersions(
  workspace: Workspace,
  versions: readonly WantedVersion[],
  verb: Pick<TransferOptions, 'remote' | 'jobs' | 'signal' | 'onProgress'>,
): Promise<PushResult> {
  const groups = groupByRemote(workspace, versions, verb.remote);
  return pushGroups(workspace, groups, { ...verb, targets: [], cwd: workspace.root, withHistory: false });
}

async function pushGroups(
  workspace: Workspace,
  groups: ReadonlyMap<string, readonly WantedVersion[]>,
  options: TransferOptions & { readonly withHistory: boolean },
): Promise<PushResult> {
  const { withHistory } = options;
  const remotes: PushedRemote[] = [];
  const missing: string[] = [];
  let needsRepair = false;
  const failed: FailedPath[] = [];
  for (const [name, group] of groups) {
    const named = await openNamedRemote(workspace, name, options);
    try {
      const moment = { tombstones: named.remote.tombstones(), day: Math.floor(Date.now() / DAY_MS) };
      const history = withHistory ? await unpushedHistory(workspace, named, { ...options, moment }) : undefined;
      const wanted = [...group, ...(history?.versions ?? [])];
      const result = await send(workspace, named, wanted, {
        ...options,
        moment,
        renewNotes: history?.isKnown !== true,
      });
      const { blobs, bytes, packs, objects, indexes } = result;
      const unsent = result.missing.length + result.damaged.length + result.failed.length;
      const upToDate = indexes + unsent === 0;
      remotes.push({ name, url: named.url, blobs, bytes, packs, objects, indexes, upToDate });
      for (const { path } of result.missing) missing.push(path);
      for (const { path } of result.damaged) missing.push(`${path} (damaged in the cache)`);
      for (const { path, reason } of result.failed) failed.push({ path, reason });
      needsRepair ||= result.damaged.length > 0;
      // Where history is cut, what a commit leads to was not looked at; the clone may get it later.
      const isWhole = workspace.layout !== undefined && !isShallow(workspace.layout);
      if (history?.head !== undefined && unsent === 0 && isWhole) notePushedCommit(named.folder, moment, history.head);
    } finally {
      named.remote.close();
    }
  }
  return { remotes, missing, needsRepair, failed };
}

/** True when the options name other revisions than the workspace. */
export function hasRevisionScope(options: TransferOptions): boolean {
  return options.rev !== undefined || [options.allBranches, options.allTags, options.allCommits].includes(true);
}

/** Versions in order, by the remote they belong to; without those that are to stay here. */
export function groupByRemote<T extends WantedVersion>(
  workspace: Workspace,
  versions: readonly T[],
  asked: string | undefined,
): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const version of versions) {
    if (version.isLocal) continue;
    const name = remoteNameFor(workspace, version.pointer, asked);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [version]);
    else group.push(version);
  }
  return groups;
}

async function unpushedHistory(
  workspace: Workspace,
  { name, folder }: NamedRemote,
  options: TransferOptions & { readonly moment: RemoteMoment },
): Promise<{ head: CommitId | undefined; isKnown: boolean; versions: WantedVersion[] }> {
  const git = await workspace.git();
  const head = await git?.head();
  if (git === undefined || head === undefined) return { head: undefined, isKnown: false, versions: [] };
  const pushed = readPushedCommits(folder, options.moment);
  if (pushed.includes(head)) return { head, isKnown: true, versions: [] };
  const exclude: CommitId[] = [];
  for (const commit of pushed) {
    // History may have been rewritten since.
    const isKnown = await git.resolve(commit).then(
      () => true,
      () => false,
    );
    if (isKnown) exclude.push(commit);
  }
  const versions = await historyVersions(workspace, git, { tips: [head], exclude, options });
  return {
    head,
    isKnown: false,
    versions: groupByRemote(workspace, versions, options.remote).get(name) ?? [],
  };
}

/** Roots of large directories as the commit that was pushed last names them. */
async function pushedRoots(
  workspace: Workspace,
  { folder }: NamedRemote,
  given: { readonly versions: readonly WantedVersion[]; readonly moment: RemoteMoment },
): Promise<[string, Digest][]> {
  const { versions, moment } = given;
  const [pushed] = readPushedCommits(folder, moment);
  if (pushed === undefined) return [];
  const roots: [string, Digest][] = [];
  const large = versions.filter(
    ({ pointer: { files = 0 }, revision }) => files >= BASE_FROM_FILES && revision === undefined,
  );
  for (const { path } of large) {
    const before = await versionAround(workspace, pushed, path).catch(() => undefined); // a commit that is here no more
    const pointer = before?.version.path === path ? before.version.pointer : undefined;
    if (pointer?.type === 'dir') roots.push([path, pointer.hash]);
  }
  return roots;
}

async function send(
  workspace: Workspace,
  named: NamedRemote,
  versions: readonly WantedVersion[],
  options: TransferOptions & { readonly moment: RemoteMoment; readonly renewNotes: boolean },
): Promise<UploadResult> {
  const { moment, renewNotes, signal, onProgress } = options;
  // Each version is compared with the one before it, the oldest with what was pushed last: what both share need not be looked up.
  const before = new Map<string, Digest>(await pushedRoots(workspace, named, { versions, moment }));
  const roots = new Map<string, UploadRoot>();
  for (const { path, pointer, revision } of versions.toReversed()) {
    const name = revision === undefined ? path : `${path} (as of ${revision})`;
    roots.set(`${pointer.type} ${pointer.hash}`, {
      digest: pointer.hash,
      type: pointer.type,
      name,
      base: before.get(path),
    });
    before.set(path, pointer.hash);
  }
  return upload({
    remote: named.remote,
    cache: workspace.cache(),
    roots: [...roots.values()],
    renewNotes,
    signal,
    onProgress: onProgress && (({ blobs, bytes }) => onProgress({ phase: 'uploading', files: blobs, bytes })),
  });
}
