import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { makeFolderDurably, writeFileDurably } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import type { Workspace } from './open.ts';

/** The part of a dataset that is meant to be in the workspace: everything, or what lies at or below these paths. */
export type Selection = 'all' | readonly TreePath[];

/** A version of what is tracked. */
export interface Content {
  readonly type: 'file' | 'dir';
  /** Of a file its bytes, of a directory its tree root. */
  readonly hash: Digest;
  readonly exec: boolean;
}

/** What mlv last brought into, or took from, the workspace at a tracked path. Never discarded: only it tells edits from old data. */
export interface CheckoutRecord {
  readonly path: RepoPath;
  readonly base: Content | undefined;
  readonly selected: Selection;
  /** Set while a checkout is under way: what it is bringing in. */
  readonly target?: {
    readonly content: Content;
    readonly selected: Selection;
    /** What checkouts before this one were bringing in that were not finished either: all of them have left traces. */
    readonly earlier?: readonly Content[];
    /** Where what is missing of the base is to come back: until the end, it does not tell of a deletion. */
    readonly restore?: Selection;
  };
}

/** A record as it is on disk. */
interface StoredRecord extends CheckoutRecord {
  /** While a pointer is being written: what it will name, and the part of that which the workspace has. */
  readonly next?: { readonly content: Content; readonly selected: Selection };
}

const VERSION = 1;

/** Where a tracked path's own state of this work tree is kept. */
export function stateFiles(
  workspace: Workspace,
  path: RepoPath,
): { readonly record: string; readonly statCache: string } {
  const whole = workspace.prefix === '' ? path : `${workspace.prefix}/${path}`;
  const name = hashEngine().hash(Buffer.from(whole, 'utf8')).toString('hex', 0, 16);
  return {
    record: join(workspace.ownFolder, 'checkout', `${name}.json`),
    statCache: join(workspace.ownFolder, 'state', name),
  };
}

/**
 * The record of a path whose pointer names this; one that says nothing was ever materialised where there is none. Throws
 * `checkout-record-damaged`.
 */
export function readCheckoutRecord(workspace: Workspace, path: RepoPath, named: Content | undefined): CheckoutRecord {
  return settled(readStoredRecord(workspace, path), named);
}

/** The same, and whether a command was killed between writing the pointer and finishing: Git may not have it staged. */
export function findCheckoutRecord(
  workspace: Workspace,
  path: RepoPath,
  named: Content,
): { readonly record: CheckoutRecord; readonly isInterrupted: boolean } {
  const stored = readStoredRecord(workspace, path);
  const record = settled(stored, named);
  return { record, isInterrupted: stored.next !== undefined && record.base === stored.next.content };
}

/** The same; where a command was killed, its record is written. */
export function settleCheckoutRecord(workspace: Workspace, path: RepoPath, named: Content): CheckoutRecord {
  const { record, isInterrupted } = findCheckoutRecord(workspace, path, named);
  if (isInterrupted) writeCheckoutRecord(workspace, record);
  return record;
}

/** What was announced holds once the pointer names it. */
function settled({ next, ...record }: StoredRecord, named: Content | undefined): CheckoutRecord {
  if (next === undefined || !sameContent(next.content, named)) return record;
  return { path: record.path, base: next.content, selected: next.selected };
}

function readStoredRecord(workspace: Workspace, path: RepoPath): StoredRecord {
  const file = stateFiles(workspace, path).record;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT', 'ENOTDIR')) throw error;
    return { path, base: undefined, selected: [] };
  }
  try {
    const [json = '', sum = ''] = text.split('\n');
    const { version, ...record } = JSON.parse(json) as StoredRecord & { version: number };
    // A bit that flipped in a digest or path would be a record of something else.
    const isIntact = sum === '' || sum === sumOf(json);
    if (isIntact && version === VERSION && record.path === path && isWhole(record)) return record;
  } catch {
    // told below
  }
  throw new MlvError({
    code: 'checkout-record-damaged',
    kind: 'corrupt',
    message: `the record of what is checked out at ${path} cannot be read: ${file}`,
    hint: 'Delete that file: mlv then takes nothing for granted about that path, and overwrites nothing there unasked.',
  });
}

/** Half a record would let edits pass for old data. */
function isWhole({ base, selected, target, next }: StoredRecord): boolean {
  const isContent = ({ type, hash, exec }: Content): boolean =>
    (type === 'file' || type === 'dir') && isDigest(hash) && typeof exec === 'boolean';
  const isSelection = (selection: Selection): boolean =>
    selection === 'all' || (Array.isArray(selection) && selection.every((each) => typeof each === 'string'));
  if ((base !== undefined && !isContent(base)) || !isSelection(selected)) return false;
  if (next !== undefined && !(isContent(next.content) && isSelection(next.selected))) return false;
  if (target === undefined) return true;
  const { content, earlier = [], restore = 'all' } = target;
  return isContent(content) && earlier.every(isContent) && isSelection(target.selected) && isSelection(restore);
}

export function writeCheckoutRecord(workspace: Workspace, record: CheckoutRecord): void {
  const file = stateFiles(workspace, record.path).record;
  makeFolderDurably(dirname(file));
  const json = JSON.stringify({ version: VERSION, ...record });
  writeFileDurably(file, `${json}\n${sumOf(json)}\n`);
}

function sumOf(json: string): string {
  return hashEngine().hash(Buffer.from(json)).toString('hex');
}

/**
 * Says that the pointer will name what `record` has as its base: whoever is killed between writing the one and the other leaves a
 * pointer that is not taken for somebody else's. Where nothing was materialised before, any pointer is believed.
 */
export function announceCheckoutRecord(workspace: Workspace, record: CheckoutRecord): void {
  const { path, base, selected } = record;
  const stored = readStoredRecord(workspace, path);
  if (base === undefined || stored.base === undefined || sameContent(stored.base, base)) return;
  const announced: StoredRecord = { ...stored, next: { content: base, selected } };
  writeCheckoutRecord(workspace, announced);
}

/** What checkouts that were not finished were bringing in. */
export function unfinished({ target }: CheckoutRecord): Content[] {
  return target === undefined ? [] : [target.content, ...(target.earlier ?? [])];
}

/** Forgets a path that is no longer tracked. */
export function dropCheckoutRecord(workspace: Workspace, path: RepoPath): void {
  const files = stateFiles(workspace, path);
  rmSync(files.statCache, { force: true });
  rmSync(files.record, { force: true });
}

/** True when the path is part of the selection. */
export function isSelected(selection: Selection, path: TreePath): boolean {
  return selection === 'all' || selection.some((chosen) => path === chosen || path.startsWith(`${chosen}/`));
}

/** True when a run of paths, after one path and up to another, may hold selected ones. */
export function mayHoldSelected(selection: Selection, after: string, last: TreePath): boolean {
  // '0' is the byte after '/': everything below a chosen path sorts before it.
  return selection === 'all' || selection.some((chosen) => chosen <= last && `${chosen}0` > after);
}

/** Both selections together, without paths that others cover. */
export function joinSelections(a: Selection, b: Selection): Selection {
  if (a === 'all' || b === 'all') return 'all';
  const all = new Set([...a, ...b]);
  return [...all].filter((path) => !foldersAbove(path).some((folder) => all.has(folder))).sort();
}

/** A checkout adds to what is selected. Asked for nothing in particular, it brings what was selected before, or everything. */
export function selectionToBe(
  record: CheckoutRecord,
  asked: Selection,
  given: { content: Content; isNamed: boolean },
): Selection {
  if (given.content.type === 'file' || record.base?.type === 'file') return 'all';
  const before =
    record.target === undefined ? record.selected : joinSelections(record.selected, record.target.selected);
  if (!given.isNamed && before.length > 0) return before;
  return joinSelections(before, asked);
}

function foldersAbove(path: TreePath): TreePath[] {
  const segments = path.split('/');
  return segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/') as TreePath);
}

export function sameContent(a: Content | undefined, b: Content | undefined): boolean {
  return a?.hash === b?.hash && a?.type === b?.type && a?.exec === b?.exec;
}
