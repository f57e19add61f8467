/** What a Job's `podFailurePolicy` says of a failed pod; pkg/controller/job/pod_failure_policy.go of 1.34. */
import type { ContainerStatus, FailureRule, JobSpec, Pod } from './objects.ts';

export interface Verdict {
  /** Whether the failure counts towards `backoffLimit`. */
  readonly isCounted: boolean;
  /** Why the whole Job fails, where it does. */
  readonly failJob?: string;
}

export function judgeFailure({ podFailurePolicy }: JobSpec, pod: Pod): Verdict {
  const { namespace, name } = pod.metadata;
  for (const [index, rule] of (podFailurePolicy?.rules ?? []).entries()) {
    const matched = matchingContainer(pod, rule);
    const condition = pod.status.conditions?.find((each) =>
      rule.onPodConditions?.some(({ type, status }) => type === each.type && status === each.status),
    );
    if (matched === undefined && condition === undefined) continue;
    if (rule.action === 'Ignore') return { isCounted: false };
    if (rule.action !== 'FailJob') return { isCounted: true };
    const end = `matching FailJob rule at index ${index}`;
    const failJob =
      matched === undefined
        ? `Pod ${namespace}/${name} has condition ${condition?.type} ${end}`
        : `Container ${matched.name} for pod ${namespace}/${name} failed with exit code ${matched.state.terminated?.exitCode} ${end}`;
    return { isCounted: true, failJob };
  }
  return { isCounted: true };
}

/** The first container that ended with such a code; main containers are looked at before init containers. */
function matchingContainer({ status }: Pod, { onExitCodes }: FailureRule): ContainerStatus | undefined {
  if (onExitCodes === undefined) return undefined;
  const { containerName, operator, values } = onExitCodes;
  return [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].find(({ name, state }) => {
    const { exitCode = 0 } = state.terminated ?? {};
    if (exitCode === 0 || (typeof containerName === 'string' && containerName !== name)) return false;
    return values.includes(exitCode) === (operator === 'In');
  });
}
