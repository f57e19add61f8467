import { dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { makeFolderDurably, readSmallFile, writeFileDurably } from '../platform/durable-write.ts';
import type { Workspace } from './open.ts';

/** What one version of a pointer made of the one before it. */
export interface NotedVersion {
  readonly type: 'file' | 'dir';
  readonly hash: Digest;
  readonly size: number;
  readonly files: number;
  readonly changes: { readonly added: number; readonly modified: number; readonly deleted: number };
}

/**
 * What `log` found out of two pointers by comparing their trees, under their blob ids in Git: neither can change, so nobody need look again.
 * Discardable.
 */
export interface LogNotes {
  find(before: string | undefined, after: string | undefined): NotedVersion | undefined;
  note(before: string | undefined, after: string | undefined, version: NotedVersion): void;
  /** Only a help: where nothing can be written, nothing is noted. */
  save(): void;
}

const HEADER = 'mlv-log-notes 1';
const NOTHING = '-';
/** Of some 200 bytes each; where there are more, those of this run alone stay. */
const MAX_NOTES = 100_000;
const MAX_BYTES = 32 << 20;

export function openLogNotes(workspace: Workspace): LogNotes {
  const file = join(workspace.ownFolder, 'state', 'log-notes');
  const known = readNotes(file);
  const fresh = new Map<string, string>();
  const keyOf = (before: string | undefined, after: string | undefined): string =>
    `${before ?? NOTHING} ${after ?? NOTHING}`;

  return {
    find(before, after) {
      const key = keyOf(before, after);
      const text = fresh.get(key) ?? known.get(key);
      return text === undefined ? undefined : parseVersion(text);
    },
    note(before, after, { type, hash, size, files, changes: { added, modified, deleted } }) {
      fresh.set(keyOf(before, after), [type, hash, size, files, added, modified, deleted].join(' '));
    },
    save() {
      if (fresh.size === 0) return;
      const kept = known.size + fresh.size > MAX_NOTES ? fresh : new Map([...known, ...fresh]);
      const lines = [...kept].slice(0, MAX_NOTES).map(([key, version]) => `${key} ${version}`);
      try {
        makeFolderDurably(dirname(file));
        writeFileDurably(file, [HEADER, ...lines, ''].join('\n'));
      } catch (error) {
        const isFull = hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT');
        if (!(error instanceof MlvError) && !isFull) throw error;
      }
    },
  };
}

function readNotes(file: string): Map<string, string> {
  const notes = new Map<string, string>();
  const lines = textOf(file).split('\n');
  if (lines[0] !== HEADER) return notes;
  // The last line is empty, or was cut off.
  for (let index = 1; index < lines.length - 1; index++) {
    const line = lines[index] ?? '';
    const end = line.indexOf(' ', line.indexOf(' ') + 1);
    notes.set(line.slice(0, end), line.slice(end + 1));
  }
  return notes;
}

function textOf(file: string): string {
  try {
    return readSmallFile(file, MAX_BYTES)?.toString('latin1') ?? '';
  } catch (error) {
    if (error instanceof MlvError) return '';
    throw error;
  }
}

function parseVersion(text: string): NotedVersion | undefined {
  const [type, hash = '', ...counts] = text.split(' ');
  const [size = NaN, files = NaN, added = NaN, modified = NaN, deleted = NaN] = counts.map(Number);
  const isWhole = [size, files, added, modified, deleted].every((count) => Number.isSafeInteger(count) && count >= 0);
  if ((type !== 'file' && type !== 'dir') || !isDigest(hash) || !isWhole) return undefined;
  return { type, hash, size, files, changes: { added, modified, deleted } };
}
