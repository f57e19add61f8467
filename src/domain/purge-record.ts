import type { Digest } from './digest.ts';
import { isDigest } from './digest.ts';
import { MlvError } from './errors.ts';
import { NEWER_MLV } from './format-version.ts';

/** Content that must not exist any more, as the record says. */
export interface PurgedContent {
  readonly digest: Digest;
  /** `2026-11-21`. */
  readonly day: string;
  readonly reason: string | undefined;
}

/** What was purged, by digest. */
export type PurgeRecord = ReadonlyMap<Digest, PurgedContent>;

/** The record that Git tracks. */
export const PURGE_FILE = '.mlv/purged';
export const MAX_PURGE_BYTES = 16 << 20;
const MAX_REASON = 200;

const HEADER = 'mlv-purged 1';
const LATER = /^mlv-purged [0-9]+$/;
const LINE = /^([0-9a-f]{64}) (\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?: (\S.*))?$/u;
/** What could steer a terminal, or pass for the end of a line. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** True for text that a record may give as the reason: one line, printable, at most 200 characters, no space around it. */
export function isPurgeReason(text: string): boolean {
  return text !== '' && text.length <= MAX_REASON && text === text.trim() && !UNPRINTABLE.test(text);
}

/**
 * The record that a text is, named `name` in messages. Lines may come in any order, and a digest twice, as merges leave them: the
 * earliest day holds. Throws `purge-record-invalid`, `purge-record-version`.
 */
export function parsePurgeRecord(text: string, name: string): PurgeRecord {
  const [header = '', ...lines] = text.split('\n');
  if (header !== HEADER && LATER.test(header)) throw later(name);
  if (header !== HEADER || lines.pop() !== '') throw invalid(name, 1);
  const found = new Map<Digest, PurgedContent>();
  for (const [index, line] of lines.entries()) {
    const [, digest = '', day = '', reason] = LINE.exec(line) ?? [];
    if (!isDigest(digest) || (reason !== undefined && !isPurgeReason(reason))) throw invalid(name, index + 2);
    add(found, { digest, day, reason });
  }
  return sorted(found);
}

/** The text of a record, in the one form that mlv writes. */
export function formatPurgeRecord(record: PurgeRecord): string {
  const lines = [...sorted(record).values()].map(
    ({ digest, day, reason }) => `${digest} ${day}${reason === undefined ? '' : ` ${reason}`}\n`,
  );
  return `${HEADER}\n${lines.join('')}`;
}

/** What any of the records says. */
export function joinPurgeRecords(records: Iterable<PurgeRecord>): PurgeRecord {
  const joined = new Map<Digest, PurgedContent>();
  for (const record of records) for (const each of record.values()) add(joined, each);
  return sorted(joined);
}

function add(record: Map<Digest, PurgedContent>, each: PurgedContent): void {
  const known = record.get(each.digest);
  if (known === undefined || rankOf(each) < rankOf(known)) record.set(each.digest, each);
}

/** Of two lines about the same content the same one holds, in whatever order they come. */
function rankOf({ day, reason }: PurgedContent): string {
  return `${day} ${reason === undefined ? '\uffff' : reason}`;
}

function sorted(record: PurgeRecord): PurgeRecord {
  return new Map([...record].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function invalid(name: string, line: number): MlvError {
  return new MlvError({
    code: 'purge-record-invalid',
    kind: 'corrupt',
    message: `${name}:${line}: this is no record of what was purged`,
    hint: `Each line is HASH DAY [REASON], below the line "${HEADER}". After a merge keep the lines of both sides; or take it back from Git: git restore ${name}`,
  });
}

function later(name: string): MlvError {
  return new MlvError({
    code: 'purge-record-version',
    kind: 'unsupported',
    message: `${name} is of a later format`,
    hint: NEWER_MLV,
  });
}
