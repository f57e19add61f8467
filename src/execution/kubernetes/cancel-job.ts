import { MlvError } from '../../domain/errors.ts';
import { OBJECT_NAME_PATTERN } from '../../domain/kubernetes-name.ts';
import { nearestName } from '../../domain/nearest-name.ts';
import type { Workspace } from '../../workspace/open.ts';
import { idsMeant } from '../stage-target.ts';
import type { AskClustersOptions, ClusterFailure } from './ask-clusters.ts';
import { askClusters } from './ask-clusters.ts';
import type { ListedJob } from './list-jobs.ts';
import { hasEnded, jobsOn } from './list-jobs.ts';
import type { OpenCluster } from './open-cluster.ts';
import { jobs } from './resources.ts';

export interface CancelOptions extends AskClustersOptions {
  /** The name of a job, or a stage as on the command line. */
  readonly target: string;
  readonly cwd: string;
}

/**
 * Deletes a job of this project that has not ended, whoever sent it; its pods are ended with it. Returns what it was. Throws `job-unknown`,
 * `job-foreign`, `job-ended`, `job-ambiguous`, and as `askClusters` does.
 */
export async function cancelJob(workspace: Workspace, options: CancelOptions): Promise<ListedJob> {
  const { target } = options;
  const { answers, failures } = await askClusters(workspace, options, async (cluster, signal) => ({
    own: await jobsOn(cluster, signal),
    foreign: (await hasJob(cluster, target, signal)) ? cluster.api : undefined,
  }));
  const own = answers.flatMap((answer) => answer.own);
  const meant = jobsMeant(workspace, own, options);
  const underWay = [...new Map(meant.filter((job) => !hasEnded(job)).map((job) => [job.uid, job])).values()];
  const [chosen, ...others] = underWay;
  if (chosen === undefined) {
    const [ended] = meant;
    if (ended !== undefined) throw hasEndedAlready(ended);
    const foreign = answers.find((answer) => answer.foreign !== undefined)?.foreign;
    throw foreign === undefined ? unknown(target, own, failures) : isForeign(target, foreign);
  }
  if (others.length > 0) throw ambiguous(target, underWay);
  await askClusters(workspace, { ...options, profile: chosen.profile }, async ({ api }, signal) => {
    // Of that name there may be another by now, or none: then this one is gone.
    await api.delete({ ...jobs(api.namespace), name: chosen.job }, { uid: chosen.uid, signal }).catch((error) => {
      if (!(error instanceof MlvError) || error.code !== 'kubernetes-conflict') throw error;
    });
  });
  return chosen;
}

function jobsMeant(workspace: Workspace, own: readonly ListedJob[], { target, cwd }: CancelOptions): ListedJob[] {
  const named = own.filter(({ job }) => job === target);
  if (named.length > 0) return named;
  for (const id of idsMeant(workspace, target, cwd)) {
    const exact = own.filter(({ stage }) => stage === id);
    if (exact.length > 0) return exact;
  }
  return [];
}

async function hasJob({ api }: OpenCluster, name: string, signal: AbortSignal): Promise<boolean> {
  if (!new RegExp(OBJECT_NAME_PATTERN).test(name)) return false;
  const { items } = await api.list(jobs(api.namespace), { selector: { fields: `metadata.name=${name}` }, signal });
  return items.length > 0;
}

function hasEndedAlready({ job, stage, state }: ListedJob): MlvError {
  return new MlvError({
    code: 'job-ended',
    kind: 'refused',
    message: `job ${job} of stage ${stage} has ended already: it ${state.type === 'complete' ? 'is complete' : 'failed'}`,
    hint: 'mlv jobs gc deletes jobs that have ended.',
  });
}

function isForeign(name: string, { context, namespace }: OpenCluster['api']): MlvError {
  return new MlvError({
    code: 'job-foreign',
    kind: 'refused',
    message: `job ${name} in namespace ${namespace} of ${context} is none that mlv sent for this project`,
    hint: 'mlv jobs lists those of this project; kubectl deletes any.',
  });
}

function ambiguous(target: string, found: readonly ListedJob[]): MlvError {
  return new MlvError({
    code: 'job-ambiguous',
    kind: 'refused',
    message: `stage ${target} has ${found.length} jobs under way`,
    items: found.map(({ job, sentBy, created }) => `${job}, sent by ${sentBy} at ${created}`),
    hint: `Name the one to cancel: mlv jobs cancel ${found[0]?.job ?? 'JOB'}`,
  });
}

function unknown(target: string, own: readonly ListedJob[], failures: readonly ClusterFailure[]): MlvError {
  const guess = nearestName(target, [...new Set(own.flatMap(({ job, stage }) => [job, stage]))]);
  return new MlvError({
    code: 'job-unknown',
    kind: 'missing',
    message: `this project has no job and no stage with a job that is called ${JSON.stringify(target)}`,
    items: failures.map(({ profile, error }) => `not looked for by profile ${profile}: ${error.message}`),
    hint: guess === undefined ? 'mlv jobs --all lists them.' : `Did you mean ${guess}?`,
  });
}
