import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import { POINTER_VERSION } from '../domain/pointer.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { AddTarget } from './add-target.ts';
import { findAddTargets } from './add-target.ts';
import type { CheckoutRecord, Content } from './checkout-record.ts';
import { joinSelections, sameContent } from './checkout-record.ts';
import { countChanges } from './count-changes.ts';
import { editDataset } from './edit-dataset.ts';
import { takeSnapshotWithPages } from './ensure-pages.ts';
import { importOutside } from './import-outside.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { requireRoomToAdd } from './room-to-add.ts';
import { unscannable } from './scan.ts';
import type { StorageTasks } from './task-runner.ts';
import { createStorageTasks } from './task-runner.ts';
import { contentOf } from './tracked.ts';
import type { PointerChange } from './write-pointers.ts';
import { writePointers } from './write-pointers.ts';

export interface AddItem {
  readonly path: RepoPath;
  readonly type: 'file' | 'dir';
  readonly outcome: 'new' | 'updated' | 'unchanged';
  readonly hash: Digest;
  readonly files: number;
  readonly size: number;
  /** Against the version before. */
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

export interface AddResult {
  readonly items: readonly AddItem[];
  /** Paths staged in Git, relative to the project. */
  readonly staged: readonly string[];
}

export interface AddOptions extends VerbOptions {
  /** Relative to `cwd`, which is absolute. */
  readonly targets: readonly string[];
  readonly cwd: string;
  /** Targets are patterns, expanded here rather than by a shell. */
  readonly glob?: boolean | undefined;
  readonly desc?: string | undefined;
  readonly remote?: string | undefined;
  /** Where to put the one target, which may lie outside the project. */
  readonly output?: string | undefined;
  /** What a checkout has not brought into the workspace counts as deleted. */
  readonly acceptDeletions?: boolean | undefined;
}

/** What was found at one target, all of it durable in the cache. */
export interface Recorded {
  readonly target: AddTarget;
  readonly content: Content;
  readonly files: number;
  readonly bytes: number;
  /** What the workspace then holds. */
  readonly record: CheckoutRecord;
}

/**
 * Takes data into the cache and writes pointers. All targets are read before any pointer is written: an error in one leaves
 * everything as it was.
 */
export async function add(workspace: Workspace, options: AddOptions): Promise<AddResult> {
  requireRemote(workspace, options.remote);
  const { output } = options;
  if (output !== undefined) return importOutside(workspace, { ...options, output });
  const targets = await findAddTargets(workspace, options);
  return recordTargets(workspace, targets, options);
}

/** Records the present content of targets that were found to be in order. */
export async function recordTargets(
  workspace: Workspace,
  targets: readonly AddTarget[],
  options: VerbOptions & { readonly desc?: string | undefined; readonly remote?: string | undefined },
): Promise<AddResult> {
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    await requireRoomForTargets(workspace, targets, { ...options, tasks });
    const recorded: Recorded[] = [];
    for (const target of targets) recorded.push(await recordTarget(workspace, target, { ...options, tasks }));
    const changes = recorded.flatMap((each) => pointerChange(each, options));
    const items = recorded.map((each) => describe(workspace, each));
    const unchanged = recorded
      .map(({ target }) => target.path)
      .filter((path) => !changes.some((change) => change.path === path));
    const records = recorded
      .filter(({ target, record }) => target.isInterrupted || JSON.stringify(record) !== JSON.stringify(target.stored))
      .map(({ record }) => record);
    const interrupted = targets.filter(({ isInterrupted }) => isInterrupted).map(({ path }) => path);
    const staged = await writePointers(workspace, changes, { unchanged, interrupted, records });
    return { items, staged };
  } finally {
    await tasks.close();
  }
}

/** What goes into a folder that is not read as a whole is little. */
async function requireRoomForTargets(
  workspace: Workspace,
  targets: readonly AddTarget[],
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<void> {
  const whole = new Map(targets.filter(({ inner }) => inner === undefined).map((target) => [target.path, target]));
  const sources = [...whole.keys()].map((path) => ({ path, absolute: join(workspace.root, path) }));
  await requireRoomToAdd(workspace, sources, (path) => {
    const record = whole.get(path)?.record ?? { path, base: undefined, selected: 'all' };
    const tracked = whole.get(path)?.tracked;
    return takeSnapshotWithPages({ ...options, workspace, path, tracked, record, store: false });
  });
}

async function recordTarget(
  workspace: Workspace,
  target: AddTarget,
  options: VerbOptions & { readonly tasks: StorageTasks },
): Promise<Recorded> {
  if (target.inner !== undefined) return editDataset(workspace, { ...target, inner: target.inner }, options);
  const { path, tracked, record } = target;
  const snapshot = await takeSnapshotWithPages({
    ...options,
    workspace,
    path,
    tracked,
    record,
    store: true,
    refusesPurged: true,
  });
  if (snapshot.problems.length > 0) throw unscannable(path, snapshot.problems);
  if (snapshot.content === undefined) throw vanished(path);
  const { content, files, bytes } = snapshot;
  const isPart = content.type === 'dir' && snapshot.notCheckedOut > 0;
  const selected = isPart ? joinSelections(record.selected, snapshot.brought) : 'all';
  return { target, content, files, bytes, record: { path, base: content, selected } };
}

function pointerChange(
  recorded: Recorded,
  { desc, remote }: { desc?: string | undefined; remote?: string | undefined },
): PointerChange[] {
  const { content, files, bytes } = recorded;
  const { path, tracked } = recorded.target;
  const pointer: Pointer = {
    ...tracked?.pointer,
    version: POINTER_VERSION,
    type: content.type,
    hash: content.hash,
    size: bytes,
    ...(desc !== undefined && { desc }),
    ...(remote !== undefined && { remote }),
  };
  const { files: _files, exec: _exec, ...bare } = pointer;
  const complete: Pointer = {
    ...bare,
    ...(content.type === 'dir' && { files }),
    ...(content.type === 'file' && content.exec && { exec: true as const }),
  };
  if (tracked !== undefined && JSON.stringify(sorted(tracked.pointer)) === JSON.stringify(sorted(complete))) return [];
  return [{ path, pointer: complete, text: tracked?.text }];
}

function sorted(pointer: Pointer): [string, unknown][] {
  return Object.entries(pointer).sort(([a], [b]) => (a < b ? -1 : 1));
}

function describe(workspace: Workspace, { target, content, files, bytes }: Recorded): AddItem {
  const { path, tracked } = target;
  const common = { path, type: content.type, hash: content.hash, files, size: bytes };
  if (tracked === undefined) return { ...common, outcome: 'new', added: files, changed: 0, removed: 0 };
  const before = contentOf(tracked.pointer);
  if (sameContent(before, content)) return { ...common, outcome: 'unchanged', added: 0, changed: 0, removed: 0 };
  return { ...common, outcome: 'updated', ...countChanges(workspace, { path, before, after: content }) };
}

function requireRemote(workspace: Workspace, name: string | undefined): void {
  if (name === undefined || workspace.settings.remotes.has(name)) return;
  throw new MlvError({
    code: 'remote-unknown',
    kind: 'missing',
    message: `there is no remote "${name}"`,
    hint: `"mlv remote list" shows what there is; "mlv remote add ${name} URL" adds it.`,
  });
}

function vanished(path: string): MlvError {
  return new MlvError({
    code: 'path-missing',
    kind: 'missing',
    message: `${path} vanished while it was added`,
    hint: 'Nothing was changed.',
  });
}
