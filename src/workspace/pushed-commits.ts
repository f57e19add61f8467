import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { RENEW_DAYS } from '../domain/remote-times.ts';
import type { Digest } from '../domain/digest.ts';
import type { CommitId } from '../git/git.ts';
import { makeFolderDurably, writeFileDurably } from '../platform/durable-write.ts';

const NAME = 'pushed-commits';
const KNOWN_COMMITS = 20;
const LINE = /^([0-9a-f]{40,64}) ([0-9]{1,6})$/;

/** A remote as it was listed. */
export interface RemoteMoment {
  /** `Remote.tombstones`. */
  readonly tombstones: Digest;
  /** Since 1970-01-01, by this machine's clock: it only says when notes are renewed. */
  readonly day: number;
}

/**
 * Commits whose data, with all that they lead to, a remote is known to have; so a push need not walk their history again. Holds
 * for a month, as long as no more of the remote's keys have died: what is lost may be theirs. Discardable.
 */
export function readPushedCommits(folder: string, moment: RemoteMoment): CommitId[] {
  return readLines(folder, moment).map(({ commit }) => commit);
}

export function notePushedCommit(folder: string, moment: RemoteMoment, commit: CommitId): void {
  const known = readLines(folder, moment);
  if (known.some((line) => line.commit === commit)) return;
  const lines = [{ commit, day: moment.day }, ...known].slice(0, KNOWN_COMMITS);
  makeFolderDurably(folder);
  const text = [moment.tombstones, ...lines.map((line) => `${line.commit} ${line.day}`), ''].join('\n');
  writeFileDurably(join(folder, NAME), text);
}

/** For a remote that is not the one that was pushed to. */
export function forgetPushedCommits(folder: string): void {
  rmSync(join(folder, NAME), { force: true });
}

function readLines(folder: string, { tombstones, day: today }: RemoteMoment): { commit: CommitId; day: number }[] {
  const path = join(folder, NAME);
  const [head, ...lines] = existsSync(path) ? readFileSync(path, 'latin1').split('\n') : [];
  if (head !== tombstones) return [];
  return lines.flatMap((line) => {
    const [, commit = '', day] = LINE.exec(line) ?? [];
    const days = today - Number(day);
    return days >= 0 && days <= RENEW_DAYS ? [{ commit: commit as CommitId, day: Number(day) }] : [];
  });
}
