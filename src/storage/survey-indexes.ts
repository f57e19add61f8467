import { rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { StorageKey } from '../domain/blob-index.ts';
import type { Digest } from '../domain/digest.ts';
import { digestToBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import { indexHeadLength, parseIndexHead, vouches } from '../domain/index-head.ts';
import {
  checkDescription,
  DESCRIPTION_KEY,
  INDEX_FOLDER,
  formatDescription,
  keyPath,
  parseIndexName,
  parseTombstones,
} from '../domain/remote-layout.ts';
import { hashEngine } from '../platform/hash.ts';
import { forEachParallel } from '../platform/parallel.ts';
import { ioError } from '../platform/io-error.ts';
import { writeFullyTo } from '../platform/read-write.ts';
import type { BuiltIndex } from './build-index.ts';
import type { Damage } from './damage.ts';
import { damageReason } from './damage.ts';
import type { Home } from './home.ts';
import type { IndexFile, LocatedRow } from './index-file.ts';
import { openIndexFile } from './index-file.ts';
import { MAX_WHOLE_INDEX_BYTES, replacedBy } from './merge-indexes.ts';
import { readTwice } from './read-twice.ts';
import { isMissing } from './remote.ts';
import { makeFolder } from '../platform/make-folder.ts';

/** What a remote says of itself, each byte read from it and compared with the name: none of it from this machine's mirror. */
export interface SurveyedIndexes {
  readonly damages: readonly Damage[];
  /** Those that are good. */
  readonly all: readonly IndexFile[];
  /** Those that count: good, and not replaced by others. */
  readonly live: () => readonly IndexFile[];
  /** Keys, below `index/` or the description, that are damaged. */
  readonly damagedKeys: readonly string[];
  isDead(key: StorageKey): boolean;
  /** Rows of living keys; as `tree`, of tree objects whose index vouches for what they name. */
  find(digest: Digest, as?: 'blob' | 'tree'): LocatedRow[];
  isVouching(index: IndexFile): boolean;
  /** When the last of them was stored, in milliseconds since 1970 by the store's clock. */
  readonly modified: number;
  /** Takes into account what has been written just now. */
  add(index: BuiltIndex): void;
  /** From now on these do not count. */
  drop(names: ReadonlySet<Digest>): void;
  close(): void;
}

const PIECE_BYTES = 8 << 20;
const MAX_SMALL_BYTES = 64 << 20;
const JOBS = 4;

/**
 * Reads description, tombstones and indexes of a remote into `scratch`, a new folder. Throws `remote-missing`, and `unsupported`
 * errors for what a later mlv wrote.
 */
export async function surveyIndexes(options: {
  readonly home: Home;
  readonly scratch: string;
  /** The description as this machine has seen it: it never changes. */
  readonly description: Buffer | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<SurveyedIndexes> {
  const { home, scratch, signal } = options;
  const damages: Damage[] = [];
  const damagedKeys: string[] = [];
  const dead = new Set<string>();
  const opened = new Map<Digest, IndexFile>();
  makeFolder(scratch);

  function note(kind: Damage['kind'], key: string, error: unknown): void {
    if (error instanceof MlvError && error.kind === 'unsupported') throw error;
    damages.push({ kind, where: key, reason: damageReason(error), digests: new Set() });
    damagedKeys.push(key);
  }

  async function readIndex(name: Digest, size: number, stop: AbortSignal): Promise<void> {
    const path = join(scratch, name);
    try {
      const file = await readTwice(async () => {
        await copyTo(home, { key: INDEX_FOLDER + name, size, path, signal: stop });
        return openVerified(path, name);
      });
      opened.set(name, file);
    } catch (error) {
      stop.throwIfAborted();
      if (isMissing(error)) return; // merged away since it was listed
      note('index', INDEX_FOLDER + name, (await isFlippedVersion(home, name, size)) ? notAsNamed(name) : error);
    }
  }

  async function readTombstones(name: Digest): Promise<void> {
    const key = `${INDEX_FOLDER}${name}.gc`;
    try {
      const keys = await readTwice(async () =>
        parseTombstones(await home.readAll(key, MAX_SMALL_BYTES, signal), name, hashEngine().hash),
      );
      for (const each of keys) dead.add(each);
    } catch (error) {
      signal?.throwIfAborted();
      note('tombstones', key, error);
    }
  }

  const listed: { name: Digest; size: number }[] = [];
  const dates = new Map<Digest, number>();
  const tombstones: Digest[] = [];
  for await (const { key, size, modified } of home.list(INDEX_FOLDER, signal)) {
    const name = parseIndexName(key);
    if (name !== undefined) dates.set(name.hash, modified);
    if (name?.kind === 'index') listed.push({ name: name.hash, size });
    else if (name !== undefined) tombstones.push(name.hash);
  }
  try {
    await readTwice(async () => {
      const found = await home.readAll(DESCRIPTION_KEY, MAX_SMALL_BYTES, signal);
      // Where the two differ, and one is what mlv writes, it is the other that was damaged.
      const isAsWritten = found.toString('utf8') === formatDescription();
      if (!isAsWritten && options.description?.equals(found) === false) throw notAsItWas(home);
      checkDescription(found.toString('utf8'), home.name);
    });
  } catch (error) {
    signal?.throwIfAborted();
    const isNew = isMissing(error) && listed.length === 0 && options.description === undefined;
    if (!isNew) note('description', DESCRIPTION_KEY, error);
  }
  await forEachParallel(tombstones, { jobs: JOBS, signal }, readTombstones);
  await forEachParallel(listed, { jobs: JOBS, signal }, ({ name, size }, stop) => readIndex(name, size, stop));

  let live: IndexFile[] | undefined;
  const findLive = (): IndexFile[] => {
    const all = [...opened.values()];
    const isReplaced = replacedBy(all.map(({ head }) => head));
    return all.filter(({ head }) => !isReplaced(head));
  };
  // What is added has only just been looked at.
  const isVouching = ({ head }: IndexFile): boolean => vouches(head, dates.get(head.name) ?? head.asOf);
  const isDead = (key: StorageKey): boolean => dead.size > 0 && dead.has(keyPath(key));
  return {
    damages,
    damagedKeys,
    all: [...opened.values()],
    live: () => (live ??= findLive()),
    isDead,
    find(digest, as = 'blob') {
      const bytes = digestToBytes(digest);
      live ??= findLive();
      const able = as === 'tree' ? live.filter(isVouching) : live;
      const rows = able.flatMap((index) => index.find(bytes));
      return rows.filter(({ key }) => !isDead(key) && (as !== 'tree' || key.kind === 'tree-pack'));
    },
    isVouching,
    modified: [...dates.values()].reduce((latest, date) => Math.max(latest, date), 0),
    add(index) {
      const path = join(scratch, index.name);
      writeFileSync(path, Buffer.concat(index.chunks));
      opened.set(index.name, openIndexFile(path, index.name));
      live = undefined;
    },
    drop(names) {
      for (const name of names) {
        opened.get(name)?.close();
        opened.delete(name);
      }
      live = undefined;
    },
    close() {
      for (const index of opened.values()) index.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

function openVerified(path: string, name: Digest): IndexFile {
  const file = openIndexFile(path, name);
  try {
    file.verify();
    file.keys();
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

async function copyTo(
  home: Home,
  given: { readonly key: string; readonly size: number; readonly path: string; readonly signal: AbortSignal },
): Promise<void> {
  const { key, size, path, signal } = given;
  if (size > MAX_WHOLE_INDEX_BYTES) {
    const message = `${key} at ${home.name} has ${size} bytes, more than any index`;
    throw new MlvError({ code: 'index-invalid', kind: 'corrupt', message });
  }
  const file = await open(path, 'w');
  try {
    for (let offset = 0; offset < size; offset += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, size - offset);
      await writeFullyTo(file, await home.read(key, { offset, length }, signal));
    }
  } catch (error) {
    // Which a full disk of this machine does not.
    throw ioError(error, 'write', path);
  } finally {
    await file.close();
  }
}

/** An index of another version that is right as soon as the version is put right was not written by a later mlv. */
async function isFlippedVersion(home: Home, name: Digest, size: number): Promise<boolean> {
  try {
    const head = await home.read(INDEX_FOLDER + name, { offset: 0, length: Math.min(size, PIECE_BYTES) });
    if (head.readUInt32LE(8) === 0) return false;
    head.writeUInt32LE(0, 8);
    parseIndexHead(head.subarray(0, indexHeadLength(head, name)), name, hashEngine().hash);
    return true;
  } catch {
    return false;
  }
}

function notAsNamed(name: Digest): MlvError {
  return new MlvError({ code: 'index-invalid', kind: 'corrupt', message: `index ${name} is damaged: its version` });
}

function notAsItWas(home: Home): MlvError {
  const message = `${DESCRIPTION_KEY} at ${home.name} is not what it was`;
  return new MlvError({ code: 'remote-invalid', kind: 'corrupt', message });
}
