import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { StorageKey } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import type { PackKind } from '../domain/pack.ts';
import { hashEngine } from '../platform/hash.ts';
import { buildIndex } from './build-index.ts';
import type { Copies } from './find-remote-garbage.ts';
import { fetchBlobs } from './download-blobs.ts';
import { openLocalCache } from './local-cache.ts';
import type { Remote } from './remote.ts';
import { limitsOf } from './request-engine.ts';
import { createRowCollector } from './row-collector.ts';
import { createFailures } from './transfer-failures.ts';
import { sendBlobs } from './upload-blobs.ts';
import type { PendingBlob } from './upload-plan.ts';

const LOT_BLOBS = 8_192;

export interface CopyOptions {
  readonly remote: Remote;
  readonly copies: Copies;
  /** Keys that are not to be used again, beside dead ones. */
  readonly isDying: (key: StorageKey) => boolean;
  /** A folder for a while, which must not exist. */
  readonly scratch: string;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stores blobs of a remote again under new keys, compared with their digests on the way, and indexes them: tree objects only if all
 * could be had. Returns those that could not, and whether the index came in time to vouch for tree objects. Needs a dated listing.
 */
export async function copyBlobs(options: CopyOptions): Promise<{ failed: ReadonlySet<Digest>; isInTime: boolean }> {
  const { remote, copies, signal } = options;
  const rows = createRowCollector();
  const failed = new Set<Digest>();
  for (const kind of ['data', 'tree'] as const) {
    // A tree object of which a part is not there must not vouch for it.
    if (kind === 'tree' && failed.size > 0) for (const digest of copies.trees) failed.add(digest);
    else {
      const digests = kind === 'data' ? copies.data : copies.trees;
      for (let at = 0; at < digests.length; at += LOT_BLOBS)
        await copyLot(digests.slice(at, at + LOT_BLOBS), kind, { ...options, rows, failed });
    }
  }
  if (rows.count() === 0) return { failed, isInTime: true };
  const index = buildIndex({ ...rows.take(), asOf: remote.asOf() ?? 0, hash: hashEngine().hash });
  return { failed, isInTime: await remote.addIndex(index, signal) };
}

async function copyLot(
  digests: readonly Digest[],
  kind: PackKind,
  options: CopyOptions & { readonly rows: ReturnType<typeof createRowCollector>; readonly failed: Set<Digest> },
): Promise<void> {
  const { remote, isDying, scratch, rows, failed, onBytes, signal } = options;
  const limits = limitsOf(remote.home);
  const moving = openLocalCache({ folder: join(scratch, 'moving'), packBelow: () => 1 << 20 });
  const failures = createFailures();
  const note = ({ digest }: { readonly digest: Digest }): void => void failed.add(digest);
  try {
    const writer = moving.openWriter();
    try {
      await fetchBlobs(
        digests.map((digest) => ({ digest, path: `b3:${digest}` })),
        {
          remote,
          writer,
          kind,
          ...limits,
          signal,
          onFetched({ bytes }) {
            failures.succeeded();
            onBytes?.(bytes);
          },
          onMissing: note,
          onDamaged: note,
          onFailed: failures.note,
        },
      );
    } finally {
      await writer.finish();
    }
    const pending = digests.flatMap((digest): PendingBlob[] => {
      const location = moving.locate(digest);
      if (location === undefined) failed.add(digest);
      return location === undefined ? [] : [{ digest, path: `b3:${digest}`, location }];
    });
    await sendBlobs(pending, kind, {
      remote: { home: remote.home, isDead: (key) => remote.isDead(key) || isDying(key) },
      rows,
      ...limits,
      signal,
      onSent: async () => {},
      onDamaged: note,
      // Half of it may promise what is not there.
      onFailed(_blobs, error) {
        throw error;
      },
    });
  } finally {
    moving.close();
    rmSync(join(scratch, 'moving'), { recursive: true, force: true });
  }
}
