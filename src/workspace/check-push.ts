import { MlvError } from '../domain/errors.ts';
import { DAY_MS } from '../domain/remote-times.ts';
import type { CommitId, GitRepository } from '../git/git.ts';
import type { Workspace } from './open.ts';
import { openNamedRemote } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import type { PushResult } from './push.ts';
import { groupByRemote, pushVersions } from './push.ts';
import { readPushedCommits } from './pushed-commits.ts';
import type { FindPlaces } from './remote-trees.ts';
import { findIncomplete, listMissing, openRemoteTrees } from './remote-trees.ts';
import { withScratch } from './scratch.ts';
import type { WantedVersion } from './transfer-scope.ts';
import { historyVersions, requireGit, wantedVersions } from './transfer-scope.ts';
import type { MissingList } from './verify-result.ts';
import { createMissingList } from './verify-result.ts';

/** A ref that Git is about to push. */
export interface PushedRef {
  /** As it was named here: `refs/heads/main`, `HEAD`. */
  readonly name: string;
  readonly id: string;
  /** What the remote has under its name there; undefined for nothing. */
  readonly before: string | undefined;
}

/** What Git is about to do, as it tells its pre-push hook. */
export interface PlannedPush {
  /** Name of the Git remote, or its URL where it has none. */
  readonly gitRemote: string;
  readonly refs: readonly PushedRef[];
}

/** A version of which a remote does not have everything. */
export interface IncompleteVersion {
  readonly path: string;
  readonly commit: string;
  readonly remote: string;
  /** Files that are missing; one that several versions miss is counted once. */
  readonly files: number;
}

export interface CheckedPush {
  readonly incomplete: readonly IncompleteVersion[];
  /** Commands that send it. */
  readonly cures: readonly string[];
  /** With `autoPush`: what was sent. */
  readonly pushed: PushResult | undefined;
}

/** Reads the lines that Git gives its pre-push hook (githooks(5)): what is deleted is left out. */
export function parsePushedRefs(input: string): PushedRef[] {
  return input.split('\n').flatMap((line) => {
    const [name = '', id = '', , before = ''] = line.split(' ');
    return isId(id) ? [{ name, id, before: isId(before) ? before : undefined }] : [];
  });
}

/**
 * Finds out whether the remotes have all data that the pushed commits name, less what the Git remote has already. Nothing is asked
 * of a remote where these commits change no pointer. With `autoPush` what is missing is sent. Throws `push-unchecked` where a
 * remote cannot be asked.
 */
export async function checkPush(
  workspace: Workspace,
  { gitRemote, refs, autoPush, ...verb }: PlannedPush & VerbOptions & { readonly autoPush: boolean },
): Promise<CheckedPush> {
  const nothing: CheckedPush = { incomplete: [], cures: [], pushed: undefined };
  const git = await requireGit(workspace);
  const tips = await pushedCommits(git, refs);
  const tracking = await git.listRefs([`refs/remotes/${gitRemote}/`]);
  const exclude = [
    ...refs.flatMap(({ before }) => before ?? []),
    ...tracking.map(({ commit }) => commit),
  ] as CommitId[];
  const options = { targets: [], cwd: workspace.root };
  const versions = await historyVersions(workspace, git, { tips: [...tips.keys()], exclude, options });
  if (versions.length === 0) return nothing;
  try {
    const lacking = await findLacking(workspace, { versions, tips: [...tips.keys()], verb });
    if (lacking.versions.length === 0) return nothing;
    const pushed = autoPush ? await pushVersions(workspace, lacking.versions, verb) : undefined;
    const unsent = pushed === undefined || pushed.missing.length + pushed.failed.length > 0;
    if (!unsent) return { ...nothing, pushed };
    const cures = await findCures(workspace, git, { lacking: lacking.versions, tips, exclude });
    return { incomplete: lacking.told, cures, pushed };
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
    throw unchecked(error);
  }
}

/** The error for a push of which nobody can tell whether its data is on the remote. */
export function unchecked(cause: MlvError): MlvError {
  return new MlvError({
    code: 'push-unchecked',
    kind: cause.kind,
    message: `nobody can tell whether the data of these commits is on the remote: ${cause.message}`,
    hint: `${cause.hint === undefined ? '' : `${cause.hint.replace(/\.$/, '')}. `}To push without this check: git push --no-verify`,
    items: cause.items,
    cause,
  });
}

/** The commits that are pushed, and a name for each. A tag of something that is no commit has none. */
export async function pushedCommits(git: GitRepository, refs: readonly PushedRef[]): Promise<Map<CommitId, string>> {
  const tips = new Map<CommitId, string>();
  for (const { name, id } of refs) {
    const commit = await git.resolve(id).catch((error: unknown) => {
      if (error instanceof MlvError && error.code === 'revision-unknown') return undefined;
      throw error;
    });
    const isRef = /^refs\/(?:heads|tags)\//.test(name);
    if (commit !== undefined)
      tips.set(commit, isRef ? name.replace(/^refs\/(?:heads|tags)\//, '') : commit.slice(0, 10));
  }
  return tips;
}

async function findLacking(
  workspace: Workspace,
  given: {
    readonly versions: readonly WantedVersion[];
    readonly tips: readonly CommitId[];
    readonly verb: VerbOptions;
  },
): Promise<{ versions: WantedVersion[]; told: IncompleteVersion[] }> {
  const { signal } = given.verb;
  const lacking: WantedVersion[] = [];
  const told: IncompleteVersion[] = [];
  for (const [name, group] of groupByRemote(workspace, given.versions, undefined)) {
    const { remote, home, folder } = await openNamedRemote(workspace, name, { signal });
    try {
      const moment = { tombstones: remote.tombstones(), day: Math.floor(Date.now() / DAY_MS) };
      const pushed = readPushedCommits(folder, moment);
      if (given.tips.every((tip) => pushed.includes(tip))) continue;
      const find: FindPlaces = (digests, as) => remote.find(digests, as, signal);
      const incomplete = await findIncomplete(group, find, workspace.purged());
      if (incomplete.length === 0) continue;
      const files = incomplete.map(() => 0);
      await withScratch(workspace, async (scratch) => {
        const trees = openRemoteTrees(workspace, { home, find, scratch, signal });
        try {
          // Each is called by its number, so that what is missing says of which one.
          const scoped = incomplete.map((version, at) => ({ ...version, name: `${at}`, expected: [] }));
          await listMissing(scoped, trees, { find, missing: countingList(files), purged: workspace.purged() });
        } finally {
          trees.close();
        }
      });
      for (const [at, { path, revision = '' }] of incomplete.entries())
        told.push({ path, commit: revision, remote: name, files: files[at] ?? 0 });
      lacking.push(...incomplete);
    } finally {
      remote.close();
    }
  }
  return { versions: lacking, told };
}

function countingList(files: number[]): MissingList {
  const list = createMissingList(0);
  return {
    ...list,
    note(item) {
      const at = Number.parseInt(item.path, 10);
      if (!list.has(item.digest)) files[at] = (files[at] ?? 0) + item.files;
      list.note(item);
    },
  };
}

/** The commands that send the data, as few as do: what HEAD leads to, what a ref names, or else everything. */
async function findCures(
  workspace: Workspace,
  git: GitRepository,
  given: {
    readonly lacking: readonly WantedVersion[];
    readonly tips: ReadonlyMap<CommitId, string>;
    readonly exclude: readonly CommitId[];
  },
): Promise<string[]> {
  const { lacking, tips, exclude } = given;
  const options = { targets: [], cwd: workspace.root };
  const keyOf = ({ path, pointer }: WantedVersion): string => `${pointer.hash} ${path}`;
  const left = new Set(lacking.map(keyOf));
  const covers = (versions: readonly WantedVersion[]): boolean =>
    versions.filter((version) => left.delete(keyOf(version))).length > 0;
  const mlv = workspace.prefix === '' ? 'mlv' : `mlv -C ${workspace.prefix}`;
  const cures: string[] = [];
  const head = await git.head();
  const ofHead = head === undefined ? [] : await historyVersions(workspace, git, { tips: [head], exclude, options });
  if (covers(ofHead)) cures.push(`${mlv} push`);
  for (const [commit, name] of tips) {
    if (left.size > 0 && covers(await wantedVersions(workspace, { ...options, rev: commit })))
      cures.push(`${mlv} push --rev ${name}`);
  }
  return left.size === 0 ? cures : [`${mlv} push --all-commits`];
}

function isId(text: string): boolean {
  return /^[0-9a-f]{40,64}$/.test(text) && !/^0+$/.test(text);
}
