import type { PushedRoot } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { hashEngine } from '../platform/hash.ts';
import { fits, noRoom } from '../platform/room.ts';
import { buildIndex } from './build-index.ts';
import type { LocalCache } from './local-cache.ts';
import { corrupt } from './local-cache.ts';
import { mergeRemoteIndexes } from './merge-remote.ts';
import type { Remote } from './remote.ts';
import { limitsOf } from './request-engine.ts';
import type { FailedBlob } from './transfer-failures.ts';
import { createFailures } from './transfer-failures.ts';
import { createRowCollector } from './row-collector.ts';
import type { SendOptions, Sent } from './upload-blobs.ts';
import { sendBlobs, unsentBytes } from './upload-blobs.ts';
import type { UnsentBlob, UploadBatch, UploadRoot } from './upload-plan.ts';
import { planUpload } from './upload-plan.ts';

/** What an upload has made durable so far. */
export interface UploadProgress extends Readonly<Sent> {}

export interface UploadResult extends Readonly<Sent> {
  readonly indexes: number;
  /** Neither in the cache nor on the remote. Pages and roots that name one were held back; all else was sent. */
  readonly missing: readonly UnsentBlob[];
  /** In the cache with bytes that are not what their digest says; likewise. */
  readonly damaged: readonly UnsentBlob[];
  /** Could not be stored; likewise. */
  readonly failed: readonly FailedBlob[];
}

export interface UploadOptions {
  /** As a fresh listing shows it. */
  readonly remote: Remote;
  readonly cache: LocalCache;
  readonly roots: readonly UploadRoot[];
  /** Today, in days since 1970-01-01. */
  readonly day: number;
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Rows of what has been stored are published at the end of each batch, and at least this often. */
const INDEX_MS = 10 * 60 * 1000;
/** Garbage collection that kills what was just sent is rare; to be hit by it again and again is not to be expected. */
const MAX_PASSES = 4;

/**
 * Sends what the remote does not have of the roots: packs and objects first, then an index. A row for a page or root is
 * written in the index that completes, or follows, the rows of all it names. Where nothing is to be sent the remote is not
 * touched. Interrupted, it may be called again; what was indexed is not sent again.
 */
export async function upload(options: UploadOptions): Promise<UploadResult> {
  const { remote, roots } = options;
  const run = createRun(options);
  let suspects: ReadonlySet<Digest> = new Set();
  for (let pass = 1; pass <= MAX_PASSES; pass++) {
    const deadBefore = remote.deadKeys();
    suspects = await run.pass(roots, suspects);
    if (run.indexes() === 0) break;
    await remote.refresh(options.signal);
    if (remote.deadKeys() === deadBefore) break;
  }
  if (run.indexes() > 0) await mergeRemoteIndexes(remote, run.result().bytes, options.signal);
  return run.result();
}

function createRun({ remote, cache, day, onProgress, signal }: UploadOptions) {
  const rows = createRowCollector();
  const sent: Sent = { blobs: 0, bytes: 0, packs: 0, objects: 0 };
  const damaged = new Map<Digest, UnsentBlob>();
  const failures = createFailures();
  let missing: UnsentBlob[] = [];
  let indexes = 0;
  let lastIndex = Date.now();
  let publishing = Promise.resolve();

  function count(more: Sent): void {
    sent.blobs += more.blobs;
    sent.bytes += more.bytes;
    sent.packs += more.packs;
    sent.objects += more.objects;
    onProgress?.({ ...sent });
  }

  function noteDamaged({ digest, path }: UnsentBlob): void {
    damaged.set(digest, { digest, path });
  }

  const sending: SendOptions = {
    remote,
    rows,
    ...limitsOf(remote.home),
    signal,
    async onSent(more) {
      failures.succeeded();
      count(more);
      if (Date.now() - lastIndex >= INDEX_MS) await publish([]);
    },
    onDamaged: noteDamaged,
    onFailed: failures.note,
  };
  const sendingTrees: SendOptions = {
    ...sending,
    // Not published before all are there: a root might come before its pages.
    onSent: async (more) => count({ ...more, blobs: 0 }),
    // They were good a moment ago, when they were looked into. Their parents' rows may wait already.
    onDamaged({ digest, location }) {
      throw corrupt(digest, location);
    },
    onFailed(_blobs, error) {
      throw error;
    },
  };

  /** Writes an index of all rows that wait. One after the other: a later one may name what an earlier one completes. */
  async function publish(roots: readonly PushedRoot[]): Promise<void> {
    if (rows.count() === 0 && roots.length === 0) return publishing;
    lastIndex = Date.now();
    const index = buildIndex({ ...rows.take(), roots, hash: hashEngine().hash });
    publishing = publishing.then(() => remote.addIndex(index, signal));
    await publishing;
    indexes += 1;
  }

  async function requireRoom(blobs: UploadBatch['blobs']): Promise<void> {
    const room = remote.home.room?.();
    const atMost = blobs.reduce((sum, { location }) => sum + location.length, 0);
    if (room === undefined || fits(room, atMost)) return;
    const bytes = await unsentBytes(blobs, sending);
    if (fits(room, bytes)) return;
    const hint = 'Make room there and push again: what has arrived is not sent again.';
    throw noRoom({ what: 'are to be sent', folder: remote.home.name, room, bytes, hint });
  }

  async function sendBatch(batch: UploadBatch): Promise<void> {
    await requireRoom(batch.blobs);
    await remote.prepare(signal);
    await sendBlobs(batch.blobs, 'data', sending);
    for (const node of batch.nodes) {
      node.isIncomplete ||=
        node.children.some((child) => child.isIncomplete) ||
        (damaged.size + failures.count() > 0 && node.blobs.some((blob) => damaged.has(blob) || failures.has(blob)));
      node.blobs.length = node.children.length = 0; // millions of them in a large push
    }
    await publishing;
    const complete = batch.nodes.filter(({ isIncomplete }) => !isIncomplete);
    // Every row below these is in an index, or in the one that comes next.
    const objects = complete.flatMap(({ digest, path, location }) =>
      location === undefined ? [] : [{ digest, path, location }],
    );
    await sendBlobs(objects, 'tree', sendingTrees);
    await publish(complete.flatMap(({ root }) => (root === undefined ? [] : [{ root: root.digest, day }])));
  }

  return {
    /** Sends what is not there; returns the nodes that were looked into. */
    async pass(roots: readonly UploadRoot[], suspects: ReadonlySet<Digest>): Promise<Set<Digest>> {
      const seen = new Set<Digest>();
      missing = [];
      let sendingBatch = Promise.resolve();
      try {
        for await (const batch of planUpload({
          remote,
          cache,
          roots,
          suspects,
          missing,
          onDamaged: noteDamaged,
          signal,
        })) {
          for (const { digest } of batch.nodes) seen.add(digest);
          await sendingBatch;
          sendingBatch = sendBatch(batch); // while the next one is being planned
          sendingBatch.catch(() => {}); // awaited in its turn
        }
      } finally {
        await sendingBatch; // whatever became of the plan: nothing goes on behind a push that has ended
      }
      return seen;
    },
    indexes: () => indexes,
    result: (): UploadResult => ({
      ...sent,
      indexes,
      missing,
      damaged: [...damaged.values()],
      failed: failures.list(),
    }),
  };
}
