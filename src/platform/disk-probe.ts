import { existsSync, mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LinkType } from '../domain/setting-table.ts';
import { temporaryName } from './durable-write.ts';
import { nearestEntry, tryLinkTypes } from './link-types.ts';

/** What a disk can do, found by trying. */
export interface DiskProbe {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Undefined where nothing can be written. */
  readonly writable: WritableDisk | undefined;
}

export interface WritableDisk {
  readonly links: Readonly<Record<LinkType, boolean>>;
  /** `a` and `A` are one file. */
  readonly ignoresCase: boolean;
  /** Composed and decomposed letters are one file. */
  readonly ignoresNormalisation: boolean;
  /** Milliseconds between two times that files can have; Infinity when two seconds were not enough to see. */
  readonly timeGrain: number;
}

const LONGEST_GRAIN = 2_100;
const STEPS = 4;

/** Tries the disk that `folder` is on, or going to be made on, in a folder of its own there; nothing stays behind. */
export function probeDisk(folder: string): DiskProbe {
  const { bavail, blocks, bsize } = statfsSync(nearestExisting(folder));
  const space = { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  let trial: string | undefined;
  try {
    trial = mkdtempSync(join(nearestEntry(folder), 'probe-'));
    const writable = {
      links: tryLinkTypes(trial),
      ...probeNames(trial),
      timeGrain: measureTimeGrain(join(trial, 'time')),
    };
    return { ...space, writable };
  } catch {
    return { ...space, writable: undefined };
  } finally {
    if (trial !== undefined) rmSync(trial, { recursive: true, force: true });
  }
}

/** Which names this disk takes for one; found by making a file in `folder`, which is left as it was. Where none can be made, none. */
export function probeNames(folder: string): { readonly ignoresCase: boolean; readonly ignoresNormalisation: boolean } {
  const name = temporaryName();
  const file = join(folder, `${name}-caf\u00e9`);
  try {
    writeFileSync(file, '', { flag: 'wx' });
    return {
      ignoresCase: existsSync(join(folder, `${name}-CAF\u00e9`)),
      ignoresNormalisation: existsSync(join(folder, `${name}-cafe\u0301`)),
    };
  } catch {
    return { ignoresCase: false, ignoresNormalisation: false };
  } finally {
    rmSync(file, { force: true });
  }
}

/** The smallest step between modification times of a file that is written again and again. */
function measureTimeGrain(path: string): number {
  const end = performance.now() + LONGEST_GRAIN;
  let smallest = Infinity;
  let last: bigint | undefined;
  for (let steps = 0; steps < STEPS && performance.now() < end;) {
    writeFileSync(path, '');
    const time = statSync(path, { bigint: true }).mtimeNs;
    if (last !== undefined && time > last) {
      smallest = Math.min(smallest, Number(time - last) / 1e6);
      steps++;
    }
    last = time;
  }
  return smallest;
}

function nearestExisting(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : nearestExisting(dirname(folder));
}
