/** What Jobs and their pods are, by their conditions, phases and marks; pkg/controller/job of 1.34. */
import type { Condition, Job, Pod } from './objects.ts';

export const TRACKING = 'batch.kubernetes.io/job-tracking';

export function isFinished({ status }: Job): boolean {
  return (
    status.conditions?.some(({ type, status: is }) => is === 'True' && (type === 'Complete' || type === 'Failed')) ===
    true
  );
}

export function isTracked({ metadata }: Pod): boolean {
  return metadata.finalizers?.includes(TRACKING) === true;
}

function isOver({ status }: Pod): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}

export function isActive(pod: Pod): boolean {
  return !isOver(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function isTerminating(pod: Pod): boolean {
  return !isOver(pod) && pod.metadata.deletionTimestamp !== undefined;
}

export function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
}

/** A pod that is being deleted has failed at once, unless only failed ones are replaced. */
export function isFailed(pod: Pod, job: Job): boolean {
  if (pod.status.phase === 'Failed') return true;
  return !replacesOnlyFailed(job) && isTerminating(pod);
}

export function replacesOnlyFailed({ spec }: Job): boolean {
  return spec.podReplacementPolicy === 'Failed' || spec.podFailurePolicy !== undefined;
}

export function withCondition(conditions: readonly Condition[] = [], added: Condition): Condition[] {
  return [...conditions.filter(({ type }) => type !== added.type), added];
}
