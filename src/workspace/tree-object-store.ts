import type { Digest } from '../domain/digest.ts';
import { digestToBytes } from '../domain/digest.ts';
import type { TreeObject } from '../domain/tree-builder.ts';
import type { LoadObject } from '../domain/tree-reader.ts';
import type { CacheWriter } from '../storage/cache-writer.ts';
import type { Workspace } from './open.ts';

/** Where objects of a tree that is being made go, and are read from, as is what the cache has. */
export interface TreeObjectStore {
  readonly emit: (object: TreeObject) => void;
  readonly load: LoadObject;
  /** Makes durable what went to the cache. */
  readonly finish: () => Promise<void>;
  readonly abandon: () => Promise<void>;
}

/** Tree objects above this many bytes go to the cache even when nothing asked to store them: memory stays bounded. */
const OVERLAY_BYTES = 64 << 20;

/** Keeps new tree objects in memory, or puts them into the cache. */
export function createTreeObjectStore(workspace: Workspace, store: boolean): TreeObjectStore {
  const cache = workspace.cache();
  const overlay = new Map<Digest, Buffer>();
  let overlayBytes = 0;
  let writer: CacheWriter | undefined;
  return {
    emit({ digest, bytes }) {
      if (cache.has(digest)) return;
      if (!store && overlayBytes < OVERLAY_BYTES) {
        overlay.set(digest, bytes);
        overlayBytes += bytes.length;
        return;
      }
      writer ??= cache.openWriter();
      writer.put(digestToBytes(digest), bytes, 'tree');
    },
    load: (digest) => overlay.get(digest) ?? cache.read(digest),
    async finish() {
      await writer?.finish();
      writer = undefined;
    },
    async abandon() {
      await writer?.abandon();
    },
  };
}
