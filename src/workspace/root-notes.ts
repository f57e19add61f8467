import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { isDigest } from '../domain/digest.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { makeFolderDurably, readTextFile, writeFileDurably } from '../platform/durable-write.ts';

/** As many versions are remembered; one more pushes the oldest out. */
const MAX_ROOTS = 1_000;
const MAX_BYTES = 1 << 20;

/** What was found out about versions, by their roots, so that it need not be found out again. Discardable. */
export interface RootNotes {
  read(): ReadonlySet<Digest>;
  /** Only a help: where nothing can be written, nothing is noted. */
  note(roots: readonly Digest[]): void;
  forget(): void;
}

/** Notes in a file (absolute), which hold as long as `context` stays the same; an empty one holds nothing. */
export function openRootNotes(file: string, context: string): RootNotes {
  function read(): ReadonlySet<Digest> {
    const [noted, ...roots] = (readTextFile(file, MAX_BYTES) ?? '').split('\n');
    return new Set(noted === context && context !== '' ? roots.filter(isDigest) : []);
  }

  return {
    read,
    note(roots) {
      const known = read();
      const fresh = roots.filter((root) => !known.has(root));
      if (fresh.length === 0 || context === '') return;
      try {
        makeFolderDurably(dirname(file));
        writeFileDurably(file, [context, ...[...fresh, ...known].slice(0, MAX_ROOTS), ''].join('\n'));
      } catch (error) {
        if (!(error instanceof MlvError) && !hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'))
          throw error;
      }
    },
    forget: () => rmSync(file, { force: true }),
  };
}
