import { makeFolderDurably } from '../platform/durable-write.ts';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { findCollisions } from '../domain/name-collisions.ts';
import type { CheckoutStep } from '../domain/three-way.ts';
import { treePathToText } from '../domain/tree-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { probeNames } from '../platform/disk-probe.ts';
import type { Selection } from './checkout-record.ts';
import type { CheckoutSituation } from './checkout-plan.ts';
import { changesType, openPlan } from './checkout-plan.ts';
import type { Workspace } from './open.ts';
import { isOnOneDisk } from './open.ts';

/** A situation, and what carrying it out would lose. */
export interface Examined {
  readonly situation: CheckoutSituation;
  /** Paths that both sides changed. */
  readonly conflicts: readonly string[];
  /** With force: paths whose edits will be overwritten. */
  readonly overwritten: readonly string[];
}

/** On a disk that ignores case or normalisation, two entries of one name would overwrite each other. */
export function requireDistinctNames(workspace: Workspace, { path, content, selected }: CheckoutSituation): void {
  if (content?.type !== 'dir') return;
  const { root, ownFolder } = workspace;
  // A trial file that a killed command leaves is to be nothing that Git would add.
  makeFolderDurably(ownFolder);
  const { ignoresCase, ignoresNormalisation } = probeNames(isOnOneDisk(ownFolder, root) ? ownFolder : root);
  if (!ignoresCase && !ignoresNormalisation) return;
  const entries = selectedEntries(workspace, content.hash, selected);
  const collisions = findCollisions(entries);
  if (collisions.length === 0) return;
  throw new MlvError({
    code: 'checkout-names-collide',
    kind: 'conflict',
    message: `${path} holds names that are one and the same on this disk`,
    items: collisions.map((group) => group.map((name) => `${path}/${name}`).join(' = ')),
    hint: 'Nothing was changed. Rename them where case matters, or check out a part: "mlv checkout PATH/INSIDE".',
  });
}

/** `unsaved` are paths that are not edited, and whose content only the workspace has. */
export function findLosses(
  workspace: Workspace,
  situation: CheckoutSituation,
): Omit<Examined, 'situation'> & { unsaved: string[] } {
  const conflicts: string[] = [];
  const overwritten: string[] = [];
  const unsaved: string[] = [];
  const { snapshot, record, restore } = situation;
  // Nothing is here, and nothing that was deleted is to stay so.
  if (snapshot.content === undefined && (record.base === undefined || restore === 'all'))
    return { conflicts, overwritten, unsaved };
  const plan = openPlan(workspace, situation);
  for (const step of plan.steps()) {
    const path = pathOf(situation, step);
    if (step.action === 'conflict') conflicts.push(path);
    else if (plan.losesEdit(step)) overwritten.push(path);
    else if (step.action !== 'keep' && step.found !== undefined && !isSaved(workspace, step.found)) unsaved.push(path);
  }
  return { conflicts, overwritten, unsaved };
}

function isSaved(workspace: Workspace, { kind, digest }: TreeEntry): boolean {
  return kind === 'd' || workspace.purged().has(digest) || workspace.cache().has(digest);
}

/** Stops before anything is changed. With force, returns the paths whose edits will be overwritten. */
export function refuseConflicts(examined: readonly Examined[], isForced: boolean): string[] {
  for (const { situation } of examined) requireFreeFolder(situation);
  const conflicts = examined.flatMap((each) => each.conflicts);
  if (conflicts.length === 0) return examined.flatMap((each) => each.overwritten);
  throw new MlvError({
    code: 'checkout-conflict',
    kind: 'conflict',
    message: `${conflicts.length} ${conflicts.length === 1 ? 'path was' : 'paths were'} changed both here and in the version to check out`,
    items: conflicts,
    hint: isForced
      ? "Files and folders stand in each other's place there: move your own away. Nothing was changed."
      : 'Nothing was changed. Copy your versions elsewhere, or overwrite them with "mlv checkout --force".',
  });
}

/** A folder may not take the place of a file that is nobody's, nor the other way round. */
function requireFreeFolder({ path, content, snapshot, record }: CheckoutSituation): void {
  if (content === undefined || snapshot.content === undefined || snapshot.content.type === content.type) return;
  if (record.base?.type === snapshot.content.type) return;
  throw new MlvError({
    code: 'checkout-conflict',
    kind: 'conflict',
    message: `${path} is a ${snapshot.content.type === 'dir' ? 'folder' : 'file'} here and a ${content.type === 'dir' ? 'folder' : 'file'} in the version to check out`,
    items: [path],
    hint: 'Nothing was changed. Move yours away, then run "mlv checkout" again.',
  });
}

function pathOf(situation: CheckoutSituation, step: CheckoutStep): string {
  const { path, content, record } = situation;
  const type = changesType(situation) ? record.base?.type : content?.type;
  return type === 'file' ? path : `${path}/${treePathToText(step.path)}`;
}

function* selectedEntries(workspace: Workspace, root: Digest, selected: Selection): Generator<string> {
  for (const below of selected === 'all' ? [undefined] : selected) {
    for (const entry of readEntries(root, workspace.cache().read, below)) yield treePathToText(entry.path);
  }
}
