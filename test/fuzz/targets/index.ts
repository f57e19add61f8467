import type { Surroundings, Target } from '../target.ts';
import { answerTargets } from './answers.ts';
import { clusterRecordTargets } from './cluster-records.ts';
import { gitTargets } from './git.ts';
import { historyTargets } from './history.ts';
import { indexTargets } from './indexes.ts';
import { noteTargets } from './notes.ts';
import { packTargets } from './packs.ts';
import { pathTargets } from './paths.ts';
import { pipelineTargets } from './pipelines.ts';
import { pointerTargets } from './pointers.ts';
import { purgeRecordTargets } from './purge-records.ts';
import { runRecordTargets } from './run-records.ts';
import { settingTargets } from './settings.ts';
import { statCacheTargets } from './stat-caches.ts';
import { treeTargets } from './trees.ts';

/** Every parser of what others wrote, or what may be damaged. */
export function allTargets(surroundings: Surroundings): Target[] {
  return [
    pointerTargets,
    runRecordTargets,
    clusterRecordTargets,
    pipelineTargets,
    settingTargets,
    purgeRecordTargets,
    pathTargets,
    treeTargets,
    indexTargets,
    packTargets,
    answerTargets,
    noteTargets,
    statCacheTargets,
    gitTargets,
    historyTargets,
  ].flatMap((targets) => targets(surroundings));
}
