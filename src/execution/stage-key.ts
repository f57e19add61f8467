import type { StageId } from '../domain/pipeline.ts';
import { hashEngine } from '../platform/hash.ts';
import type { ProjectFolders } from '../workspace/open.ts';

const KEY_DIGITS = 12;

/**
 * The name of a folder for a stage, unlike that of every other stage of the repository's projects: names of stages hold slashes, may
 * be longer than files' names, and differ in case alone. With `place`, unlike that of the same stage in another place.
 */
export function stageKey({ prefix }: ProjectFolders, stage: StageId, place = ''): string {
  const digest = hashEngine().hash(Buffer.from([place, prefix, stage].join('\0')));
  return `${stage.replace(/[^\w@.-]+/g, '-').slice(0, 60)}~${digest.toString('hex').slice(0, KEY_DIGITS)}`;
}
