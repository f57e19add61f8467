import { readFileSync } from 'node:fs';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { StagedFile } from './unmerged.ts';

export interface IndexEntry extends StagedFile {
  /** True where Git does not expect it on disk: left out by a sparse checkout, or marked `--skip-worktree`. */
  readonly isSkipped: boolean;
}

export interface IndexFile {
  readonly version: number;
  readonly entries: readonly IndexEntry[];
}

/**
 * Reads a SHA-1 repository's index, versions 2 to 4 (gitformat-index(5)); an index that does not exist has no entries.
 * Needed beside isomorphic-git, which shows one side of a conflict only, and neither version 4 nor mandatory extensions.
 * Throws `git-unsupported-index` (split or sparse), `git-index-damaged`.
 */
export function readIndexFile(path: string): IndexFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return { version: 2, entries: [] };
    throw error;
  }
  try {
    return parse(bytes, path);
  } catch (error) {
    // Reading beyond the end.
    if (!(error instanceof RangeError)) throw error;
    throw damaged(path, error);
  }
}

const ENTRY_HEAD = 62; // stat data, 20 bytes of object id, flags

function parse(bytes: Buffer, path: string): IndexFile {
  const version = bytes.readUInt32BE(4);
  if (bytes.toString('latin1', 0, 4) !== 'DIRC') throw damaged(path);
  if (version < 2 || version > 4) throw unsupportedIndex(path, `is of version ${version}`);
  const entries: IndexEntry[] = [];
  let at = 12;
  let previous = Buffer.alloc(0);
  for (let count = bytes.readUInt32BE(8); count > 0; count--) {
    const flags = bytes.readUInt16BE(at + 60);
    let nameAt = at + ENTRY_HEAD + ((flags & 0x4000) === 0 ? 0 : 2);
    let shared = 0;
    if (version === 4) {
      // How many bytes of the path before are dropped, as the offsets in packs are written.
      let byte = bytes.readUInt8(nameAt++);
      let dropped = byte & 127;
      while (byte & 128) {
        byte = bytes.readUInt8(nameAt++);
        dropped = ((dropped + 1) << 7) | (byte & 127);
      }
      shared = previous.length - dropped;
    }
    const nameEnd = bytes.indexOf(0, nameAt);
    if (nameEnd === -1 || shared < 0) throw damaged(path);
    previous = Buffer.concat([previous.subarray(0, shared), bytes.subarray(nameAt, nameEnd)]);
    entries.push({
      path: previous.toString('utf8'),
      blob: bytes.toString('hex', at + 40, at + 60),
      mode: bytes
        .readUInt32BE(at + 24)
        .toString(8)
        .padStart(6, '0'),
      stage: (flags >> 12) & 3,
      isSkipped: (flags & 0x4000) !== 0 && (bytes.readUInt16BE(at + ENTRY_HEAD) & 0x4000) !== 0,
    });
    at = version === 4 ? nameEnd + 1 : nameEnd + (8 - ((nameEnd - at) % 8));
  }
  // Extensions whose name starts in lower case change what the entries mean.
  for (; at + 20 < bytes.length; at += 8 + bytes.readUInt32BE(at + 4)) {
    const name = bytes.toString('latin1', at, at + 4);
    if (/^[a-z]/.test(name)) throw unsupportedIndex(path, `needs the extension '${name}' (a split or sparse index)`);
  }
  return { version, entries };
}

/** The error for an index that only Git itself can handle; `what` continues "the index … ". */
export function unsupportedIndex(path: string, what: string): MlvError {
  return new MlvError({
    code: 'git-unsupported-index',
    kind: 'unsupported',
    message: `The index ${path} ${what}, which needs the git program`,
    hint: 'Install git',
  });
}

function damaged(path: string, cause?: unknown): MlvError {
  return new MlvError({
    code: 'git-index-damaged',
    kind: 'corrupt',
    message: `Git's index ${path} is damaged`,
    hint: 'Remove it and run git reset, which makes it anew from HEAD',
    cause,
  });
}
