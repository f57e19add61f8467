import { JOBS_FOLDER, parseJobKey } from '../domain/remote-layout.ts';
import { DAY_MS, NOTED_DAYS } from '../domain/remote-times.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { Home } from './home.ts';
import { limitsOf } from './request-engine.ts';

/**
 * Takes from a remote what it keeps of Jobs that ended over 90 days ago by its own clock: whoever waited for one has its result, and what
 * was pushed with it is needed no longer for having been pushed. Returns how many those are; none goes in a dry run.
 */
export async function collectJobRecords(
  home: Home,
  { isDry, signal }: { readonly isDry: boolean; readonly signal?: AbortSignal | undefined },
): Promise<number> {
  const old: string[] = [];
  let now: number | undefined;
  for await (const { key, modified } of home.list(JOBS_FOLDER, signal)) {
    if (parseJobKey(key) === undefined) continue;
    now ??= await home.time(signal);
    if (now - modified > NOTED_DAYS * DAY_MS) old.push(key);
  }
  const { jobs } = limitsOf(home);
  if (!isDry) await forEachParallel(old, { jobs, signal }, (key, stop) => home.delete(key, stop));
  return old.length;
}
