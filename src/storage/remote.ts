import type { StorageKey } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { IndexHead } from '../domain/index-head.ts';
import { vouches } from '../domain/index-head.ts';
import {
  checkDescription,
  DESCRIPTION_KEY,
  formatDescription,
  INDEX_FOLDER,
  keyPath,
  parseIndexName,
} from '../domain/remote-layout.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { BuiltIndex } from './build-index.ts';
import type { Home, StoredObject } from './home.ts';
import type { MirroredIndex } from './index-mirror.ts';
import { openIndexMirror } from './index-mirror.ts';
import type { BlobPlace, FindAs } from './look-up.ts';
import { lookUp } from './look-up.ts';
import { replacedBy } from './merge-indexes.ts';
import { ifGood, openTombstones } from './remote-tombstones.ts';

/** An index that the last listing had. */
export interface ListedIndex {
  readonly name: Digest;
  readonly size: number;
  /** Milliseconds, by the store's clock. */
  readonly modified: number;
  /** Undefined when others replace it and it was never looked at. */
  readonly head: IndexHead | undefined;
}

/** A remote as its last listing showed it, and as this process has changed it since. */
export interface Remote {
  readonly home: Home;
  /** Lists once what there is, and fetches what is new of tombstones and indexes' heads. */
  refresh(signal?: AbortSignal): Promise<void>;
  /** The same, and asks for the store's time before: an index that relies on what is found says `asOf`. */
  refreshDated(signal?: AbortSignal): Promise<void>;
  /** When the last dated listing began, in milliseconds since 1970 by the store's clock; undefined before the first. */
  asOf(): number | undefined;
  /**
   * The place of each digest, undefined for what the remote does not have. As `tree`, only what was stored as a tree object,
   * after all that it names, counts, as far as its index vouches for that: data may have the same bytes. As `readable`, keys that
   * are dead but may not be deleted yet will do where there is no other, and keys that are known to be gone will not.
   */
  find(digests: readonly Digest[], as: FindAs, signal?: AbortSignal): Promise<(BlobPlace | undefined)[]>;
  /** Tombstoned keys never come back. */
  isDead(key: StorageKey): boolean;
  /** Since when a key is dead, in milliseconds since 1970 by the store's clock. */
  deadSince(key: StorageKey): number | undefined;
  /** Notes that a key has no bytes, until the next listing. */
  noteGone(key: StorageKey): void;
  /** Another one as soon as more keys are dead. */
  tombstones(): Digest;
  /** Whether an index's rows of tree objects promise that all they name is there. */
  isVouching(head: IndexHead): boolean;
  /** Throws `remote-missing` when the folder or bucket is not there at all. A first push may still make it. */
  requirePresent(): void;
  /** Creates what a remote needs before anything else is stored there. */
  prepare(signal?: AbortSignal): Promise<void>;
  /**
   * Makes an index durable on the remote; from then on `find` knows its rows. Returns whether those of tree objects count: not when
   * that came too long after what it relies on was looked at.
   */
  addIndex(index: BuiltIndex, signal?: AbortSignal): Promise<boolean>;
  /** The roots that indexes which are wholly on this machine note, with the last day. */
  notedRoots(): Map<Digest, number>;
  /** The indexes that count: none that others replace. */
  indexes(): MirroredIndex[];
  /** All indexes that the last listing had, replaced ones too. */
  listed(): readonly ListedIndex[];
  close(): void;
}

type StoredIndex = Omit<ListedIndex, 'head'>;

const MAX_DESCRIPTION_BYTES = 64 << 10;
const JOBS = 8;
const ATTEMPTS = 3;

/**
 * Opens the remote at `home` and lists it once. `mirrorFolder` keeps its indexes on this machine. Throws what `Home` throws,
 * `remote-version`, `remote-invalid`, `remote-gone`, `index-…`, `tombstones-…`.
 */
export async function openRemote(options: {
  readonly home: Home;
  readonly mirrorFolder: string;
  readonly signal?: AbortSignal | undefined;
}): Promise<Remote> {
  const { home, mirrorFolder } = options;
  const mirror = openIndexMirror({ home, folder: mirrorFolder, remoteFolder: INDEX_FOLDER });
  const open = new Map<Digest, MirroredIndex>();
  const tombstones = openTombstones(home, mirror);
  const gone = new Set<string>();
  let dates = new Map<Digest, number>();
  let asOf: number | undefined;
  let listed: ListedIndex[] = [];
  let isPrepared = false;
  let absence: MlvError | undefined;

  async function refresh(signal?: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await refreshOnce(signal);
      } catch (error) {
        if (!mayPass(error)) throw error;
        if (attempt === ATTEMPTS) throw isMissing(error) ? everChanging(home.name, error) : error;
      }
    }
  }

  async function refreshOnce(signal?: AbortSignal): Promise<void> {
    const objects = await listIndexes(signal);
    await checkRemote(objects.length > 0, signal);
    const indexes: StoredIndex[] = [];
    const buried: StoredIndex[] = [];
    for (const { key, size, modified } of objects) {
      const name = parseIndexName(key);
      if (name?.kind === 'index') indexes.push({ name: name.hash, size, modified });
      else if (name !== undefined) buried.push({ name: name.hash, size, modified });
    }
    await tombstones.read(buried, signal);
    const known = await openIndexes(indexes, signal);
    listed = indexes.map((index) => ({ ...index, head: known.get(index.name) }));
    dates = new Map(indexes.map((index) => [index.name, index.modified]));
    gone.clear();
    const names = new Set(objects.map(({ key }) => key.slice(INDEX_FOLDER.length)));
    mirror.retain((name) => names.has(name) || name === DESCRIPTION_KEY);
  }

  async function listIndexes(signal?: AbortSignal): Promise<StoredObject[]> {
    const objects: StoredObject[] = [];
    try {
      for await (const object of home.list(INDEX_FOLDER, signal)) objects.push(object);
    } catch (error) {
      // A remote that is to be made by its first push.
      if (!isRemoteMissing(error)) throw error;
    }
    return objects;
  }

  /** The description never changes: it is read once for a clone, and where there is nothing else to go by. */
  async function checkRemote(hasIndexes: boolean, signal?: AbortSignal): Promise<void> {
    const kept = ifGood(mirror.readFile(DESCRIPTION_KEY), (bytes) =>
      checkDescription(bytes.toString('utf8'), home.name),
    );
    absence = undefined;
    try {
      const description =
        hasIndexes && kept !== undefined ? kept : await home.readAll(DESCRIPTION_KEY, MAX_DESCRIPTION_BYTES, signal);
      checkDescription(description.toString('utf8'), home.name);
      if (kept === undefined) mirror.keepFile(DESCRIPTION_KEY, description);
      isPrepared = true;
    } catch (error) {
      if (!isMissing(error) && !isRemoteMissing(error)) throw error;
      if (hasIndexes || kept !== undefined) throw remoteGone(home.name, mirrorFolder, error);
      absence = isRemoteMissing(error) ? error : undefined;
    }
  }

  /** Opens the indexes that count, and returns all heads. Large ones come first: they may make it needless to look at many small ones. */
  async function openIndexes(indexes: readonly StoredIndex[], signal?: AbortSignal): Promise<Map<Digest, IndexHead>> {
    const names = new Set(indexes.map(({ name }) => name));
    for (const name of open.keys()) if (!names.has(name)) closeIndex(name);
    for (const { name } of indexes) {
      const index = open.get(name) ?? mirror.openLocal(name);
      if (index !== undefined) open.set(name, index);
    }
    const missing = indexes.filter(({ name }) => !open.has(name)).sort((a, b) => b.size - a.size);
    for (let start = 0; start < missing.length; start += JOBS) {
      const isReplaced = replacedBy(heads().values());
      const batch = missing
        .slice(start, start + JOBS)
        .filter(({ name }) => !isReplaced({ name, prefix: { bits: 0, value: 0 } }));
      await forEachParallel(batch, { jobs: JOBS, signal }, async ({ name, size }, stop) => {
        open.set(name, await mirror.fetch(name, size, stop));
      });
    }
    const all = heads();
    closeReplaced();
    return all;
  }

  function heads(): Map<Digest, IndexHead> {
    return new Map([...open.values()].map(({ head }) => [head.name, head]));
  }

  function closeReplaced(): void {
    const all = heads();
    const isReplaced = replacedBy(all.values());
    for (const head of all.values()) if (isReplaced(head)) closeIndex(head.name);
  }

  function closeIndex(name: Digest): void {
    open.get(name)?.close();
    open.delete(name);
  }

  const isDead = (key: StorageKey): boolean => tombstones.deadSince(key) !== undefined;

  const isGone = (key: StorageKey): boolean => gone.size > 0 && gone.has(keyPath(key));
  const isVouching = (head: IndexHead): boolean => vouches(head, dates.get(head.name) ?? Infinity);

  async function find(
    digests: readonly Digest[],
    as: FindAs,
    signal?: AbortSignal,
  ): Promise<(BlobPlace | undefined)[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await lookUp(open.values(), digests, { as, isDead, isGone, isVouching, signal });
      } catch (error) {
        if (!mayPass(error) || attempt === ATTEMPTS) throw error;
        await refresh(signal);
      }
    }
  }

  const remote: Remote = {
    home,
    refresh,
    find,
    async refreshDated(signal) {
      const time = await home.time(signal);
      await refresh(signal);
      asOf = time;
    },
    asOf: () => asOf,
    isDead,
    deadSince: tombstones.deadSince,
    noteGone: (key) => gone.add(keyPath(key)),
    tombstones: tombstones.mark,
    isVouching,
    requirePresent() {
      if (absence !== undefined) throw absence;
    },
    async prepare(signal) {
      if (isPrepared) return;
      const description = Buffer.from(formatDescription());
      await home.write(DESCRIPTION_KEY, [description], signal);
      mirror.keepFile(DESCRIPTION_KEY, description);
      isPrepared = true;
      absence = undefined;
    },
    async addIndex(index, signal) {
      await home.write(INDEX_FOLDER + index.name, index.chunks, signal);
      dates.set(index.name, await home.time(signal));
      const added = open.get(index.name) ?? mirror.keep(index.name, index.chunks);
      open.set(index.name, added);
      return isVouching(added.head);
    },
    notedRoots() {
      const days = new Map<Digest, number>();
      for (const index of open.values())
        for (const { root, day } of index.roots()) days.set(root, Math.max(day, days.get(root) ?? 0));
      return days;
    },
    indexes() {
      closeReplaced();
      return [...open.values()];
    },
    listed: () => listed,
    close() {
      for (const name of open.keys()) closeIndex(name);
    },
  };
  await refresh(options.signal);
  return remote;
}

/** True for an object that was there and is no more, or never was. */
export function isMissing(error: unknown): error is MlvError {
  return error instanceof MlvError && error.code === 'object-missing';
}

/** Indexes that were listed were replaced, each time, before they could be read. */
function everChanging(name: string, cause: unknown): MlvError {
  return new MlvError({
    code: 'remote-changing',
    kind: 'io',
    message: `the indexes of ${name} were replaced by others while they were read, ${ATTEMPTS} times in a row`,
    hint: 'Run the command again. If it stays so, "mlv verify --remote" tells what the remote has lost.',
    cause,
  });
}

/** True for an index that another client has merged away meanwhile, and for bytes that may have been altered on their way. */
function mayPass(error: unknown): boolean {
  return isMissing(error) || (error instanceof MlvError && error.kind === 'corrupt');
}

function isRemoteMissing(error: unknown): error is MlvError {
  return error instanceof MlvError && error.code === 'remote-missing';
}

function remoteGone(name: string, mirrorFolder: string, cause: unknown): MlvError {
  return new MlvError({
    code: 'remote-gone',
    kind: 'missing',
    message: `there was a remote at ${name}, and now its ${DESCRIPTION_KEY} is not there`,
    hint: `Is the disk mounted, the bucket the right one? If it was deleted on purpose, remove ${mirrorFolder} and push again.`,
    cause,
  });
}
