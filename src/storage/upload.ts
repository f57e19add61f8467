import type { PushedRoot } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { DAY_MS, RELY_MS, RENEW_DAYS } from '../domain/remote-times.ts';
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
  /** Note the roots anew that were noted long ago, though there is nothing to send. */
  readonly renewNotes: boolean;
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
 * touched, but for notes. Interrupted, it may be called again; what was indexed is not sent again. Throws `push-overtaken`.
 */
export async function upload(options: UploadOptions): Promise<UploadResult> {
  const { remote, roots, signal } = options;
  const run = createRun(options);
  const suspects = new Set<Digest>();
  for (let pass = 1; ; pass++) {
    const before = remote.tombstones();
    const isGood = await run.pass(roots, suspects);
    if (isGood && !run.hasStored()) return run.result();
    await remote.refresh(signal);
    if (isGood && remote.tombstones() === before) break;
    if (pass === MAX_PASSES) throw overtaken(remote.home.name);
  }
  await mergeRemoteIndexes(remote, run.result().bytes, signal);
  return run.result();
}

function createRun({ remote, cache, renewNotes, onProgress, signal }: UploadOptions) {
  const rows = createRowCollector();
  const sent: Sent = { blobs: 0, bytes: 0, packs: 0, objects: 0 };
  const damaged = new Map<Digest, UnsentBlob>();
  const failures = createFailures();
  let missing: UnsentBlob[] = [];
  let indexes = 0;
  /** Of these, those that only note roots anew. */
  let notes = 0;
  /** Of this pass: all that was found to be there is so as of the last dated listing, and indexes came soon enough after it. */
  let isGood = true;
  let datedAt = -Infinity;
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
    const index = buildIndex({ ...rows.take(), roots, asOf: remote.asOf() ?? 0, hash: hashEngine().hash });
    const before = publishing;
    const add = async (): Promise<void> => {
      await before;
      isGood = (await remote.addIndex(index, signal)) && isGood;
    };
    publishing = add();
    await publishing;
    indexes += 1;
  }

  const today = (): number => Math.floor((remote.asOf() ?? 0) / DAY_MS);

  /** An index may only rely on what was looked at not long before. False where more has died since the plan was begun. */
  async function lookAgain(tombstones: string): Promise<boolean> {
    if (Math.abs(Date.now() - datedAt) > RELY_MS) {
      await remote.refreshDated(signal);
      datedAt = Date.now();
    }
    return remote.tombstones() === tombstones;
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

  async function sendBatch(batch: UploadBatch, tombstones: string): Promise<void> {
    await requireRoom(batch.blobs);
    await remote.prepare(signal);
    isGood = (await lookAgain(tombstones)) && isGood;
    if (!isGood) return;
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
    if (!(await lookAgain(tombstones))) {
      isGood = false;
      return;
    }
    await publish(complete.flatMap(({ root }) => (root === undefined ? [] : [{ root: root.digest, day: today() }])));
  }

  /** Notes again which roots are needed, where that was long ago, so that no collection takes them. */
  async function renew(roots: readonly UploadRoot[]): Promise<void> {
    const stored: Digest[] = [];
    for (const as of ['tree', 'blob'] as const) {
      const digests = roots.flatMap(({ digest, type }) => ((type === 'dir') === (as === 'tree') ? [digest] : []));
      const places = await remote.find(digests, as, signal);
      for (const [at, digest] of digests.entries()) if (places[at] !== undefined) stored.push(digest);
    }
    if (stored.length === 0) return;
    const noted = remote.notedRoots();
    const day = Math.floor((await remote.home.time(signal)) / DAY_MS);
    const old = stored.filter((root) => day - (noted.get(root) ?? -Infinity) > RENEW_DAYS);
    const before = indexes;
    await publish(old.map((root) => ({ root, day })));
    notes += indexes - before;
  }

  return {
    /** Sends what is not there, and adds the nodes that were looked into to the suspects. False where it may have relied on what is gone. */
    async pass(roots: readonly UploadRoot[], suspects: Set<Digest>): Promise<boolean> {
      const tombstones = remote.tombstones();
      const seen = new Set<Digest>();
      missing = [];
      isGood = true;
      datedAt = -Infinity; // whatever this machine's clock says of the last time
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
          if (!isGood) break;
          sendingBatch = sendBatch(batch, tombstones); // while the next one is being planned
          sendingBatch.catch(() => {}); // awaited in its turn
        }
      } finally {
        await sendingBatch; // whatever became of the plan: nothing goes on behind a push that has ended
      }
      for (const digest of seen) suspects.add(digest);
      if (isGood && renewNotes) await unlessReadOnly(renew(roots));
      return isGood;
    },
    hasStored: () => indexes > 0,
    result: (): UploadResult => ({
      ...sent,
      indexes: indexes - notes,
      missing,
      damaged: [...damaged.values()],
      failed: failures.list(),
    }),
  };
}

/** Whoever may not write has nothing there that is not somebody else's. */
async function unlessReadOnly(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'remote-not-writable') throw error;
  }
}

function overtaken(name: string): MlvError {
  return new MlvError({
    code: 'push-overtaken',
    kind: 'refused',
    message: `others remove from ${name} what this push relies on, again and again`,
    hint: 'What was sent is not lost. Push again when "mlv gc --remote" is done there.',
  });
}
