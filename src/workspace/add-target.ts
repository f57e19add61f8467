import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside, relativeRepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText } from '../domain/tree-path.ts';
import type { CheckoutRecord } from './checkout-record.ts';
import { joinSelections, readCheckoutRecord, sameContent, findCheckoutRecord } from './checkout-record.ts';
import { expandGlobs } from './expand-globs.ts';
import type { Workspace } from './open.ts';
import { requireAddable } from './require-addable.ts';
import { adoptPointer } from './status.ts';
import { resolveTarget, trackedAround } from './targets.ts';
import type { Tracked } from './tracked.ts';
import { listTracked } from './list-tracked.ts';
import { isLock } from './references.ts';
import { contentOf, madeByStage, POINTER_SUFFIX, pointerPath, readTracked } from './tracked.ts';
import { withPointersLock } from './write-pointers.ts';

/** A path to be recorded, found to be in order. */
export interface AddTarget {
  /** The tracked path. */
  readonly path: RepoPath;
  /** Its pointer, where it has one. */
  readonly tracked: Tracked | undefined;
  /** The paths inside a tracked directory that alone are to be recorded. */
  readonly inner: readonly TreePath[] | undefined;
  /** What the workspace is compared with. */
  readonly record: CheckoutRecord;
  /** The record as it is on disk. */
  readonly stored: CheckoutRecord;
  /** A command was killed that had written the pointer. */
  readonly isInterrupted: boolean;
}

/** Resolves what was asked to be added; throws before anything is read when one of the targets cannot be. */
export async function findAddTargets(
  workspace: Workspace,
  options: {
    readonly targets: readonly string[];
    readonly cwd: string;
    readonly glob?: boolean | undefined;
    readonly acceptDeletions?: boolean | undefined;
  },
): Promise<AddTarget[]> {
  const { cwd, acceptDeletions = false } = options;
  const typed = options.glob === true ? await expandGlobs(workspace, options) : options.targets;
  const found: AddTarget[] = [];
  let all: Promise<readonly Tracked[]> | undefined;
  const listed = (): Promise<readonly Tracked[]> => (all ??= listTracked(workspace));
  for (const each of typed) found.push(await findAddTarget(workspace, { typed: each, cwd, acceptDeletions, listed }));
  const targets = joinTargets(found);
  requireApart(targets);
  await requireNew(
    workspace,
    targets.filter(({ tracked }) => tracked === undefined),
    listed,
  );
  return targets;
}

/** The target for a path that has a pointer, recorded as a whole. */
export async function targetOfTracked(
  workspace: Workspace,
  first: Tracked,
  acceptDeletions: boolean,
): Promise<AddTarget> {
  const { path } = first;
  let tracked = first;
  let found = findCheckoutRecord(workspace, path, contentOf(tracked.pointer));
  if (isBehind(found.record, tracked)) {
    // Another command may be between pointer and record, or have written both since this pointer was read.
    await withPointersLock(workspace, async () => {
      tracked = (await readTracked(workspace, path)) ?? tracked;
      found = findCheckoutRecord(workspace, path, contentOf(tracked.pointer));
    });
  }
  const { record: stored, isInterrupted } = found;
  const record = baseFor(tracked, stored, acceptDeletions);
  return { path, tracked, inner: undefined, stored, isInterrupted, record };
}

function isBehind({ base }: CheckoutRecord, { pointer }: Pick<Tracked, 'pointer'>): boolean {
  return base !== undefined && !sameContent(base, contentOf(pointer));
}

async function findAddTarget(
  workspace: Workspace,
  options: {
    readonly typed: string;
    readonly cwd: string;
    readonly acceptDeletions: boolean;
    readonly listed: () => Promise<readonly Tracked[]>;
  },
): Promise<AddTarget> {
  const { typed, cwd, acceptDeletions, listed } = options;
  const path = resolveTarget(workspace, cwd, typed);
  if (path === '')
    throw refused('path-is-project', `${typed} is the project itself`, 'Name the data in it: "mlv add data".');
  if (path.endsWith(POINTER_SUFFIX)) {
    throw refused(
      'path-is-pointer',
      `${path} is a pointer`,
      `Name the data: "mlv add ${path.slice(0, -POINTER_SUFFIX.length)}".`,
    );
  }
  if (isLock(path)) {
    throw refused('path-is-lock', `${path} is the record of a pipeline, which Git keeps`, `git add ${path}`);
  }
  const around = await trackedAround(workspace, path, listed);
  if (around?.made !== undefined) throw madeByStage(around.path, around.made);
  if (around?.path === path && !existsSync(join(workspace.root, path))) {
    throw refused(
      'path-missing',
      `the data of ${path} is not here, only its pointer is`,
      `Bring it with "mlv pull ${path}".`,
    );
  }
  requireAddable(workspace, path);
  if (around === undefined) {
    const stored = readCheckoutRecord(workspace, path, undefined);
    const record = { path, base: undefined, selected: 'all' } as const;
    return { path, tracked: undefined, inner: undefined, stored, isInterrupted: false, record };
  }
  const inside = relativeRepoPath(path, around.path) ?? '';
  const whole = await targetOfTracked(workspace, around, acceptDeletions);
  return { ...whole, inner: inside === '' ? undefined : [treePathFromText(inside)] };
}

/** One target for each tracked path: what was named twice, or by several of its paths, is recorded once. */
function joinTargets(targets: readonly AddTarget[]): AddTarget[] {
  const joined = new Map<RepoPath, AddTarget>();
  for (const target of targets) {
    const selection = joinSelections(
      joined.get(target.path)?.inner ?? (joined.has(target.path) ? 'all' : []),
      target.inner ?? 'all',
    );
    joined.set(target.path, { ...target, inner: selection === 'all' ? undefined : selection });
  }
  return [...joined.values()];
}

/** What edits are measured against. Refuses where recording would silently undo what the pointer has and the workspace never got. */
function baseFor({ path, pointer }: Tracked, stored: CheckoutRecord, acceptDeletions: boolean): CheckoutRecord {
  const content = contentOf(pointer);
  if (acceptDeletions) return { path, base: content, selected: 'all' };
  if (stored.target !== undefined) {
    throw refused(
      'checkout-unfinished',
      `the last checkout of ${path} was not finished, so what is missing there may not be deleted`,
      `Finish it with "mlv checkout ${path}", or record the workspace as it is with "mlv add ${path} --accept-deletions".`,
    );
  }
  if (isBehind(stored, { pointer })) {
    throw refused(
      'out-of-date',
      `the pointer of ${path} names another version than the one the workspace was brought to`,
      `Bring it up to date with "mlv checkout ${path}" (your edits stay), or record the workspace as it is with "mlv add ${path} --accept-deletions".`,
    );
  }
  return adoptPointer(stored, content);
}

/** What is tracked for the first time must not be Git's already, hold other tracked paths, or have a pointer that Git would not see. */
async function requireNew(
  workspace: Workspace,
  targets: readonly AddTarget[],
  listed: () => Promise<readonly Tracked[]>,
): Promise<void> {
  if (targets.length === 0) return;
  const others = await listed();
  for (const { path } of targets) {
    const inside = others.find((other) => isInside(other.path, path));
    if (inside === undefined) continue;
    if (inside.made !== undefined)
      throw madeByStage(inside.path, inside.made, `Add what is beside it in ${path} by itself.`);
    throw refused(
      'paths-overlap',
      `${path} holds ${inside.path}, which is tracked by itself`,
      `Stop tracking that with "mlv remove ${inside.path}" (its data stays), then add ${path}.`,
    );
  }
  const git = await workspace.git();
  if (git === undefined) return;
  const full = (path: string): string => (workspace.prefix === '' ? path : `${workspace.prefix}/${path}`);
  const [inGit] = await git.tracked(targets.map(({ path }) => full(path)));
  if (inGit !== undefined) {
    throw refused(
      'tracked-by-git',
      `${inGit} is tracked by Git`,
      `Take it out of Git first, the data stays: git rm -r --cached ${inGit}`,
    );
  }
  const pointers = targets.map(({ path }) => pointerPath(path));
  const [ignored] = await git.ignored(pointers.map(full));
  if (ignored !== undefined) {
    throw refused(
      'pointer-ignored',
      `Git ignores ${ignored}, so nobody would get the pointer`,
      `Find the line that does it: git check-ignore -v ${ignored}`,
    );
  }
}

function requireApart(targets: readonly AddTarget[]): void {
  for (const outer of targets) {
    for (const { path } of targets) {
      if (outer.inner !== undefined || !isInside(path, outer.path)) continue;
      throw refused(
        'paths-overlap',
        `${path} lies inside ${outer.path}, which is being added as well`,
        'Add the outer one alone: a folder is versioned with all that is in it.',
      );
    }
  }
}

function refused(code: string, message: string, hint: string): MlvError {
  return new MlvError({ code, kind: 'refused', message, hint });
}
