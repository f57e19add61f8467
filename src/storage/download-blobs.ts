import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { NEWER_MLV } from '../domain/format-version.ts';
import type { PackKind } from '../domain/pack.ts';
import { keyPath, PACK_BELOW } from '../domain/remote-layout.ts';
import { MAX_TREE_OBJECT_BYTES } from '../domain/tree.ts';
import { hashEngine } from '../platform/hash.ts';
import type { BufferPool } from '../platform/buffer-pool.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { CacheWriter } from './cache-writer.ts';
import { namingFullDisk } from './disk-full.ts';
import { fetchLarge } from './download-large.ts';
import type { ByteRange } from './home.ts';
import type { BlobPlace } from './look-up.ts';
import type { Remote } from './remote.ts';
import { isMissing } from './remote.ts';

/** Something that is wanted; `path` is for messages. */
export interface WantedBlob {
  readonly digest: Digest;
  readonly path: string;
  /** Bytes, where what names it says so: more or less is not fetched. */
  readonly size?: number;
}

/** Something that the remote's indexes name, and whose bytes it does not have: other ones, or none. */
export interface DamagedBlob extends WantedBlob {
  readonly how: 'damaged' | 'gone' | 'other-size';
}

export interface FetchOptions {
  readonly remote: Remote;
  readonly writer: CacheWriter;
  readonly kind: PackKind;
  /** Bounds the bytes under way. */
  readonly pool: BufferPool;
  readonly jobs: number;
  /** Called for bytes that were compared with their digest; those of a large blob before that, and taken back where they are wrong. */
  readonly onFetched: (fetched: { readonly blobs: number; readonly bytes: number }) => void;
  readonly onMissing: (blob: WantedBlob) => void;
  readonly onDamaged: (blob: DamagedBlob) => void;
  /** Called for what could not be read; throws where the rest is not to be tried. */
  readonly onFailed: (blobs: readonly WantedBlob[], error: unknown) => void;
  readonly signal?: AbortSignal | undefined;
}

interface PlacedBlob extends WantedBlob {
  readonly place: BlobPlace;
}

/** Blobs of one pack that are read together. */
interface Span {
  readonly blobs: PlacedBlob[];
  readonly offset: number;
  length: number;
}

/** Reading over a gap of this size costs less than another request. */
const GAP_BYTES = 1 << 20;
/** Half a pack: more connections share the memory that there is. */
const SPAN_BYTES = 16 << 20;

/** Puts the blobs into the writer; every one is compared with its digest first. Each digest is given once. */
export async function fetchBlobs(blobs: readonly WantedBlob[], options: FetchOptions): Promise<void> {
  const gone = await fetchWhereFound(blobs, options);
  if (gone.length === 0) return;
  // Deleted since the indexes were read: what lives has been copied elsewhere, and indexed.
  await options.remote.refresh(options.signal);
  const onMissing = ({ digest, path }: WantedBlob): void => options.onDamaged({ digest, path, how: 'gone' });
  for (const blob of await fetchWhereFound(gone, { ...options, onMissing })) onMissing(blob);
}

/** Tries every place that a blob has, one after the other. Returns those of which none is there any more. */
async function fetchWhereFound(blobs: readonly WantedBlob[], options: FetchOptions): Promise<WantedBlob[]> {
  const lost: WantedBlob[] = [];
  let gone = await fetchOnce(blobs, options);
  // Each round knows of one more key, or ends it.
  while (gone.length > 0) gone = await fetchOnce(gone, { ...options, onMissing: (blob) => lost.push(blob) });
  return lost;
}

/** Returns the blobs whose pack or object is not there; the remote is told. */
async function fetchOnce(blobs: readonly WantedBlob[], options: FetchOptions): Promise<WantedBlob[]> {
  const { remote, jobs, signal } = options;
  const gone: WantedBlob[] = [];
  const places = await remote.find(
    blobs.map(({ digest }) => digest),
    'readable',
    signal,
  );
  const placed: PlacedBlob[] = [];
  for (const [index, blob] of blobs.entries()) {
    const place = places[index];
    if (place === undefined) options.onMissing(blob);
    // Whatever is there, it is not a tree object: nothing is gathered for it.
    else if (options.kind === 'tree' && place.length > MAX_TREE_OBJECT_BYTES) noteDamaged(blob, options);
    // The room for it was looked for, and not for more.
    else if (blob.size !== undefined && place.length !== blob.size) options.onDamaged({ ...blob, how: 'other-size' });
    else placed.push({ ...blob, place: requireReadable(place) });
  }
  await forEachParallel(spans(placed), { jobs, signal }, async (span, stop) => {
    try {
      await fetchSpan(span, { ...options, signal: stop });
    } catch (error) {
      if (!isMissing(error)) return options.onFailed(span.blobs, error);
      for (const blob of span.blobs) {
        remote.noteGone(blob.place.key);
        gone.push(blob);
      }
    }
  });
  return gone;
}

/** What is read at once: a large blob alone, small ones by their place in the packs. */
function spans(blobs: readonly PlacedBlob[]): Span[] {
  const paths = new Map(blobs.map(({ place: { key } }) => [key, keyPath(key)]));
  const path = ({ place: { key } }: PlacedBlob): string => paths.get(key) ?? '';
  const sorted = [...blobs].sort((a, b) => compareText(path(a), path(b)) || a.place.offset - b.place.offset);
  const result: Span[] = [];
  let last: Span | undefined;
  for (const blob of sorted) {
    const { offset, length } = blob.place;
    const end = offset + length;
    const first = last?.blobs[0];
    const joins =
      last !== undefined &&
      first !== undefined &&
      path(first) === path(blob) &&
      offset - (last.offset + last.length) <= GAP_BYTES &&
      end - last.offset <= SPAN_BYTES;
    if (last !== undefined && joins) {
      last.blobs.push(blob);
      last.length = Math.max(last.length, end - last.offset);
    } else {
      last = { blobs: [blob], offset, length };
      result.push(last);
    }
  }
  return result;
}

async function fetchSpan(span: Span, options: FetchOptions & { readonly signal: AbortSignal }): Promise<void> {
  const { remote, pool, signal } = options;
  const [first] = span.blobs;
  if (first === undefined) return;
  if (first.place.length >= PACK_BELOW) return fetchAlone(first, options);
  const memory = await pool.take(span.length, signal);
  try {
    let wanted = span.blobs;
    // Bytes may have been altered on their way: then they are read once more.
    for (let reads = 0; reads < 2 && wanted.length > 0; reads++) {
      const bytes = await readSpan(remote, keyPath(first.place.key), { ...span, into: memory.bytes }, signal);
      wanted = wanted.filter((blob) => {
        const start = blob.place.offset - span.offset;
        return !take(blob, bytes.subarray(start, start + blob.place.length), options);
      });
    }
    for (const blob of wanted) noteDamaged(blob, options);
  } finally {
    memory.release();
  }
}

/** As many of the span's bytes as there are; a pack cut short still has its first blobs. */
async function readSpan(
  remote: Remote,
  path: string,
  range: Required<ByteRange>,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    return await remote.home.read(path, range, signal);
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'object-short') throw error;
    const there = Math.max(0, Math.min(range.length, ((await remote.home.size(path, signal)) ?? 0) - range.offset));
    const into = range.into.subarray(0, there);
    return there === 0 ? into : remote.home.read(path, { offset: range.offset, length: there, into }, signal);
  }
}

/** False where the bytes are not what they should be. The writer copies what it keeps: the memory is used again. */
function take(blob: PlacedBlob, bytes: Buffer, { writer, kind, onFetched }: FetchOptions): boolean {
  const found = hashEngine().hash(bytes);
  if (digestFromBytes(found) !== blob.digest) return false;
  writer.put(found, bytes, kind);
  onFetched({ blobs: 1, bytes: bytes.length });
  return true;
}

function noteDamaged({ digest, path }: WantedBlob, { onDamaged }: FetchOptions): void {
  onDamaged({ digest, path, how: 'damaged' });
}

async function fetchAlone(blob: PlacedBlob, options: FetchOptions & { readonly signal: AbortSignal }): Promise<void> {
  const { remote, writer, pool, onFetched, signal } = options;
  const gather = async (): Promise<string | undefined> => {
    let counted = 0;
    const path = await fetchLarge({
      home: remote.home,
      place: blob.place,
      digest: blob.digest,
      partialPath: writer.partialPath(blob.digest),
      pool,
      onBytes(bytes) {
        counted += bytes;
        onFetched({ blobs: 0, bytes });
      },
      signal,
    }).catch((error: unknown) => {
      if (error instanceof MlvError && error.code === 'object-short') return undefined;
      throw namingFullDisk(error, blob.path, writer.folder);
    });
    if (path === undefined) onFetched({ blobs: 0, bytes: -counted });
    return path;
  };
  // Once more: bytes may have been altered on their way, or in the file that an earlier run left.
  const path = (await gather()) ?? (await gather());
  if (path === undefined) return noteDamaged(blob, options);
  writer.adopt(blob.digest, path);
  onFetched({ blobs: 1, bytes: 0 });
}

function requireReadable(place: BlobPlace): BlobPlace {
  if (place.key.kind !== 'list') return place;
  throw new MlvError({
    code: 'remote-lists',
    kind: 'unsupported',
    message: 'the remote keeps some blobs as lists of chunks, which this mlv cannot read',
    hint: NEWER_MLV,
  });
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
