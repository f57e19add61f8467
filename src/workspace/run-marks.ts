import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StageId } from '../domain/pipeline.ts';
import { makeFolderDurably, readTextFile, writeFileDurably } from '../platform/durable-write.ts';
import { hashEngine } from '../platform/hash.ts';
import { listNames } from '../platform/list-names.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { Workspace } from './open.ts';

/** A run, or the restoring of a result, that was begun, and neither recorded nor followed by a restored result. */
export interface RunMark {
  /** When it ended (ms, by the disk's clock): what changed since is none of its leftovers. Undefined where nobody was there to tell. */
  readonly ended: number | undefined;
}

const ENDED = 'ended\n';

/**
 * Notes that what stands at a stage's outputs from now on is what a run of it leaves there. It need not survive the machine: leftovers
 * that are not known as such go into the cache before they go away.
 */
export function markRun(workspace: Workspace, id: StageId): void {
  makeFolderDurably(marksFolder(workspace));
  writeFileSync(markFile(workspace, id), '');
}

/** Notes that the run has failed, and so leaves nothing more. */
export function markRunEnded(workspace: Workspace, id: StageId): void {
  if (readRunMark(workspace, id) !== undefined) writeFileDurably(markFile(workspace, id), ENDED);
}

export function readRunMark(workspace: Workspace, id: StageId): RunMark | undefined {
  const file = markFile(workspace, id);
  const text = readTextFile(file, ENDED.length);
  return text === undefined ? undefined : { ended: text === ENDED ? statsAt(file)?.mtimeMs : undefined };
}

/** Which stages have a mark, as of now: mostly none. */
export function markedStages(workspace: Workspace): (id: StageId) => boolean {
  const names = new Set(listNames(marksFolder(workspace)));
  return (id) => names.size > 0 && names.has(markName(workspace, id));
}

export function clearRunMark(workspace: Workspace, id: StageId): void {
  rmSync(markFile(workspace, id), { force: true });
}

function markFile(workspace: Workspace, id: StageId): string {
  return join(marksFolder(workspace), markName(workspace, id));
}

function marksFolder({ ownFolder }: Workspace): string {
  return join(ownFolder, 'running');
}

function markName({ prefix }: Workspace, id: StageId): string {
  return hashEngine()
    .hash(Buffer.from(`${prefix}\n${id}`))
    .toString('hex', 0, 16);
}
