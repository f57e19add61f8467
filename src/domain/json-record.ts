/** What the readers of records in JSON share. Nothing in a record is trusted before it was looked at. */
import type { Digest } from './digest.ts';
import { formatDigest, isDigest } from './digest.ts';
import type { DataVersion } from './pipeline.ts';

export type JsonFields = ReadonlyMap<string, unknown>;

/** The value that a text stands for; undefined for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The fields of an object; undefined for anything else. */
export function fieldsOf(node: unknown): JsonFields | undefined {
  if (node === null || typeof node !== 'object' || Array.isArray(node)) return undefined;
  return new Map(Object.entries(node));
}

/** The digest that `b3:` and 64 digits are; undefined for anything else. */
export function digestOf(node: unknown): Digest | undefined {
  const digest = typeof node === 'string' && node.startsWith('b3:') ? node.slice(3) : '';
  return isDigest(digest) ? digest : undefined;
}

/** The version of data that the fields `type`, `hash`, `size`, `files` and `exec` tell; undefined where they tell none. */
export function versionOf(fields: JsonFields): DataVersion | undefined {
  const [type, size, files, exec] = ['type', 'size', 'files', 'exec'].map((key) => fields.get(key));
  const hash = digestOf(fields.get('hash'));
  if (hash === undefined || !isCount(size)) return undefined;
  if (type === 'dir') return exec === undefined && isCount(files) ? { type, hash, size, files } : undefined;
  if (type !== 'file' || files !== undefined || (exec !== undefined && exec !== true)) return undefined;
  return { type, hash, size, ...(exec === true && { exec }) };
}

/** These fields. */
export function versionFields({ type, hash, size, files, exec }: DataVersion) {
  return {
    type,
    hash: formatDigest(hash),
    size,
    ...(files !== undefined && { files }),
    ...(exec !== undefined && { exec }),
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
