/** What is created in a cluster for one run of a stage: a Job, and the ConfigMaps that its pods read. Pure: the same request, the same objects. */
import type { Digest } from '../../domain/digest.ts';
import { MlvError } from '../../domain/errors.ts';
import type { KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import type { Stage } from '../../domain/pipeline.ts';
import {
  CODE,
  FINGERPRINT,
  jobName,
  MANAGED_BY,
  PROJECT,
  projectLabel,
  QUEUE,
  STAGE,
  stageSlug,
  TASK,
  taskName,
  USER,
} from './job-names.ts';
import type { ConfigMap, Job, PodFailureRule } from './objects.ts';
import { podTemplate } from './pod-template.ts';

export interface JobRequest {
  readonly stage: Stage;
  readonly profile: KubernetesProfile;
  /** Of what the result depends on. */
  readonly fingerprint: Digest;
  /** What the pod is told. */
  readonly task: { readonly text: string; readonly hash: Digest; readonly code: Digest | undefined };
  /** The same in every clone of the project. */
  readonly project: Digest;
  /** Name of the ConfigMap of `runtimeMap`. */
  readonly runtime: string;
  /** Values of variables; only those that the stage declares are taken. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly user: string;
  /** 0, or how often it was forced to run anew. */
  readonly attempt: number;
}

export interface Submission {
  readonly job: Job;
  /** The Job is to own it. */
  readonly task: ConfigMap;
}

/** The API server takes no more in one ConfigMap. */
const MAX_CONFIG_MAP = 1_048_576;
/** Codes of fetch and push for what another try does not mend: task malformed, data missing or damaged, credentials refused, output not made. */
const FINAL_CODES = [64, 65, 66, 69];

/**
 * The Job of a stage and its task. Throws what can be known to be wrong before anything is sent: `stage-image-missing`, `gpu-type-unknown`,
 * `stage-disk-unknown`, `checkpoint-without-claim`, `task-too-large`.
 */
export function submissionOf(request: JobRequest): Submission {
  const { stage, profile, fingerprint, task, attempt } = request;
  const name = jobName(stage.id, fingerprint, attempt);
  const labels = {
    [MANAGED_BY]: 'mlv',
    [STAGE]: stageSlug(stage.id),
    [FINGERPRINT]: fingerprint.slice(0, 40),
    [PROJECT]: projectLabel(request.project),
  };
  const annotations = {
    [STAGE]: stage.id,
    [TASK]: task.hash,
    ...(task.code !== undefined && { [CODE]: task.code }),
    [USER]: request.user,
  };
  const queue = stage.cluster?.queue ?? profile.queue;
  const deadline = deadlineOf(stage);
  const metadata = { labels, annotations };
  const taskMap = taskName(name, task.hash);
  requireRoom(stage, task.text);
  return {
    task: configMap(taskMap, { 'task.json': task.text }, metadata),
    job: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, labels: { ...labels, ...(queue !== undefined && { [QUEUE]: queue }) }, annotations },
      spec: {
        backoffLimit: stage.retries,
        ...(deadline !== undefined && { activeDeadlineSeconds: deadline }),
        ttlSecondsAfterFinished: Math.ceil(profile.ttl),
        podReplacementPolicy: 'Failed',
        podFailurePolicy: { rules: failureRules(stage) },
        template: podTemplate({ ...request, job: name, task: taskMap, taskHash: task.hash, metadata }),
      },
    },
  };
}

/** What `fetch` and `push` run, for all Jobs of this mlv: by file name. */
export function runtimeMap(name: string, files: Readonly<Record<string, string>>): ConfigMap {
  return configMap(name, files, { labels: { [MANAGED_BY]: 'mlv' } });
}

function configMap(
  name: string,
  data: ConfigMap['data'],
  metadata: Pick<ConfigMap['metadata'], 'labels' | 'annotations'>,
): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, immutable: true, data };
}

/**
 * Seconds for all tries, for Jobs that nobody watches any more; only where it is said both how long a try may take and how long it may wait
 * for one, as a Job that waits is no Job to end. What Kueue holds back does not count.
 */
function deadlineOf({ timeout, retries, cluster }: Stage): number | undefined {
  const pending = cluster?.pendingTimeout;
  if (timeout === undefined || pending === undefined) return undefined;
  return Math.max(1, Math.ceil((retries + 1) * (timeout + pending)));
}

function failureRules({ cluster }: Stage): PodFailureRule[] {
  const codes = cluster?.noRetryExitCodes ?? [];
  return [
    // Before the codes: what is preempted or drained ends with a code, too. It is tried again, and not counted.
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
    failing('fetch', FINAL_CODES),
    ...(codes.length > 0 ? [failing('stage', codes)] : []),
    failing('push', FINAL_CODES),
  ];
}

function failing(containerName: string, values: readonly number[]): PodFailureRule {
  return { action: 'FailJob', onExitCodes: { containerName, operator: 'In', values } };
}

function requireRoom({ id, file, line }: Stage, text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_CONFIG_MAP) return;
  throw new MlvError({
    code: 'task-too-large',
    kind: 'refused',
    message: `what the pod of stage ${id} is to be told takes ${bytes} bytes, more than a ConfigMap holds`,
    hint: `It names too many files: name folders that hold them in "deps" and "outs" in ${file}, line ${line}.`,
  });
}
