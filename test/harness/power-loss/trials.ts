/** Moments at which the power may fail, the states it may leave, and what mlv makes of them. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { MlvRig } from '../../support/mlv.ts';
import type { Random } from '../random.ts';
import { whatIsWrong } from './checks.ts';
import { openDisk } from './disk.ts';
import type { Change } from './journal.ts';
import type { Recording } from './record.ts';
import { survivors } from './survivors.ts';
import { signatureOf, writeState } from './write-state.ts';

const execute = promisify(execFile);

export interface Effort {
  /** Folders whose names are lost alone, or come alone, at each. */
  readonly folders: number;
  /** States by chance at each. */
  readonly chances: number;
}

export interface Outcome {
  readonly cuts: number;
  /** States that were told from each other, and tried. */
  readonly states: number;
  readonly failures: readonly string[];
}

let count = 0;

/** Tries states of a recording, or of a changed one. `known` are states that are right, and are not tried again. */
export async function tryStates(
  {
    rig,
    recording,
    changes,
    known,
    random,
  }: {
    readonly rig: MlvRig;
    readonly recording: Recording;
    readonly changes: readonly Change[];
    readonly known: Set<string>;
    readonly random: Random;
  },
  {
    moments,
    effort,
    stopAt,
  }: { readonly moments: readonly number[]; readonly effort: Effort; readonly stopAt: number },
): Promise<Outcome> {
  const { scene, before, after } = recording;
  const disk = openDisk(before.folder);
  const failures: string[] = [];
  const wanted = new Set(moments);
  const running = new Set<Promise<void>>();
  let states = 0;
  for (let at = 0; at <= changes.length && failures.length < stopAt; at++) {
    const last = changes[at - 1];
    if (last !== undefined) disk.apply(last);
    if (!wanted.has(at)) continue;
    for (const state of survivors(disk, random, effort)) {
      if (failures.length >= stopAt) break;
      const signature = `${at === changes.length} ${signatureOf(disk, state)}`;
      if (known.has(signature)) continue;
      known.add(signature);
      states += 1;
      const folder = join(rig.folder, `state-${(count += 1)}`);
      writeState(disk, state, folder, [before.folder, after.folder]);
      const run = (async () => {
        const wrong = await whatIsWrong({ rig, scene, before, after, folder, hasEnded: at === changes.length });
        if (wrong !== undefined)
          failures.push(
            `${scene.name}, after change ${at} of ${changes.length} (${tell(last)}), ${state.label}: ${wrong}`,
          );
        if (wrong === undefined || process.env['MLV_POWER_KEEP'] === undefined) await execute('rm', ['-rf', folder]);
        else failures.push(`kept in ${folder}`);
      })();
      running.add(run);
      void run.finally(() => running.delete(run)).catch(() => {});
      if (running.size >= 2) await Promise.race(running);
    }
  }
  await Promise.all(running);
  return { cuts: moments.length, states, failures };
}

function tell(change: Change | undefined): string {
  if (change === undefined) return 'nothing';
  const { bytes: _, site: __, ...rest } = { bytes: undefined, site: undefined, ...change };
  return JSON.stringify(rest);
}

/** Moments after changes of names, flushes and Git, and some others; `cuts` of them, the end among them. */
export function chooseMoments(changes: readonly Change[], cuts: number, random: Random): number[] {
  const telling = changes.flatMap((change, index) =>
    ['rename', 'flush', 'flushed', 'git', 'link', 'unlink', 'rmdir'].includes(change.o) ? [index + 1] : [],
  );
  const chosen = new Set([changes.length]);
  // One of each part of the run; a quarter of them anywhere.
  for (let each = 0; each < cuts - 1; each++) {
    const from = Math.floor((telling.length * each) / (cuts - 1));
    const to = Math.max(from + 1, Math.floor((telling.length * (each + 1)) / (cuts - 1)));
    const anywhere = random.next(changes.length + 1);
    chosen.add(random.next(4) === 0 ? anywhere : (telling[from + random.next(to - from)] ?? anywhere));
  }
  return [...chosen].sort((a, b) => a - b);
}
