import type { Digest } from '../domain/digest.ts';
import { fetchBlobs } from './download-blobs.ts';
import type { LocalCache } from './local-cache.ts';
import { openLocalCache } from './local-cache.ts';
import type { Remote } from './remote.ts';
import { limitsOf } from './request-engine.ts';

/** Reads tree objects of a remote from this machine. */
export interface RemoteTreeReader extends Pick<LocalCache, 'locate' | 'read'> {
  close(): void;
}

const LOT = 65_536;

/**
 * Gets the tree objects that the cache does not have, so that all can be read; `scratch`, a folder for a while, keeps them. What
 * cannot be had in good order is left out.
 */
export async function openTreeReader(
  cache: LocalCache,
  options: {
    readonly remote: Remote;
    readonly digests: readonly Digest[];
    readonly scratch: string;
    readonly onBytes: (bytes: number) => void;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<RemoteTreeReader> {
  const { remote, digests, onBytes, signal } = options;
  const fetched = openLocalCache({ folder: options.scratch, packBelow: () => 1 << 20 });
  const absent = digests.filter((digest) => !cache.has(digest));
  let bytes = 0;
  for (let at = 0; at < absent.length; at += LOT) {
    const writer = fetched.openWriter();
    try {
      await fetchBlobs(
        absent.slice(at, at + LOT).map((digest) => ({ digest, path: `b3:${digest}` })),
        {
          remote,
          writer,
          kind: 'tree',
          ...limitsOf(remote.home),
          signal,
          onFetched(more) {
            bytes += more.bytes;
            onBytes(bytes);
          },
          onMissing: () => {},
          onDamaged: () => {},
          onFailed(_blobs, error) {
            throw error;
          },
        },
      );
    } finally {
      await writer.finish();
    }
  }
  return {
    locate: (digest) => cache.locate(digest) ?? fetched.locate(digest),
    read: (digest) => (cache.locate(digest) === undefined ? fetched : cache).read(digest),
    close: fetched.close,
  };
}
