import type { Digest } from './digest.ts';
import { formatDigest } from './digest.ts';
import { isPlainText } from './plain-text.ts';
import { isRemoteName } from './remote-name.ts';

/**
 * What `NAME.mlv` says about `NAME` beside it. This file knows the one form that mlv itself writes, and needs no YAML
 * parser for it; everything else that people make of a pointer is read and rewritten by `pointer-document.ts`, which
 * callers import only when `parsePlainPointer` returns undefined.
 */
export interface Pointer {
  readonly version: typeof POINTER_VERSION;
  readonly type: 'file' | 'dir';
  /** Of a file its bytes, of a directory its tree root. */
  readonly hash: Digest;
  /** Bytes in all. */
  readonly size: number;
  /** Entries of a directory, empty folders not counted; undefined for a file. */
  readonly files?: number;
  /** Set for a file that is executable. */
  readonly exec?: true;
  /** Name of this data's own remote. */
  readonly remote?: string;
  readonly desc?: string;
  readonly labels?: readonly string[];
  readonly meta?: unknown;
  /** Where it was imported from. */
  readonly source?: unknown;
}

/** Final. */
export const POINTER_VERSION = 1;

/** A larger pointer is refused unread. */
export const MAX_POINTER_BYTES = 256 * 1024;

const PLAIN_POINTER =
  /^version: 1\ntype: (file|dir)\nhash: b3:([0-9a-f]{64})\nsize: (0|[1-9]\d{0,15})\n(?:files: (0|[1-9]\d{0,15})\n)?(?:exec: (true)\n)?(?:remote: ([\w-]+)\n)?(?:desc: ([\w .-]+)\n)?$/;

/** Parses a pointer that is just as `formatPointer` writes it, with nothing that needs quotes. Undefined for any other text. */
export function parsePlainPointer(text: string): Pointer | undefined {
  const match = PLAIN_POINTER.exec(text);
  if (match === null) return undefined;
  const [, type, hash, size, files, exec, remote, desc] = match;
  const pointer: Pointer = {
    version: POINTER_VERSION,
    type: type as Pointer['type'],
    hash: hash as Digest,
    size: Number(size),
    ...(files !== undefined && { files: Number(files) }),
    ...(exec !== undefined && { exec: true as const }),
    ...(remote !== undefined && { remote }),
    ...(desc !== undefined && { desc }),
  };
  const plausible =
    Number.isSafeInteger(pointer.size) &&
    Number.isSafeInteger(pointer.files ?? 0) &&
    (type === 'dir' ? files !== undefined && exec === undefined : files === undefined) &&
    (remote === undefined || (isRemoteName(remote) && isPlainText(remote))) &&
    (desc === undefined || isPlainText(desc));
  return plausible ? pointer : undefined;
}

/** The text of a new pointer. To change one that exists, see `updatePointer` in `pointer-document.ts`. */
export function formatPointer(pointer: Pointer): string {
  const lines = [
    `version: ${POINTER_VERSION}`,
    `type: ${pointer.type}`,
    `hash: ${formatDigest(pointer.hash)}`,
    `size: ${pointer.size}`,
  ];
  if (pointer.files !== undefined) lines.push(`files: ${pointer.files}`);
  if (pointer.exec) lines.push('exec: true');
  for (const key of ['remote', 'desc', 'labels', 'meta', 'source'] as const) {
    const value = pointer[key];
    if (value === undefined) continue;
    // JSON is YAML.
    lines.push(`${key}: ${typeof value === 'string' && isPlainText(value) ? value : JSON.stringify(value)}`);
  }
  return `${lines.join('\n')}\n`;
}
