/** The changes that recorder.cjs has noted, in their order. */

/** Paths are relative to the folder that was watched. `site`: places in the code, innermost first. */
export type Change =
  | { o: 'open'; id: string; path: string; isNew: boolean; truncates: boolean; mode?: number }
  | { o: 'write'; id: string; at: number; bytes: Buffer }
  | { o: 'truncate'; id: string; size: number }
  | { o: 'mode'; id?: string; path?: string; mode: number }
  | { o: 'times'; path: string; time: number }
  /** With `flush`: begun, and safe from `flushed` on. */
  | { o: 'flush'; id: string; site: string[]; flush?: string }
  | { o: 'flushed'; flush: string }
  | { o: 'rename'; path: string; to: string; site: string[] }
  | { o: 'link'; path: string; to: string }
  | { o: 'symlink'; path: string; target: string }
  | { o: 'unlink' | 'rmdir'; path: string }
  | { o: 'mkdir'; path: string; mode: number }
  /** Git's own; safe at once. */
  | { o: 'git'; path: string; kind: 'file' | 'folder' | 'gone'; mode?: number; bytes: Buffer };

const LENGTHS = 8;

/** Throws where the journal ends in the middle of a record. */
export function readJournal(journal: Buffer): Change[] {
  const changes: Change[] = [];
  for (let at = 0; at < journal.length;) {
    const head = journal.readUInt32LE(at);
    const length = journal.readUInt32LE(at + 4);
    const start = at + LENGTHS + head;
    if (start + length > journal.length) throw new Error('the journal of changes is cut short');
    const change = JSON.parse(journal.toString('utf8', at + LENGTHS, start)) as Change;
    if (change.o === 'write' || change.o === 'git') change.bytes = journal.subarray(start, start + length);
    changes.push(change);
    at = start + length;
  }
  return changes;
}
