import { randomBytes } from 'node:crypto';
import type { StorageKey } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { formatTombstones, INDEX_FOLDER, keyPath, parseTombstones } from '../domain/remote-layout.ts';
import { hashEngine } from '../platform/hash.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { Home } from './home.ts';
import type { IndexMirror } from './index-mirror.ts';

const MAX_BYTES = 64 << 20;
/** Keys in one file. */
const MAX_KEYS = 100_000;
const JOBS = 8;

/** The keys of a remote that are dead, as far as they were read. */
export function openTombstones(home: Home, mirror: Pick<IndexMirror, 'readFile' | 'keepFile'>) {
  const dead = new Map<string, number>();
  const known = new Set<Digest>();
  const { hash } = hashEngine();

  return {
    /** Reads files of tombstones that are new; dated in milliseconds. Throws `tombstones-…`, and what `Home` throws. */
    async read(
      files: readonly { readonly name: Digest; readonly modified: number }[],
      signal?: AbortSignal,
    ): Promise<void> {
      const fresh = files.filter(({ name }) => !known.has(name));
      await forEachParallel(fresh, { jobs: JOBS, signal }, async ({ name, modified }, stop) => {
        const fileName = `${name}.gc`;
        const kept = ifGood(mirror.readFile(fileName), (bytes) => parseTombstones(bytes, name, hash));
        const bytes = kept ?? (await home.readAll(INDEX_FOLDER + fileName, MAX_BYTES, stop));
        for (const key of parseTombstones(bytes, name, hash))
          dead.set(key, Math.min(modified, dead.get(key) ?? Infinity));
        if (kept === undefined) mirror.keepFile(fileName, bytes);
        known.add(name);
      });
    },
    /** Milliseconds; undefined for a key that lives. */
    deadSince: (key: StorageKey): number | undefined => (dead.size === 0 ? undefined : dead.get(keyPath(key))),
    /** Another one as soon as more files were read. */
    mark: (): Digest => digestFromBytes(hash(Buffer.from([...known].sort().join(' ')))),
  };
}

/** Says on a remote that these keys (paths) are dead. */
export async function writeTombstones(home: Home, paths: readonly string[], signal?: AbortSignal): Promise<void> {
  for (let at = 0; at < paths.length; at += MAX_KEYS) {
    const nonce = randomBytes(8).toString('hex');
    const { key, text } = formatTombstones(paths.slice(at, at + MAX_KEYS), { nonce, hash: hashEngine().hash });
    await home.write(key, [Buffer.from(text)], signal);
  }
}

/** What was kept of the remote on this machine; undefined where it is not right, so that it is read again. */
export function ifGood(kept: Buffer | undefined, check: (bytes: Buffer) => unknown): Buffer | undefined {
  if (kept === undefined) return undefined;
  try {
    check(kept);
    return kept;
  } catch (error) {
    if (error instanceof MlvError) return undefined;
    throw error;
  }
}
