/** Recordings of an mlv that lacks one flush, or writes in place what it renames. */
import { readFileSync } from 'node:fs';
import type { Code } from './code.ts';
import { type Node, openDisk } from './disk.ts';
import type { Change } from './journal.ts';
import type { Recording } from './record.ts';

/** A place in the sources where something is flushed or renamed. */
export interface Place {
  readonly what: 'flush' | 'rename';
  /** `src/storage/pack-writer.ts:91`. */
  readonly place: string;
}

/** Every place of a recording, once. */
export function placesOf({ changes }: Recording, code: Code): Place[] {
  const found = new Map<string, Place>();
  for (const change of changes) {
    if (change.o !== 'flush' && change.o !== 'rename') continue;
    const place = { what: change.o, place: code.placeOf(change.site) };
    found.set(`${place.what} ${place.place}`, place);
  }
  return [...found.values()];
}

export interface Mutant {
  readonly changes: readonly Change[];
  /** After which of them the difference may show, the end among them. */
  readonly moments: readonly number[];
}

const OCCURRENCES = 4;

/** The recording without what is done at a place. */
export function mutate(recording: Recording, { what, place }: Place, code: Code): Mutant {
  return what === 'flush' ? withoutFlush(recording, place, code) : withoutRename(recording, place, code);
}

function withoutFlush({ changes }: Recording, place: string, code: Code): Mutant {
  const kept: Change[] = [];
  const gone = new Set<string>();
  const moments = new Set<number>();
  /** Moments to come: what is done next may count on what was not flushed. */
  let coming = 0;
  let occurrences = 0;
  for (const change of changes) {
    if (change.o === 'flush' && code.placeOf(change.site) === place) {
      if (change.flush !== undefined) gone.add(change.flush);
      occurrences += 1;
      if (occurrences <= OCCURRENCES) coming = 4;
      continue;
    }
    if (change.o === 'flushed' && gone.has(change.flush)) continue;
    kept.push(change);
    if (coming > 0 && ['flush', 'rename', 'git', 'unlink', 'rmdir'].includes(change.o)) {
      moments.add(kept.length);
      coming -= 1;
    }
  }
  return { changes: kept, moments: ordered(moments, kept.length) };
}

function withoutRename({ changes, before }: Recording, place: string, code: Code): Mutant {
  const disk = openDisk(before.folder);
  const result: Change[] = [];
  const moments = new Set<number>();
  let occurrences = 0;
  const push = (change: Change): void => {
    disk.apply(change);
    result.push(change);
  };
  for (const change of changes) {
    const node = change.o === 'rename' ? disk.find(change.path) : undefined;
    if (change.o !== 'rename' || node?.kind !== 'file' || code.placeOf(change.site) !== place) {
      push(change);
      continue;
    }
    occurrences += 1;
    const isNew = disk.find(change.to) === undefined;
    const id = `in place ${occurrences}`;
    push({ o: 'open', id, path: change.to, isNew, truncates: !isNew, mode: modeOf(node) });
    if (occurrences <= OCCURRENCES) moments.add(result.length);
    push({ o: 'write', id, at: 0, bytes: contentOf(node) });
    if (occurrences <= OCCURRENCES) moments.add(result.length);
    push({ o: 'flush', id, site: [] });
    push({ o: 'unlink', path: change.path });
  }
  return { changes: result, moments: ordered(moments, result.length) };
}

/** The end first: it shows most. */
function ordered(moments: ReadonlySet<number>, end: number): number[] {
  return [...new Set([...moments, end])].sort((a, b) => a - b);
}

function modeOf({ mode, edits }: Node): number {
  return edits.reduce((last, edit) => (edit.edit === 'mode' ? edit.mode : last), mode);
}

function contentOf({ original, edits }: Node): Buffer {
  let content: Buffer = original === undefined ? Buffer.alloc(0) : readFileSync(original);
  for (const edit of edits) {
    if (edit.edit === 'truncate') content = resized(content, edit.size);
    if (edit.edit !== 'write') continue;
    content = resized(content, Math.max(content.length, edit.at + edit.bytes.length));
    edit.bytes.copy(content, edit.at);
  }
  return content;
}

function resized(content: Buffer, size: number): Buffer {
  const result = Buffer.alloc(size);
  content.copy(result);
  return result;
}
