/**
 * What lies where on a remote (docs/formats.md, "Remote"). Keys never change and never come back.
 *
 *   mlv.json                       what this is, written once
 *   objects/ab/HASH[.NONCE]        one blob of at least `PACK_BELOW` bytes
 *   packs/ab/HASH                  many smaller blobs
 *   lists/ab/HASH                  reserved: blobs kept as lists of chunks
 *   runs/ab/FINGERPRINT/HASH       a result of a stage (`run-record.ts`); HASH is of the text
 *   jobs/UID                       what the Kubernetes Job of this UID made (`cluster-result.ts`)
 *   index/HASH                     an index
 *   index/HASH.gc                  tombstones: the keys that are dead, "mlv-gc 1 NONCE\n", then one a line, sorted; HASH is of the text
 */
import type { StorageKey } from './blob-index.ts';
import type { Digest, HashFunction } from './digest.ts';
import { digestFromBytes, isDigest } from './digest.ts';
import { MlvError } from './errors.ts';
import { NEWER_MLV, otherVersion } from './format-version.ts';

/** Blobs below this many bytes go into packs. */
export const PACK_BELOW = 8 << 20;
export const DESCRIPTION_KEY = 'mlv.json';
export const INDEX_FOLDER = 'index/';
export const RUNS_FOLDER = 'runs/';
export const JOBS_FOLDER = 'jobs/';

const REMOTE_VERSION = 1;
const TOMBSTONES_HEADER = /^mlv-gc 1 ([0-9a-f]{16})\n/;
const TOMBSTONES_VERSION = /^mlv-gc [0-9]+[ \n]/;
const TOMBSTONES_SUFFIX = '.gc';
const FOLDERS = { pack: 'packs', 'tree-pack': 'packs', object: 'objects', list: 'lists' } as const;

/** Where on the remote a key is. */
export function keyPath({ kind, hash, nonce }: StorageKey): string {
  return `${FOLDERS[kind]}/${hash.slice(0, 2)}/${hash}${nonce === undefined ? '' : `.${nonce}`}`;
}

/** A key is in the folder of its first two digits and nowhere else. */
const DATA_PATH = /^(packs|objects)\/([0-9a-f]{2})\/(\2[0-9a-f]{62})(?:\.([0-9a-f]{16}))?$/;

/** What has this path: a pack (of either kind) or an object. Undefined for anything else. */
export function parseDataPath(path: string): StorageKey | undefined {
  const [, folder, , hash = '', nonce] = DATA_PATH.exec(path) ?? [];
  if (!isDigest(hash)) return undefined;
  return { kind: folder === 'packs' ? 'pack' : 'object', hash, ...(nonce !== undefined && { nonce }) };
}

/** The folder of a fingerprint's results, in a remote or in this machine's run cache. */
export function runFolder(fingerprint: Digest): string {
  return `${RUNS_FOLDER}${fingerprint.slice(0, 2)}/${fingerprint}/`;
}

const RUN_KEY = /^runs\/([0-9a-f]{2})\/(\1[0-9a-f]{62})\/([0-9a-f]{64})$/;

/** Which result a key below `runs/` is; undefined for what this mlv does not know. */
export function parseRunKey(key: string): { readonly fingerprint: Digest; readonly hash: Digest } | undefined {
  const [, , fingerprint = '', hash = ''] = RUN_KEY.exec(key) ?? [];
  return isDigest(fingerprint) && isDigest(hash) ? { fingerprint, hash } : undefined;
}

/** The UID that a cluster gives a Job: no other had it, or will. */
export type JobUid = string & { readonly __brand: 'JobUid' };

const JOB_UID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** True for a UUID in lower case, as Kubernetes writes them. */
export function isJobUid(text: string): text is JobUid {
  return JOB_UID.test(text);
}

/** Where on the remote the result of a Job is. */
export function jobKey(job: JobUid): string {
  return JOBS_FOLDER + job;
}

/** Whose result a key below `jobs/` is; undefined for what this mlv does not know. */
export function parseJobKey(key: string): JobUid | undefined {
  const uid = key.slice(JOBS_FOLDER.length);
  return key.startsWith(JOBS_FOLDER) && isJobUid(uid) ? uid : undefined;
}

/** What a name below `index/` is; undefined for what this mlv does not know. */
export function parseIndexName(
  key: string,
): { readonly kind: 'index' | 'tombstones'; readonly hash: Digest } | undefined {
  const name = key.slice(INDEX_FOLDER.length);
  if (isDigest(name)) return { kind: 'index', hash: name };
  const hash = name.slice(0, -TOMBSTONES_SUFFIX.length);
  return name.endsWith(TOMBSTONES_SUFFIX) && isDigest(hash) ? { kind: 'tombstones', hash } : undefined;
}

/** The content of `mlv.json`. */
export function formatDescription(): string {
  return `${JSON.stringify({ version: REMOTE_VERSION })}\n`;
}

/** Throws `remote-version` for a later format, `remote-invalid` for anything that is no description of a remote. */
export function checkDescription(text: string, remote: string): void {
  const version = parseVersion(text);
  if (version === REMOTE_VERSION) return;
  if (version === undefined) {
    throw new MlvError({
      code: 'remote-invalid',
      kind: 'corrupt',
      message: `${DESCRIPTION_KEY} at ${remote} does not describe a remote of mlv`,
      hint: 'Give the remote a folder or prefix of its own; if it is one of mlv and that file is damaged: "mlv verify --remote --repair".',
    });
  }
  throw otherVersion('remote', `the remote ${remote}`, { version, reads: REMOTE_VERSION });
}

function parseVersion(text: string): number | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
    return typeof version === 'number' && Number.isSafeInteger(version) && version >= 0 ? version : undefined;
  } catch {
    return undefined;
  }
}

/** The file of tombstones for these keys, and the key that it has itself: by its nonce (16 hex digits) one that never was. */
export function formatTombstones(
  keys: Iterable<string>,
  { nonce, hash }: { readonly nonce: string; readonly hash: HashFunction },
): { readonly key: string; readonly text: string } {
  const text =
    `mlv-gc 1 ${nonce}\n` +
    [...new Set(keys)]
      .sort()
      .map((key) => `${key}\n`)
      .join('');
  return { key: `${INDEX_FOLDER}${digestFromBytes(hash(Buffer.from(text)))}${TOMBSTONES_SUFFIX}`, text };
}

/** The dead keys. Throws `tombstones-invalid` where the text is not what its name says, `tombstones-version`. */
export function parseTombstones(bytes: Buffer, name: Digest, hash: HashFunction): string[] {
  const text = bytes.toString('latin1');
  const isRight = digestFromBytes(hash(bytes)) === name && text.endsWith('\n');
  const [header] = TOMBSTONES_HEADER.exec(text) ?? [];
  if (isRight && header !== undefined) {
    const keys = text.slice(header.length).split('\n').slice(0, -1);
    if (keys.every((key, index) => key > (keys[index - 1] ?? ''))) return keys;
  }
  const isLater = isRight && !text.startsWith('mlv-gc 1 ') && TOMBSTONES_VERSION.test(text);
  throw new MlvError({
    code: isLater ? 'tombstones-version' : 'tombstones-invalid',
    kind: isLater ? 'unsupported' : 'corrupt',
    message: isLater ? `tombstones ${name} are of a later format` : `tombstones ${name} are damaged`,
    hint: isLater ? NEWER_MLV : 'Run "mlv verify --remote --repair": it sets that file aside.',
  });
}
