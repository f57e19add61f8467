import { mkdirSync, rmSync } from 'node:fs';
import { MlvError } from '../domain/errors.ts';
import { repoBasename } from '../domain/repo-path.ts';
import type { CheckoutStep } from '../domain/three-way.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { treePathFromText, treePathToText } from '../domain/tree-path.ts';
import { readEntries } from '../domain/tree-reader.ts';
import type { TreeEntry } from '../domain/tree.ts';
import { fits, noRoom, roomAt } from '../platform/room.ts';
import { fileAt } from './file-at.ts';
import type { GetTarget } from './get-target.ts';
import { getTarget, putInPlace } from './get-target.ts';
import { materialise } from './materialise.ts';
import { canReflink } from './open.ts';
import type { Place } from './place.ts';
import { flagsOf, nothingAt, trackedAt } from './place.ts';
import type { VerbOptions } from './progress.ts';
import { purgedLine } from './purge-record.ts';
import type { VersionReader } from './read-version.ts';
import { openVersion } from './read-version.ts';
import { NO_RECORDS } from './record-seeker.ts';
import { createStorageTasks } from './task-runner.ts';
import { versionsBelow } from './version-at.ts';

export interface GetOptions extends VerbOptions {
  /** Absolute. */
  readonly cwd: string;
  /** Where to; the last name of the path in `cwd` unless told. An existing folder, or one with a slash at its end: into it. */
  readonly out?: string | undefined;
  /** Replaces what is there. */
  readonly isForced?: boolean | undefined;
}

export interface GetResult {
  /** Path in the project. */
  readonly path: string;
  readonly type: 'file' | 'folder';
  /** Absolute. */
  readonly out: string;
  readonly files: number;
  readonly bytes: number;
  /** What was left out, as it must not exist any more: a line for each file. */
  readonly purged: readonly string[];
}

/** How a file gets its bytes: never by a symlink into a cache, which may be cleared. */
const LINKS = ['reflink', 'copy'] as const;

/**
 * Writes a tracked file or folder, or one inside a tracked folder, to another place; what is missing in the cache is fetched first.
 * It appears there when it is whole. Throws `not-tracked`, `target-exists`, `target-refused`, `no-space`, `get-failed`, and what
 * reading throws.
 */
export async function get(place: Place, options: GetOptions): Promise<GetResult> {
  const { workspace, path } = place;
  const around = await trackedAt(place);
  if (around === undefined) throw await notOne(place);
  const base = repoBasename(path);
  const target = await getTarget({ ...options, base });
  const reader = openVersion(workspace, around.version, options);
  try {
    const file = await fileAt(place, around, reader);
    if (file !== 'folder') {
      const entry = { ...file, path: treePathFromText(base) };
      const { bytes } = await write(place, reader, { target, entries: () => [entry], options });
      putInPlace(target, base);
      return { path, type: 'file', out: target.out, files: 1, bytes, purged: [] };
    }
    const { inner, version } = around;
    await reader.ensureTree({ below: inner });
    await reader.ensureFiles(inner);
    const record = workspace.purged();
    const purged: string[] = [];
    const all = (): Iterable<TreeEntry> => readEntries(version.pointer.hash, reader.cache.read, inner);
    for (const { digest, path: at } of record.size === 0 ? [] : all()) {
      const content = record.get(digest);
      if (content !== undefined) purged.push(purgedLine(`${version.path}/${treePathToText(at)}`, content));
    }
    const entries = function* (): Generator<TreeEntry> {
      for (const entry of all()) if (!record.has(entry.digest) && entry.path !== inner) yield within(entry, inner);
    };
    const { files, bytes } = await write(place, reader, { target, entries, options });
    putInPlace(target, undefined);
    return { path, type: 'folder', out: target.out, files, bytes, purged };
  } finally {
    rmSync(target.temporary, { recursive: true, force: true });
    reader.close();
  }
}

/** An entry with its path as seen from a folder. */
function within(entry: TreeEntry, folder: TreePath | undefined): TreeEntry {
  return folder === undefined ? entry : { ...entry, path: entry.path.slice(folder.length + 1) as TreePath };
}

/** Writes entries into the target's temporary folder. All or none are good. */
async function write(
  { workspace }: Place,
  { cache }: VersionReader,
  given: { readonly target: GetTarget; readonly entries: () => Iterable<TreeEntry>; readonly options: GetOptions },
): Promise<{ readonly files: number; readonly bytes: number }> {
  const { target, entries, options } = given;
  const { signal, onProgress } = options;
  const sum = { files: 0, bytes: 0 };
  for (const { kind, size } of entries()) {
    sum.files += kind === 'd' ? 0 : 1;
    sum.bytes += size;
  }
  requireRoom(target.parent, canReflink(cache.folder, target.parent) ? { files: 0, bytes: 0 } : sum);
  mkdirSync(target.temporary);
  const tasks = createStorageTasks(cache, signal);
  try {
    const { problems } = await materialise({
      workspace,
      root: target.temporary,
      boundary: target.temporary,
      links: LINKS,
      steps: function* (): Generator<CheckoutStep> {
        for (const want of entries()) yield { action: 'write', path: want.path, want, found: undefined };
      },
      records: () => NO_RECORDS,
      tasks,
      totalFiles: sum.files,
      isEmpty: true,
      onBlock: () => {},
      ...(signal && { signal }),
      ...(onProgress && { onProgress: (progress) => onProgress({ ...progress, phase: 'writing' }) }),
    });
    if (problems.length > 0) {
      throw new MlvError({
        code: 'get-failed',
        kind: 'io',
        message: `${target.out} could not be written`,
        items: problems.map((problem) => `${treePathToText(problem.path)}: ${problem.reason}`),
        hint: 'Nothing was left there. Correct that, or get the whole dataset where a symlink leads out of the part.',
      });
    }
    return sum;
  } finally {
    await tasks.close();
  }
}

function requireRoom(folder: string, need: { readonly files: number; readonly bytes: number }): void {
  const room = roomAt(folder);
  if (room === undefined) return;
  const bytes = need.bytes + need.files * room.blockBytes;
  if (fits(room, bytes, need.files)) return;
  const hint = 'Nothing was written. Make room there, or choose another place with -o.';
  throw noRoom({ what: 'are to be written', folder, room, bytes, files: need.files, hint });
}

/** The error for a place that is no tracked path, nor inside one. */
async function notOne(place: Place): Promise<MlvError> {
  const { workspace, commit, path } = place;
  if ((await versionsBelow(workspace, commit, path)).length === 0 && path !== '') return nothingAt(place);
  const name = path === '' ? '.' : path;
  return new MlvError({
    code: 'not-tracked',
    kind: 'missing',
    message: `${name} is not tracked itself: other tracked paths may be in it`,
    hint: `"mlv ls ${name}${flagsOf(place)}" lists them. Get one of these.`,
  });
}
