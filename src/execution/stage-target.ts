import { dirname, relative, sep } from 'node:path';
import type { StageId } from '../domain/pipeline.ts';
import { PIPELINE_FILE } from '../domain/pipeline.ts';
import type { ProjectFolders } from '../workspace/open.ts';

/**
 * What a stage may be called that is named on the command line, the likeliest first: `train` of the pipeline file in `cwd` or one above it,
 * or a whole id. For stages of which something is left, and which the pipeline may have no more.
 */
export function idsMeant({ root }: ProjectFolders, target: string, cwd: string): StageId[] {
  const name = target.replace(/^stage:/, '');
  const ids: StageId[] = [];
  for (let folder = cwd; folder.startsWith(root); folder = dirname(folder)) {
    const place = relative(root, folder).split(sep).join('/');
    ids.push((place === '' ? name : `${place}/${PIPELINE_FILE}:${name}`) as StageId);
  }
  return ids;
}
