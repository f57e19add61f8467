/** Of a disk whose power failed: the states in which it may be found. */
import type { Random } from '../random.ts';
import type { Disk, Edit, Naming, Node } from './disk.ts';

/** What became of the edits of a file that were not safe. */
type Fate =
  | { readonly kind: 'lost' | 'kept' | 'zeroed' }
  /** As many writes are there, of the next one so many bytes. */
  | { readonly kind: 'begun'; readonly edits: number; readonly bytes: number }
  /** Any of them is there or not. */
  | { readonly kind: 'some'; readonly there: readonly boolean[] };

/** A state: which names there are, and what became of each file. */
export interface Survivors {
  readonly label: string;
  readonly namings: ReadonlySet<Naming>;
  fate(node: Node): Fate;
}

const LOST: Fate = { kind: 'lost' };
const KEPT: Fate = { kind: 'kept' };
const ZEROED: Fate = { kind: 'zeroed' };
/** A write is torn where sectors end. */
const SECTOR = 512;

/** All of it, as every program sees it. */
export function wholeState(disk: Disk): Survivors {
  return { label: 'all', namings: new Set(disk.namings), fate: () => KEPT };
}

/**
 * States worth trying: nothing that was not safe is there; all names are, with nothing in the files, or zeros; of each folder with
 * names that are not safe (the first few), those names alone are missing, or they alone are there; and some by chance.
 */
export function* survivors(
  disk: Disk,
  random: Random,
  options: { readonly folders: number; readonly chances: number },
) {
  const pending = disk.namings.filter(({ isSafe }) => !isSafe);
  const all = new Set(disk.namings);
  const safe = new Set(disk.namings.filter(({ isSafe }) => isSafe));
  const as = (label: string, namings: ReadonlySet<Naming>, fate: Fate): Survivors => ({
    label,
    namings,
    fate: () => fate,
  });
  yield as('nothing that was not flushed', safe, LOST);
  yield as('all names, empty', all, LOST);
  yield as('all names, zeros', all, ZEROED);
  const folders = [...new Set(pending.flatMap((naming) => naming.folders))];
  for (const folder of pickSome(folders, options.folders, random)) {
    yield as(
      `all but names in ${folder.id}`,
      closed(disk, (naming) => !naming.folders.includes(folder)),
      KEPT,
    );
    yield as(`only names in ${folder.id}`, withPredecessors(safe, pending, folder), LOST);
  }
  for (let chance = 0; chance < options.chances; chance++) {
    const seed = random.next(2 ** 31);
    yield byChance(disk, `by chance ${seed}`, random);
  }
}

function pickSome<T>(items: readonly T[], count: number, random: Random): T[] {
  const left = [...items];
  return Array.from({ length: Math.min(count, left.length) }, () => left.splice(random.next(left.length), 1)).flat();
}

/** All that are safe or wanted, less those that come after one that is missing in one of their folders. */
function closed(disk: Disk, isWanted: (naming: Naming) => boolean): Set<Naming> {
  const there = new Set<Naming>();
  const ended = new Set<Node>();
  for (const naming of disk.namings) {
    const isThere = naming.isSafe || (isWanted(naming) && !naming.folders.some((folder) => ended.has(folder)));
    if (isThere) there.add(naming);
    else for (const folder of naming.folders) ended.add(folder);
  }
  return there;
}

/** Those that are safe, those of one folder, and what these need. */
function withPredecessors(safe: ReadonlySet<Naming>, pending: readonly Naming[], wanted: Node): Set<Naming> {
  const there = new Set(safe);
  const last = new Map<Node, number>([[wanted, Infinity]]);
  for (const naming of pending.toReversed()) {
    if (!naming.folders.some((folder) => naming.number < (last.get(folder) ?? -1))) continue;
    there.add(naming);
    for (const folder of naming.folders) last.set(folder, Math.max(last.get(folder) ?? -1, naming.number));
  }
  return there;
}

function byChance(disk: Disk, label: string, random: Random): Survivors {
  const share = 1 + random.next(9);
  const namings = closed(disk, () => random.next(10) < share);
  const fates = new Map<Node, Fate>();
  for (const node of disk.nodes)
    if (node.edits.length > node.safeEdits) fates.set(node, chooseFate(node.edits.slice(node.safeEdits), random));
  return { label, namings, fate: (node) => fates.get(node) ?? KEPT };
}

function chooseFate(pending: readonly Edit[], random: Random): Fate {
  const edits = random.next(pending.length);
  const next = pending[edits];
  const sectors = next?.edit === 'write' ? Math.ceil(next.bytes.length / SECTOR) : 1;
  return random.pick<Fate>([
    LOST,
    KEPT,
    ZEROED,
    { kind: 'begun', edits, bytes: random.next(sectors) * SECTOR },
    { kind: 'some', there: pending.map(() => random.next(2) === 0) },
  ]);
}

/** What is in a folder. */
export function entriesOf(disk: Disk, folder: Node, namings: ReadonlySet<Naming>): Map<string, Node> {
  const entries = new Map(folder.before);
  for (const naming of disk.namingsOf(folder)) {
    if (!namings.has(naming)) continue;
    for (const set of naming.sets) {
      if (set.folder !== folder) continue;
      if (set.node === undefined) entries.delete(set.name);
      else entries.set(set.name, set.node);
    }
  }
  return entries;
}

/** The edits that came to the disk. */
export function editsOf({ edits, safeEdits }: Node, fate: Fate): readonly Edit[] {
  const safe = edits.slice(0, safeEdits);
  const pending = edits.slice(safeEdits);
  switch (fate.kind) {
    case 'lost':
      return safe;
    case 'kept':
      return edits;
    case 'zeroed':
      return [...safe, ...pending.map(withZeros)];
    case 'begun': {
      const next = pending[fate.edits];
      const torn: Edit[] = next?.edit === 'write' ? [{ ...next, bytes: next.bytes.subarray(0, fate.bytes) }] : [];
      return [...safe, ...pending.slice(0, fate.edits), ...torn];
    }
    case 'some':
      return [...safe, ...pending.filter((_, index) => fate.there[index] === true)];
    default:
      return fate satisfies never;
  }
}

function withZeros(edit: Edit): Edit {
  return edit.edit === 'write' ? { ...edit, bytes: Buffer.alloc(edit.bytes.length) } : edit;
}
