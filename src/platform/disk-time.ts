import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryName } from './durable-write.ts';

/** What time it is by the clock of the disk that a folder is on, which may be another machine's: milliseconds. Throws Node's own errors. */
export function diskTimeIn(folder: string): number {
  const probe = join(folder, temporaryName());
  writeFileSync(probe, '', { flag: 'wx' });
  try {
    return statSync(probe).mtimeMs;
  } finally {
    rmSync(probe, { force: true });
  }
}
