/** Caches and remotes in a temporary folder, and homes that count, fail and change things. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StorageKey } from '../../src/domain/blob-index.ts';
import type { Digest } from '../../src/domain/digest.ts';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { keyPath, parseIndexName, parseTombstones } from '../../src/domain/remote-layout.ts';
import type { EntryKind, TreeEntry } from '../../src/domain/tree.ts';
import { EMPTY_DIGEST } from '../../src/domain/tree.ts';
import { createTreeBuilder } from '../../src/domain/tree-builder.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { readEntries } from '../../src/domain/tree-reader.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import type { DownloadResult } from '../../src/storage/download.ts';
import { download } from '../../src/storage/download.ts';
import type { DownloadRoot } from '../../src/storage/download-plan.ts';
import { openFolderHome } from '../../src/storage/folder-home.ts';
import type { Home } from '../../src/storage/home.ts';
import { openIndexFile } from '../../src/storage/index-file.ts';
import type { LocalCache } from '../../src/storage/local-cache.ts';
import { openLocalCache } from '../../src/storage/local-cache.ts';
import type { Remote } from '../../src/storage/remote.ts';
import { openRemote } from '../../src/storage/remote.ts';
import type { UploadResult } from '../../src/storage/upload.ts';
import { upload } from '../../src/storage/upload.ts';
import type { UploadRoot } from '../../src/storage/upload-plan.ts';

const { hash } = hashEngine();

export type Files = Readonly<Record<string, string | Buffer | { readonly kind: EntryKind; readonly content: string }>>;

export type Tree = UploadRoot & DownloadRoot;

export interface Rig {
  readonly remoteFolder: string;
  readonly home: Home;
  cache(name: string): LocalCache;
  /** A remote as the clone of this name sees it. */
  remote(name: string, home?: Home): Promise<Remote>;
  /** Pushes from the cache of a clone. */
  push(name: string, roots: readonly Tree[], ofHome?: Home): Promise<UploadResult>;
  pull(name: string, wanted: readonly Tree[], ofHome?: Home): Promise<DownloadResult>;
  dispose(): void;
}

export function createRig(): Rig {
  const folder = mkdtempSync(join(tmpdir(), 'mlv-transfer-'));
  const remoteFolder = join(folder, 'remote');
  const home = openFolderHome(remoteFolder);
  const open: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(resource: T): T => {
    open.push(resource);
    return resource;
  };
  const rig: Rig = {
    remoteFolder,
    home,
    cache: (name) => keep(openLocalCache({ folder: join(folder, name, 'cache'), packBelow: () => 1 << 20 })),
    remote: async (name, ofHome = home) =>
      keep(await openRemote({ home: ofHome, mirrorFolder: join(folder, name, 'mirror') })),
    push: async (name, roots, ofHome) =>
      upload({ remote: await rig.remote(name, ofHome), cache: rig.cache(name), roots, renewNotes: false }),
    pull: async (name, wanted, ofHome) =>
      download({ remote: await rig.remote(name, ofHome), cache: rig.cache(name), wanted }),
    dispose() {
      for (const resource of open) resource.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return rig;
}

export function manyFiles(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `part-${Math.floor(at / 1_000)}/${String(at).padStart(7, '0')}.txt`,
      `content ${at}`,
    ]),
  );
}

export function digestOf(content: string | Buffer): Digest {
  return digestFromBytes(hash(Buffer.from(content as string)));
}

/** Puts files and their tree into the cache; `leaveOut` names files whose content is not put there. */
export async function addTree(cache: LocalCache, files: Files, leaveOut: readonly string[] = []): Promise<Tree> {
  const writer = cache.openWriter();
  const builder = createTreeBuilder({
    hash,
    emit: ({ digest, bytes }) => writer.put(Buffer.from(digest, 'hex'), bytes, 'tree'),
  });
  const names = Object.keys(files).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names) {
    const file = files[name] ?? '';
    const { kind, content } =
      typeof file === 'string' || Buffer.isBuffer(file) ? { kind: 'f' as const, content: file } : file;
    const bytes = Buffer.from(content as string);
    const path = treePathFromText(name);
    const entry: TreeEntry =
      kind === 'd'
        ? { path, kind, size: 0, digest: EMPTY_DIGEST }
        : { path, kind, size: bytes.length, digest: digestOf(bytes) };
    if (kind !== 'd' && !leaveOut.includes(name)) writer.put(hash(bytes), bytes, 'data');
    builder.entry(entry);
  }
  const { root, bytes } = builder.finish();
  await writer.finish();
  return { digest: root, type: 'dir', name: 'data', size: bytes };
}

/** The content of a tree as far as the cache has it; `undefined` for what it does not have. */
export function readTree(cache: LocalCache, tree: Tree): Record<string, string | undefined> {
  const content: Record<string, string | undefined> = {};
  for (const { path, kind, digest } of readEntries(tree.digest, (object) => cache.read(object))) {
    if (kind === 'd') content[path] = '';
    else content[path] = cache.has(digest) ? cache.read(digest).toString('latin1') : undefined;
  }
  return content;
}

/** `readTree` of a cache that has it all. */
export function contentOf(files: Files): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([name, file]) => {
      const content = typeof file === 'string' || Buffer.isBuffer(file) ? file : file.content;
      return [treePathFromText(name), Buffer.from(content as string).toString('latin1')];
    }),
  );
}

export interface Counts {
  lists: number;
  reads: number;
  bytesRead: number;
  bytesWritten: number;
  /** Keys, in the order written. */
  written: string[];
}

/** Counts what goes through; `before` runs ahead of each call and may throw. */
export function watch(
  home: Home,
  before: (call: 'list' | 'size' | 'read' | 'write', key: string) => void | Promise<void> = () => {},
) {
  const counts: Counts = { lists: 0, reads: 0, bytesRead: 0, bytesWritten: 0, written: [] };
  const watched: Home = {
    ...home,
    async *list(prefix, signal) {
      await before('list', prefix);
      counts.lists += 1;
      yield* home.list(prefix, signal);
    },
    async size(key, signal) {
      await before('size', key);
      return home.size(key, signal);
    },
    async read(key, range, signal) {
      await before('read', key);
      const bytes = await home.read(key, range, signal);
      counts.reads += 1;
      counts.bytesRead += bytes.length;
      return bytes;
    },
    async readAll(key, limit, signal) {
      await before('read', key);
      const bytes = await home.readAll(key, limit, signal);
      counts.reads += 1;
      counts.bytesRead += bytes.length;
      return bytes;
    },
    clone: async () => false,
    async write(key, chunks, signal) {
      await before('write', key);
      await home.write(key, chunks, signal);
      counts.written.push(key);
      counts.bytesWritten += chunks.reduce((sum, { length }) => sum + length, 0);
    },
    async writeFile(key, source, signal) {
      await before('write', key);
      await home.writeFile(key, source, signal);
      counts.written.push(key);
      counts.bytesWritten += source.length;
    },
  };
  return { home: watched, counts };
}

/** All rows of all indexes in a remote's folder that no tombstone names, read without any of the code that transfers. */
export function readRows(remoteFolder: string): Map<Digest, { key: StorageKey; bytes: Buffer }> {
  const rows = new Map<Digest, { key: StorageKey; bytes: Buffer }>();
  const files = new Map<string, Buffer>();
  const names = safeList(join(remoteFolder, 'index')).map((name) => parseIndexName(`index/${name}`));
  const dead = new Set(
    names.flatMap((name) =>
      name?.kind === 'tombstones'
        ? parseTombstones(readFileSync(join(remoteFolder, 'index', `${name.hash}.gc`)), name.hash, hash)
        : [],
    ),
  );
  for (const name of names) {
    if (name?.kind !== 'index') continue;
    const index = openIndexFile(join(remoteFolder, 'index', name.hash), name.hash);
    index.verify();
    const cells = index.readCells(0, index.head.rows);
    for (let at = 0; at < cells.length; at += 48) {
      const digest = digestFromBytes(cells, at);
      for (const { key, offset, length } of index.find(cells.subarray(at, at + 32))) {
        if (dead.has(keyPath(key))) continue;
        const file = files.get(keyPath(key)) ?? readFileSync(join(remoteFolder, keyPath(key)));
        files.set(keyPath(key), file);
        const bytes = file.subarray(offset, offset + length);
        if (digestOf(bytes) !== digest) throw new Error(`the remote's bytes of ${digest} are wrong`);
        if (!rows.has(digest) || key.kind === 'tree-pack') rows.set(digest, { key, bytes });
      }
    }
    index.close();
  }
  return rows;
}

/** What is named by tree objects with a row and has no row itself. */
export function openEnds(remoteFolder: string): string[] {
  const rows = readRows(remoteFolder);
  const open: string[] = [];
  for (const [digest, { key, bytes }] of rows) {
    if (key.kind !== 'tree-pack') continue;
    for (const line of bytes.toString('latin1').split('\n')) {
      const [child = '', , kind] = line.split(' ');
      if (child.length === 64 && kind !== 'd' && !rows.has(child as Digest)) open.push(`${digest} names ${line}`);
    }
  }
  return open;
}

export function safeList(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
