/** The Job of a stage before its inputs are known: what can be wrong with it by then, and what a cluster says to it. */
import type { Digest } from '../../domain/digest.ts';
import { MlvError } from '../../domain/errors.ts';
import type { KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import type { Stage } from '../../domain/pipeline.ts';
import type { Workspace } from '../../workspace/open.ts';
import type { KubernetesApi } from './api.ts';
import { podAmounts } from './amounts.ts';
import { runtimeName } from './job-names.ts';
import { submissionOf } from './job.ts';
import type { NodeFit, PodNeeds } from './node-fit.ts';
import { nodeFit } from './node-fit.ts';
import type { Job } from './objects.ts';
import type { Clusters, OpenCluster } from './open-cluster.ts';
import { profileOf } from './open-cluster.ts';
import { requireUnderstood } from './submit.ts';

const NOT_KNOWN = '0'.repeat(64) as Digest;

/** Throws what `submissionOf` does. */
export function draftOf(stage: Stage, profile: KubernetesProfile, environment: Workspace['environment']): Job {
  const { job } = submissionOf({
    stage,
    profile,
    environment,
    fingerprint: NOT_KNOWN,
    task: { text: '', hash: NOT_KNOWN, code: undefined },
    project: NOT_KNOWN,
    runtime: runtimeName(NOT_KNOWN),
    user: 'unknown',
    attempt: 0,
  });
  return job;
}

/**
 * The cluster that a stage is to run on; nothing is sent yet. Throws what keeps it from being sent, as far as pipeline, settings and kubeconfig
 * tell: `kubernetes-profile-unknown`, what `submissionOf` throws, and what opening the cluster does.
 */
export function clusterFor(
  workspace: Workspace,
  { clusters, stage }: { readonly clusters: Clusters; readonly stage: Stage },
): Promise<OpenCluster> {
  const profile = profileOf(workspace, stage);
  draftOf(stage, profile, workspace.environment);
  return clusters.open(profile);
}

/** What the pod of a job needs of its node. */
export function needsOf({ spec }: Job): PodNeeds {
  const pod = spec.template.spec;
  return { amounts: podAmounts(pod), nodeSelector: pod.nodeSelector ?? {}, tolerations: pod.tolerations ?? [] };
}

/**
 * Throws what the cluster would refuse, before anything is uploaded: `kubernetes-too-large` where no node can ever run the stage,
 * `kubernetes-forbidden`, `kubernetes-refused`, `kubernetes-field-dropped`.
 */
export async function requireAccepted(
  { api, profile, nodes }: OpenCluster,
  given: {
    readonly stage: Stage;
    readonly environment: Workspace['environment'];
    readonly signal: AbortSignal;
    readonly onNote: (text: string) => void;
  },
): Promise<void> {
  const { stage, signal, onNote } = given;
  const job = draftOf(stage, profile, given.environment);
  const found = await nodes();
  const fit = found === undefined ? undefined : nodeFit(needsOf(job), found);
  if (fit?.nearest !== undefined && fit.fitting.length === 0) {
    const error = tooLarge(stage, api, fit.nearest);
    if (!fit.mayGrow) throw error;
    onNote(`${error.message}; it waits for a node that the cluster may add`);
  }
  try {
    await requireUnderstood(api, job, signal);
  } catch (error) {
    // It may be the job's own quota that is used up: one that was sent before, and is joined.
    if (!(error instanceof MlvError) || error.code !== 'kubernetes-quota') throw error;
  }
}

/** For a stage that fits no node. */
export function tooLarge(
  { id, file, line }: Stage,
  { context }: Pick<KubernetesApi, 'context'>,
  { node, lacks }: NonNullable<NodeFit['nearest']>,
): MlvError {
  return new MlvError({
    code: 'kubernetes-too-large',
    kind: 'refused',
    message: `stage ${id} fits no node of context "${context}": ${node} comes nearest, and has ${lacks.join(', ')}`,
    hint: `Ask for no more in "resources" of ${file}, line ${line}, than a node gives to pods: kubectl describe node ${node}`,
  });
}
