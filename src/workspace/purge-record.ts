import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { PurgedContent, PurgeRecord } from '../domain/purge-record.ts';
import {
  formatPurgeRecord,
  joinPurgeRecords,
  MAX_PURGE_BYTES,
  parsePurgeRecord,
  PURGE_FILE,
} from '../domain/purge-record.ts';
import { readTextFile, writeFileDurably } from '../platform/durable-write.ts';
import type { IsNeeded } from '../storage/collect-cache.ts';
import type { ProjectFolders, Workspace } from './open.ts';

/**
 * What must not exist any more: what the tracked record says, and what this clone has seen of it, as the work tree may be at a
 * commit from before the purge. Throws `purge-record-invalid`, `purge-record-version`.
 */
export function readPurgeRecord(folders: ProjectFolders): PurgeRecord {
  const tracked = readRecord(join(folders.root, PURGE_FILE), PURGE_FILE);
  const copy = copyFile(folders);
  const seen = readRecord(copy, copy);
  const record = joinPurgeRecords([tracked, seen]);
  if (record.size > seen.size) keepCopy(folders, record);
  return record;
}

/** Takes into account what the branches of this clone record, whichever is checked out. */
export async function learnPurges(workspace: Workspace): Promise<void> {
  const git = await workspace.git();
  if (git === undefined) return;
  const full = workspace.prefix === '' ? PURGE_FILE : `${workspace.prefix}/${PURGE_FILE}`;
  const known = workspace.purged();
  const records: PurgeRecord[] = [known];
  const tips = new Set((await git.listRefs(['refs/heads/', 'refs/remotes/'])).map(({ commit }) => commit));
  for (const tip of tips) {
    const bytes = await git.readFile(tip, full).catch((error: unknown) => {
      // A shallow or partial clone has the rest.
      if (error instanceof MlvError) return undefined;
      throw error;
    });
    if (bytes === undefined || bytes.length > MAX_PURGE_BYTES) continue;
    try {
      records.push(parsePurgeRecord(bytes.toString('utf8'), full));
    } catch (error) {
      // Of another branch: whoever checks it out is told.
      if (!(error instanceof MlvError)) throw error;
    }
  }
  const joined = joinPurgeRecords(records);
  if (joined.size === known.size) return;
  keepCopy(workspace, joined);
  workspace.reloadPurged();
}

/** Records content as purged, durably, in the tracked file, which is staged. Returns whether there was anything new. */
export async function recordPurges(workspace: Workspace, purged: readonly PurgedContent[]): Promise<boolean> {
  const file = join(workspace.root, PURGE_FILE);
  const before = readRecord(file, PURGE_FILE);
  const added = new Map(purged.map((each) => [each.digest, each]));
  // What is recorded stays as it is.
  for (const digest of before.keys()) added.delete(digest);
  if (added.size > 0) {
    const record = joinPurgeRecords([before, added]);
    mkdirSync(dirname(file), { recursive: true });
    writeFileDurably(file, formatPurgeRecord(record));
    keepCopy(workspace, joinPurgeRecords([workspace.purged(), record]));
    workspace.reloadPurged();
  }
  const git = await workspace.git();
  // Without the record in Git nobody else would know.
  if (git !== undefined && (added.size > 0 || purged.length > 0))
    await git.stage([workspace.prefix === '' ? PURGE_FILE : `${workspace.prefix}/${PURGE_FILE}`]);
  return added.size > 0;
}

/** `data/x.jpg was purged on 2026-11-21 (reason): .mlv/purged` */
export function purgedLine(path: string, { day, reason }: PurgedContent): string {
  return `${path} was purged on ${day}${reason === undefined ? '' : ` (${reason})`}: ${PURGE_FILE}`;
}

/** Throws `content-purged` where there is some of what was purged. */
export function refusePurged(record: PurgeRecord, found: readonly { path: string; digest: Digest }[]): void {
  if (found.length === 0) return;
  throw new MlvError({
    code: 'content-purged',
    kind: 'refused',
    message:
      found.length === 1 ? 'a file has content that was purged' : `${found.length} files have content that was purged`,
    items: found.flatMap(({ path, digest }) => {
      const purged = record.get(digest);
      return purged === undefined ? [] : [purgedLine(path, purged)];
    }),
    hint: 'Nothing was recorded. Delete it; "mlv purge" deletes it where it is tracked, and in cache and remotes.',
  });
}

/** What is needed, but for what must not exist any more. */
export function exceptPurged(workspace: Workspace, isNeeded: IsNeeded): IsNeeded {
  const purged = workspace.purged();
  if (purged.size === 0) return isNeeded;
  return (bytes, at = 0) => isNeeded(bytes, at) && !purged.has(digestFromBytes(bytes, at));
}

function copyFile({ sharedFolder }: ProjectFolders): string {
  return join(sharedFolder, 'purged');
}

/** Nothing where there is none. */
function readRecord(file: string, name: string): PurgeRecord {
  const text = readTextFile(file, MAX_PURGE_BYTES);
  return text === undefined ? new Map() : parsePurgeRecord(text, name);
}

/** Only a help: who may not write there has the tracked record. */
function keepCopy(folders: ProjectFolders, record: PurgeRecord): void {
  try {
    mkdirSync(folders.sharedFolder, { recursive: true });
    writeFileDurably(copyFile(folders), formatPurgeRecord(record));
  } catch (error) {
    if (!(error instanceof MlvError) && !hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'))
      throw error;
  }
}
