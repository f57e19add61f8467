import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { LOCK_FILE } from '../domain/pipeline.ts';
import type { CommitId, GitRepository } from '../git/git.ts';
import type { CheckedPush, PlannedPush } from './check-push.ts';
import { checkPush, parsePushedRefs, pushedCommits, unchecked } from './check-push.ts';
import type { FollowResult } from './follow-pointers.ts';
import { followPointers } from './follow-pointers.ts';
import type { HookName } from './hook-script.ts';
import type { OpenOptions, Workspace } from './open.ts';
import { findLayout, openRepository, openWorkspace, PROJECT_FILE } from './open.ts';
import type { VerbOptions } from './progress.ts';
import type { StatusItem } from './status.ts';
import { status } from './status.ts';
import { isReference } from './references.ts';
import { POINTER_SUFFIX } from './tracked.ts';

/** A hook as Git calls it: in the top folder of the work tree. */
export interface HookCall extends OpenOptions, VerbOptions {
  readonly hook: HookName;
  readonly args: readonly string[];
  /** What Git gives on standard input; read for pre-push alone. */
  readonly input: () => Promise<string>;
  readonly autoPush: boolean;
}

/** What a hook found out in one project. */
export type HookOutcome = {
  /** The project's folder below the work tree's; '' for the same. */
  readonly prefix: string;
} & (
  | { readonly hook: 'pre-commit'; readonly modified: readonly StatusItem[] }
  | ({ readonly hook: 'pre-push' } & CheckedPush)
  | ({ readonly hook: 'checkout' } & FollowResult)
);

/** Does what a hook is for, in each project of the work tree. Throws `push-unchecked`, and whatever keeps a project from being read. */
export async function runHook(call: HookCall): Promise<HookOutcome[]> {
  const layout = findLayout(call.cwd, call.environment);
  if (layout === undefined) return [];
  // Git may have named its folders relative to this one.
  const environment = { ...call.environment, GIT_DIR: layout.gitDir, GIT_WORK_TREE: layout.workTree };
  const git = await openRepository(layout, environment);
  if (git === undefined) return [];
  const outcomes: HookOutcome[] = [];
  try {
    const push = call.hook === 'pre-push' ? await plannedPush(call) : undefined;
    if (push?.refs.length === 0 || (call.hook === 'post-checkout' && isRebasing(git))) return [];
    const prefixes = await findProjects(git);
    if (push !== undefined && prefixes.length === 0) await requireNoPointers(git, push);
    for (const prefix of prefixes) {
      const workspace = await openWorkspace({ ...call, environment, cwd: join(layout.workTree, prefix) });
      try {
        outcomes.push({ prefix, ...(await runIn(workspace, { call, push, git })) });
      } finally {
        await workspace.close();
      }
    }
    return outcomes;
  } catch (error) {
    const isTold = !(error instanceof MlvError) || error.code === 'push-unchecked' || error.kind === 'interrupted';
    throw call.hook !== 'pre-push' || isTold ? error : unchecked(error);
  } finally {
    await git.close();
  }
}

type OutcomeInProject = HookOutcome extends infer O ? (O extends HookOutcome ? Omit<O, 'prefix'> : never) : never;

async function runIn(
  workspace: Workspace,
  given: { readonly call: HookCall; readonly push: PlannedPush | undefined; readonly git: GitRepository },
): Promise<OutcomeInProject> {
  const { call, push, git } = given;
  const { hook, autoPush, onProgress, signal } = call;
  const verb: VerbOptions = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  if (push !== undefined) return { hook: 'pre-push', ...(await checkPush(workspace, { ...push, ...verb, autoPush })) };
  if (hook === 'pre-commit') {
    const { items } = await status(workspace, { targets: [], cwd: workspace.root, ...verb });
    return { hook, modified: items.filter(({ state }) => state === 'modified') };
  }
  return {
    hook: 'checkout',
    ...(await followPointers(workspace, { previous: await previousCommit(git, call), ...verb })),
  };
}

async function plannedPush({ args: [gitRemote = ''], input }: HookCall): Promise<PlannedPush> {
  return { gitRemote, refs: parsePushedRefs(await input()) };
}

/** The commit that the work tree was at; undefined where it is new, or nobody knows. */
async function previousCommit(git: GitRepository, { hook, args }: HookCall): Promise<CommitId | undefined> {
  const name = hook === 'post-checkout' ? (args[0] ?? '') : 'ORIG_HEAD';
  return git.resolve(name).catch((error: unknown) => {
    if (error instanceof MlvError && error.code === 'revision-unknown') return undefined;
    throw error;
  });
}

/** True while a rebase has commits left to apply: it runs post-rewrite when it is done, unless there were none. */
function isRebasing({ layout }: GitRepository): boolean {
  const todo = join(layout.gitDir, 'rebase-merge', 'git-rebase-todo');
  return existsSync(todo) && /^(?!#|noop$)\S/m.test(readFileSync(todo, 'utf8'));
}

/** Folders of the projects in a work tree, as far as Git knows them or they are at its top. */
async function findProjects(git: GitRepository): Promise<string[]> {
  const { workTree } = git.layout;
  const isProject = (prefix: string): boolean => existsSync(join(workTree, prefix, PROJECT_FILE));
  const known = await git.listIndex((path) => path === PROJECT_FILE || path.endsWith(`/${PROJECT_FILE}`));
  const prefixes = known.map(({ path }) => path.slice(0, -PROJECT_FILE.length).replace(/\/$/, ''));
  return [...new Set(['', ...prefixes])].filter(isProject);
}

/** Of another branch's project, nothing here says where its data goes. */
async function requireNoPointers(git: GitRepository, { refs }: PlannedPush): Promise<void> {
  for (const commit of (await pushedCommits(git, refs)).keys()) {
    const files = await git.listFiles(commit, (path) => isReference(path) || path.endsWith(PROJECT_FILE));
    const isProject = files.some(({ path }) => path.endsWith(PROJECT_FILE));
    if (!isProject || !files.some(({ path }) => isReference(path))) continue;
    throw unchecked(
      new MlvError({
        code: 'not-a-project',
        kind: 'missing',
        message: `${commit.slice(0, 10)} has pointers (*${POINTER_SUFFIX}) or ${LOCK_FILE}, and this work tree has no mlv project`,
        hint: 'Switch to a branch that has it',
      }),
    );
  }
}
