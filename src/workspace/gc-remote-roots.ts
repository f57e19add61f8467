import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { CommitId, GitRemoteRef, GitRepository } from '../git/git.ts';
import type { Workspace } from './open.ts';

const PUBLISHED = ['refs/heads/', 'refs/tags/', 'refs/mlv/'];
const TOLD = 5;

/**
 * What all Git remotes of the repository have published, as they are now. Throws `no-git`, `clone-shallow`, and `clone-behind` when
 * there is something that this clone does not have: it could not be told what data that needs.
 */
export async function publishedCommits(workspace: Workspace): Promise<CommitId[]> {
  const git = await workspace.git();
  if (git === undefined || workspace.layout === undefined) throw noGit();
  if (existsSync(join(workspace.layout.commonDir, 'shallow'))) throw shallow();
  const commits = new Map<string, CommitId | undefined>();
  const unknown: GitRemoteRef[] = [];
  for (const ref of await git.remoteRefs(PUBLISHED)) {
    if (!commits.has(ref.id)) commits.set(ref.id, await commitIfKnown(git, ref));
    if (commits.get(ref.id) === undefined) unknown.push(ref);
  }
  if (unknown.length > 0) throw behind(unknown);
  return [...commits.values()].filter((commit) => commit !== undefined);
}

async function commitIfKnown(git: GitRepository, { id }: GitRemoteRef): Promise<CommitId | undefined> {
  try {
    return await git.resolve(id);
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind !== 'missing') throw error;
    return undefined;
  }
}

function behind(refs: readonly GitRemoteRef[]): MlvError {
  const [{ remote } = { remote: 'origin' }] = refs;
  return new MlvError({
    code: 'clone-behind',
    kind: 'refused',
    message: `${refs.length} refs of Git remotes lead to commits that this clone does not have, so it is not known what data they need`,
    hint: `git fetch --all --tags, or for all of them: git fetch ${remote} "refs/*:refs/mlv-gc/*"`,
    items: [
      ...refs.slice(0, TOLD).map((ref) => `${ref.remote} ${ref.name}`),
      ...(refs.length > TOLD ? [`and ${refs.length - TOLD} more`] : []),
    ],
  });
}

function shallow(): MlvError {
  return new MlvError({
    code: 'clone-shallow',
    kind: 'refused',
    message: 'this clone has only a part of the history, so it is not known what data the rest needs',
    hint: 'git fetch --unshallow',
  });
}

function noGit(): MlvError {
  return new MlvError({
    code: 'no-git',
    kind: 'refused',
    message: 'this project has no Git repository, so it is not known what data others need',
    hint: 'Run it in a clone of the repository whose data the remote has.',
  });
}
