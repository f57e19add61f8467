/** Files that are damaged: of a folder, or of a bucket. */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BucketView } from '../../support/s3-server/bucket-view.ts';
import type { Random } from '../random.ts';

export interface Place {
  /** Sorted. */
  names(): Promise<string[]>;
  read(name: string): Promise<Buffer>;
  write(name: string, bytes: Buffer): Promise<void>;
  remove(name: string): Promise<void>;
}

/** The files below some paths of a folder; only those whose content fits, where that is asked. */
export function folderPlace(folder: string, below: readonly string[], fits?: (bytes: Buffer) => boolean): Place {
  const filesAt = (path: string): string[] => {
    const absolute = join(folder, path);
    if (!existsSync(absolute)) return [];
    if (statSync(absolute).isFile()) return [path];
    return readdirSync(absolute).flatMap((name) => filesAt(join(path, name)));
  };
  return {
    names: () => {
      const names = below.flatMap(filesAt).sort();
      return Promise.resolve(
        fits === undefined ? names : names.filter((name) => fits(readFileSync(join(folder, name)))),
      );
    },
    read: (name) => Promise.resolve(readFileSync(join(folder, name))),
    write: (name, bytes) => {
      chmodSync(join(folder, name), 0o644);
      writeFileSync(join(folder, name), bytes);
      return Promise.resolve();
    },
    remove: (name) => {
      rmSync(join(folder, name));
      return Promise.resolve();
    },
  };
}

/** What a bucket has below a prefix. Its ETags, times and checksums stay what they were. */
export function bucketPlace(bucket: BucketView, prefix: string): Place {
  return {
    names: () => Promise.resolve([...bucket.objects().keys()].filter((key) => key.startsWith(prefix))),
    read: (key) => bucket.get(key),
    write: (key, bytes) => bucket.corrupt(key, () => bytes),
    remove: (key) => bucket.delete(key),
  };
}

/** By equal chances. */
const ACTIONS = ['flip', 'flip', 'truncate', 'swap', 'delete'] as const;
type Action = (typeof ACTIONS)[number];

/** Damages one of the files, and tells what was done. */
export async function damage(place: Place, random: Random, actions: readonly Action[] = ACTIONS): Promise<string> {
  const names = await place.names();
  const name = random.pick(names);
  const action = random.pick(actions);
  if (action === 'delete') {
    await place.remove(name);
    return `delete ${name}`;
  }
  const bytes = await place.read(name);
  if (action === 'swap') {
    const others: { name: string; bytes: Buffer }[] = [];
    for (const each of names) others.push({ name: each, bytes: await place.read(each) });
    const different = others.filter((other) => !other.bytes.equals(bytes));
    if (different.length === 0) return damage(place, random, ['flip']);
    const other = random.pick(different);
    await place.write(name, other.bytes);
    await place.write(other.name, bytes);
    return `swap ${name} and ${other.name}`;
  }
  if (action === 'truncate') {
    const length = random.next(bytes.length);
    await place.write(name, Buffer.from(bytes.subarray(0, length)));
    return `truncate ${name} to ${length} of ${bytes.length}`;
  }
  const at = random.next(bytes.length);
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << random.next(8)), at);
  await place.write(name, flipped);
  return `flip ${name} at ${at} of ${bytes.length}`;
}
