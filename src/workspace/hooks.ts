import { renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { fsyncFolder, makeFolderDurably, removeFileDurably, writeFileDurably } from '../platform/durable-write.ts';
import { findProgram } from '../platform/find-program.ts';
import { ioError } from '../platform/io-error.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { DriverStatus } from './git-drivers.ts';
import { installDrivers, readDriverStatus, removeDrivers } from './git-drivers.ts';
import type { HookFile, HooksFolder } from './hook-files.ts';
import { findHooksFolder, readHook } from './hook-files.ts';
import type { BlockOptions, HookName } from './hook-script.ts';
import { blockText, HOOKS, isSameBlock, SHEBANG, withBlock, withoutBlock } from './hook-script.ts';
import type { Workspace } from './open.ts';
import { requireGit } from './transfer-scope.ts';

export interface ChangedHook {
  readonly hook: HookName;
  /** Absolute. */
  readonly path: string;
  readonly change: 'installed' | 'updated' | 'unchanged' | 'removed' | 'absent';
  /** Where a hook that is no shell script was put, to run after ours. */
  readonly aside?: string;
}

export interface ChangedHooks {
  readonly folder: string;
  /** True where Git brings the files to others, once they are committed. */
  readonly isShared: boolean;
  readonly hooks: readonly ChangedHook[];
  /** True where `.gitattributes` is other than before, and so to be committed. */
  readonly attributesChanged: boolean;
}

export type HookState =
  | 'installed'
  | 'outdated' // as another version of mlv wrote it
  | 'edited' // changed by somebody since
  | 'inactive' // Git passes over it, as it is not executable
  | 'foreign' // something else is there
  | 'missing';

export interface HooksStatus {
  readonly folder: string;
  readonly isShared: boolean;
  readonly hooks: readonly { readonly hook: HookName; readonly path: string; readonly state: HookState }[];
  readonly autoPush: boolean;
  readonly drivers: DriverStatus;
  /** The mlv that hooks find; undefined where PATH has none. */
  readonly program: string | undefined;
}

export interface InstallOptions {
  /** `git push` sends data, instead of refusing to push commits without. */
  readonly autoPush: boolean;
  /** What runs where PATH has no mlv: Node, and its script. */
  readonly fallback: readonly [node: string, script: string];
}

/**
 * Puts mlv's part into this clone's hooks, before what is there, and sets up the merge and diff drivers. What is no shell script is put
 * aside, and runs after ours. Throws before anything is changed: what `installDrivers` throws, `hooks-folder-outside`, `hook-not-a-file`, `hook-not-executable`, `hook-block-broken`, `hook-aside-exists`,
 * `git-program-needed`, `no-git`.
 */
export async function installHooks(workspace: Workspace, options: InstallOptions): Promise<ChangedHooks> {
  const place = await findHooksFolder(await requireGit(workspace));
  const files = HOOKS.map((hook) => readHook(place, hook));
  for (const file of files) requireUsable(file);
  const drivers = await installDrivers(workspace, { program: options.fallback });
  try {
    makeFolderDurably(place.folder);
  } catch (error) {
    throw ioError(error, 'write', place.folder);
  }
  return { ...told(place), ...drivers, hooks: files.map((file) => install(file, { ...options, place })) };
}

/** Takes the drivers away, and mlv's part out of the hooks, so that the rest is byte for byte what it was, or has become since. Throws `hook-edited`. */
export async function removeHooks(workspace: Workspace): Promise<ChangedHooks> {
  const place = await findHooksFolder(await requireGit(workspace));
  const files = HOOKS.map((hook) => readHook(place, hook));
  for (const file of files) requireRemovable(file);
  return { ...told(place), ...(await removeDrivers(workspace)), hooks: files.map(remove) };
}

/** Looks at this clone's hooks and drivers. */
export async function readHooksStatus(
  workspace: Workspace,
  { fallback }: Pick<InstallOptions, 'fallback'>,
): Promise<HooksStatus> {
  const place = await findHooksFolder(await requireGit(workspace));
  const files = HOOKS.map((hook) => readHook(place, hook));
  return {
    ...told(place),
    hooks: files.map((file) => ({ hook: file.hook, path: file.path, state: stateOf(file) })),
    autoPush: files.some(({ hook, block }) => hook === 'pre-push' && block?.autoPush === true),
    drivers: await readDriverStatus(workspace, { program: fallback }),
    program: findProgram('mlv', workspace.environment['PATH'] ?? ''),
  };
}

function told({ folder, isShared }: HooksFolder): Pick<ChangedHooks, 'folder' | 'isShared'> {
  return { folder, isShared };
}

function install(file: HookFile, options: InstallOptions & { readonly place: HooksFolder }): ChangedHook {
  const { hook, path, kind, script, mode, block } = file;
  const asidePath = asideOf(file);
  const isAside = kind === 'other';
  // An installation that did not come to its end may have put it there.
  const hasAside = isAside || block?.aside !== undefined || (kind === 'nothing' && existsAt(asidePath));
  const wanted: BlockOptions = {
    autoPush: options.autoPush,
    // Paths of this machine are no use to others.
    fallback: options.place.isShared ? undefined : options.fallback,
    aside: hasAside ? basename(asidePath) : undefined,
    ownsFile: block?.ownsFile ?? kind !== 'script',
  };
  const text = withBlock(kind === 'script' ? script : SHEBANG, blockText(hook, wanted));
  if (kind === 'script' && text === script) return { hook, path, change: 'unchanged' };
  try {
    if (isAside) renameSync(path, asidePath);
  } catch (error) {
    throw ioError(error, 'write', path);
  }
  writeFileDurably(path, Buffer.from(text, 'latin1'), { mode });
  const change = block === undefined ? 'installed' : 'updated';
  return { hook, path, change, ...(isAside && { aside: asidePath }) };
}

function remove(file: HookFile): ChangedHook {
  const { hook, path, script, mode, block } = file;
  if (block === undefined) return { hook, path, change: 'absent' };
  const rest = withoutBlock(script, block);
  const aside = block.aside === undefined ? undefined : join(dirname(path), block.aside);
  try {
    if (aside !== undefined && existsAt(aside)) {
      renameSync(aside, path);
      fsyncFolder(dirname(path));
    } else if (block.ownsFile && rest === SHEBANG) {
      removeFileDurably(path);
    } else {
      writeFileDurably(path, Buffer.from(rest, 'latin1'), { mode });
    }
  } catch (error) {
    throw ioError(error, 'write', path);
  }
  return { hook, path, change: 'removed' };
}

function stateOf({ hook, kind, block, isBroken, runs }: HookFile): HookState {
  if (kind === 'nothing') return 'missing';
  if (isBroken) return 'edited';
  if (block === undefined) return 'foreign';
  if (!runs) return 'inactive';
  if (!block.isIntact) return 'edited';
  const { autoPush, aside, ownsFile } = block;
  return isSameBlock(block, blockText(hook, { autoPush, aside, ownsFile, fallback: undefined }))
    ? 'installed'
    : 'outdated';
}

function asideOf({ hook, path }: HookFile): string {
  return join(dirname(path), `${hook}.before-mlv`);
}

function existsAt(path: string): boolean {
  return statsAt(path) !== undefined;
}

function requireUsable(file: HookFile): void {
  const { path, kind, runs } = file;
  requireWhole(file);
  if (kind === 'folder') {
    throw new MlvError({
      code: 'hook-not-a-file',
      kind: 'refused',
      message: `${path} is a folder, and Git runs no hook of that name`,
      hint: 'Move it elsewhere, then install again. Nothing was changed.',
    });
  }
  if (!runs) {
    throw new MlvError({
      code: 'hook-not-executable',
      kind: 'refused',
      message: `${path} is not executable: Git passes over it, and would run it with mlv's part in it`,
      hint: `chmod +x ${path}, if it is to run; otherwise move it elsewhere. Nothing was changed.`,
    });
  }
  if (kind === 'other' && existsAt(asideOf(file))) {
    throw new MlvError({
      code: 'hook-aside-exists',
      kind: 'refused',
      message: `${path} is no shell script, and cannot be put aside: ${asideOf(file)} exists`,
      hint: 'Move one of the two elsewhere, then install again. Nothing was changed.',
    });
  }
}

function requireWhole({ path, isBroken }: HookFile): void {
  if (!isBroken) return;
  throw new MlvError({
    code: 'hook-block-broken',
    kind: 'refused',
    message: `${path} has the first line of mlv's part ("# >>> mlv") and not its last one`,
    hint: "Remove what is left of mlv's part, then run this again. Nothing was changed.",
  });
}

/** What was put aside is to come back, and may not take the place of what somebody wrote since. */
function requireRemovable(file: HookFile): void {
  const { path, script, block } = file;
  requireWhole(file);
  if (block?.aside === undefined || withoutBlock(script, block) === SHEBANG || !existsAt(asideOf(file))) return;
  throw new MlvError({
    code: 'hook-edited',
    kind: 'refused',
    message: `${path} has lines that are not mlv's, and ${asideOf(file)} is to come back in its place`,
    hint: 'Move those lines elsewhere, then run this again. Nothing was changed.',
  });
}
