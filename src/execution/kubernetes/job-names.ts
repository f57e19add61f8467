/** What the objects of mlv in a cluster are called, and by what they are found. */
import type { Digest } from '../../domain/digest.ts';
import type { StageId } from '../../domain/pipeline.ts';
import { digestOfBytes } from '../../platform/hash.ts';

export const MANAGED_BY = 'app.kubernetes.io/managed-by';
/** As a label the slug of the stage, as an annotation its id. */
export const STAGE = 'mlv.dev/stage';
/** A label: the first 40 digits. */
export const FINGERPRINT = 'mlv.dev/fingerprint';
/** A label: 12 digits, the same in every clone of a project. */
export const PROJECT = 'mlv.dev/project';
/** Annotations: the hash of the task, the root of the tree of code, and who sent it. */
export const TASK = 'mlv.dev/task';
export const CODE = 'mlv.dev/code';
export const USER = 'mlv.dev/user';
/** An annotation of the ConfigMap with what runs in pods: when a job was last sent with it, ISO 8601. */
export const USED = 'mlv.dev/used';
/** A label of Jobs that Kueue holds back until there is room: it suspends them as they are created. */
export const QUEUE = 'kueue.x-k8s.io/queue-name';

const MAX_SLUG = 30;

/**
 * The id of a stage in letters that names and labels may have: lower case, digits, `-`; at most 30. Not the id of one stage alone: two may have
 * the same, of which the annotation tells the id.
 */
export function stageSlug(id: StageId): string {
  const slug = id
    .replace('/mlv.yaml:', '/')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  if (slug === '') return 'stage';
  if (slug.length <= MAX_SLUG) return slug;
  // Both ends tell stages apart: folders before, values of "foreach" behind.
  const half = MAX_SLUG / 2;
  return `${slug.slice(0, half - 1)}-${slug.slice(-half)}`.replaceAll(/-+/g, '-');
}

/** `mlv-train-0123456789ab`, and `-r2` when it was forced anew a second time: a label of RFC 1123, short enough for the names of pods. */
export function jobName(id: StageId, fingerprint: Digest, attempt: number): string {
  return `mlv-${stageSlug(id)}-${fingerprint.slice(0, 12)}${attempt === 0 ? '' : `-r${attempt}`}`;
}

/** The ConfigMap with the task of a job. The same job may be sent with another task, where one that was sent before was lost on the way. */
export function taskName(job: string, task: Digest): string {
  return `${job}-${task.slice(0, 12)}`;
}

/** The ConfigMap with what runs in pods, by the hash of that. */
export function runtimeName(content: Digest): string {
  return `mlv-runtime-${content.slice(0, 12)}`;
}

export function isRuntimeName(name: string): boolean {
  return /^mlv-runtime-[0-9a-f]{12}$/.test(name);
}

/** What stands for a project in a cluster, the same in every clone: the remote that its data goes by, and where it is in its repository. */
export function projectOf(remoteUrl: string, prefix: string): Digest {
  return digestOfBytes(Buffer.from(`${remoteUrl}\n${prefix}`));
}

/** Selects what belongs to a project. */
export function projectSelector(project: Digest): string {
  return `${MANAGED_BY}=mlv,${PROJECT}=${projectLabel(project)}`;
}

export function projectLabel(project: Digest): string {
  return project.slice(0, 12);
}
