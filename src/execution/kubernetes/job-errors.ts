/** What is told of a stage whose job did not do what it was to do: one line of what happened, and one of what to do. */
import { MlvError } from '../../domain/errors.ts';
import type { KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import type { Stage } from '../../domain/pipeline.ts';
import type { FailureClass, JobFailure, Wait } from './job-state.ts';

interface Told {
  readonly stage: Stage;
  readonly profile: KubernetesProfile;
  /** The job's name. */
  readonly job: string;
}

const KINDS: Readonly<Record<FailureClass, MlvError['kind']>> = {
  preempted: 'io',
  'out-of-memory': 'io',
  'out-of-disk': 'io',
  timeout: 'io',
  config: 'refused',
  credentials: 'refused',
  data: 'missing',
  remote: 'io',
  output: 'missing',
  command: 'io',
  unknown: 'io',
};

/** The error for a job that failed; `lines` are the last that its command printed. */
export function jobFailed(told: Told, failure: JobFailure, lines: readonly string[]): MlvError {
  const { stage } = told;
  const { kind, message } = failure;
  return new MlvError({
    code: kind === 'command' ? 'stage-failed' : `job-${kind}`,
    kind: KINDS[kind],
    message: `stage ${stage.id} failed on the cluster: ${message.trim()}`,
    hint: adviceFor(told, failure),
    items: kind === 'command' || kind === 'out-of-memory' ? lines : [],
  });
}

function adviceFor({ stage, profile }: Told, { kind, step, exitCode }: JobFailure): string {
  const place = `of the stage in ${stage.file}, line ${stage.line}`;
  switch (kind) {
    case 'out-of-memory':
      return step === 'stage'
        ? `Raise resources.memory ${place}.`
        : 'That is mlv moving the data: tell its developers of it, with what is moved.';
    case 'out-of-disk':
      return `Raise resources.disk ${place}.`;
    case 'timeout':
      return `Raise timeout ${place}. mlv logs ${stage.id} shows all that it printed.`;
    case 'preempted':
      return 'Run the same command again: what was preempted is sent anew. A "checkpoint" lets it go on where it was.';
    case 'config':
      return `Correct image, secrets or pod ${place}, or kubernetes.${profile.name} in the settings.`;
    case 'credentials':
      return `The pod may not use the remote: name a secret with its credentials, mlv config kubernetes.${profile.name}.credentials SECRET, or a service account that may.`;
    case 'data':
      return 'What it reads is not on the remote as it should be: mlv verify --remote tells more, mlv push sends what is here.';
    case 'remote':
      return 'The pod could not reach the remote: is its address one that the cluster knows, and the way out of the cluster open?';
    case 'output':
      return `Its command succeeded all the same: let it write there, or correct "outs" ${place}.`;
    case 'command':
      return exitCode === 137
        ? `What is killed so often had too little memory. mlv logs ${stage.id} shows all that it printed.`
        : `mlv logs ${stage.id} shows all that it printed.`;
    case 'unknown':
      return `mlv logs ${stage.id} shows what it printed; kubectl describe job tells what the cluster knows.`;
    default:
      return kind satisfies never;
  }
}

/** The error for a job that waited in vain, and was deleted. */
export function jobWaited(told: Told, wait: Wait, message: string): MlvError {
  const { stage, profile } = told;
  const place = `the stage in ${stage.file}, line ${stage.line}`;
  const hints: Readonly<Record<Wait, string>> = {
    queued: `Raise pending_timeout of ${place}, or ask who has the queue.`,
    'no-pod': `Correct kubernetes.${profile.name}.serviceAccount, or ask for a larger quota.`,
    unschedulable: `Ask for less in resources of ${place}, or raise pending_timeout to wait longer.`,
    image: `Is image of ${place} right, and may the cluster pull it? kubernetes.${profile.name}.pullSecrets names secrets for that.`,
    config: `Correct what ${place} names: secrets, claims and images have to be there.`,
    starting: `Raise pending_timeout of ${place}. kubectl describe pod tells what it waits for.`,
  };
  return new MlvError({
    code: wait === 'image' || wait === 'config' || wait === 'no-pod' ? `job-${wait}` : 'job-pending',
    kind: wait === 'image' || wait === 'config' ? 'refused' : 'io',
    message: `stage ${stage.id} did not start on the cluster, and its job was deleted: ${message.trim()}`,
    hint: hints[wait],
  });
}

/** The error for a job that somebody deleted. */
export function jobGone({ stage, job }: Told): MlvError {
  return new MlvError({
    code: 'job-deleted',
    kind: 'io',
    message: `stage ${stage.id} was ended: somebody deleted its job ${job}`,
    hint: 'Run the same command again to send it anew.',
  });
}
