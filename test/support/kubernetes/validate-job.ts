/** What the API server checks of a Job beyond its schema; pkg/apis/batch/validation of 1.34. */
import { isDeepStrictEqual } from 'node:util';
import { invalidValue, required, unsupported } from './field-errors.ts';
import type { FailureRule, Job, JobSpec, PodSpec } from './objects.ts';
import type { Cause } from './status.ts';
import { checkAnnotations, checkLabels } from './validate-metadata.ts';
import { checkPodSpec } from './validate-pod.ts';

const COUNTS = [
  'parallelism',
  'completions',
  'backoffLimit',
  'activeDeadlineSeconds',
  'ttlSecondsAfterFinished',
] as const;

/** Of a Job whose defaults are filled in. */
export function checkJob({ metadata, spec }: Job): Cause[] {
  const causes: Cause[] = [];
  for (const name of COUNTS) {
    const value = spec[name];
    if (value !== undefined && value < 0) {
      causes.push(invalidValue(`spec.${name}`, value, 'must be greater than or equal to 0'));
    }
  }
  if (
    spec.manualSelector !== true &&
    spec.selector?.matchLabels?.['batch.kubernetes.io/controller-uid'] !== metadata.uid
  ) {
    causes.push(invalidValue('spec.selector', spec.selector ?? null, '`selector` not auto-generated'));
  }
  const { template } = spec;
  causes.push(...checkLabels(template.metadata?.labels, 'spec.template.labels'));
  causes.push(...checkAnnotations(template.metadata?.annotations, 'spec.template.annotations'));
  causes.push(...checkPodSpec(template.spec, 'spec.template.spec'));
  const { restartPolicy = '' } = template.spec;
  if (restartPolicy === 'Always' || restartPolicy === '') {
    causes.push(
      restartPolicy === ''
        ? required('spec.template.spec.restartPolicy', 'valid values: "OnFailure", "Never"')
        : unsupported('spec.template.spec.restartPolicy', restartPolicy, ['OnFailure', 'Never']),
    );
  }
  if (spec.podFailurePolicy !== undefined) causes.push(...checkFailurePolicy(spec, template.spec));
  return causes;
}

function checkFailurePolicy(spec: JobSpec, pod: PodSpec): Cause[] {
  const causes: Cause[] = [];
  const field = 'spec.podFailurePolicy';
  if (pod.restartPolicy !== 'Never') {
    const why = 'only "Never" is supported when podFailurePolicy is specified';
    causes.push(invalidValue('spec.template.spec.restartPolicy', pod.restartPolicy, why));
  }
  if (spec.podReplacementPolicy !== undefined && spec.podReplacementPolicy !== 'Failed') {
    causes.push(unsupported('spec.podReplacementPolicy', spec.podReplacementPolicy, ['Failed']));
  }
  const names = [...(pod.initContainers ?? []), ...pod.containers].map(({ name }) => name);
  const rules = spec.podFailurePolicy?.rules ?? [];
  if (rules.length > 20)
    causes.push({
      reason: 'FieldValueTooMany',
      message: `Too many: ${rules.length}: must have at most 20 items`,
      field: `${field}.rules`,
    });
  for (const [index, rule] of rules.entries()) causes.push(...checkRule(rule, names, `${field}.rules[${index}]`));
  return causes;
}

function checkRule({ onExitCodes, onPodConditions = [] }: FailureRule, names: readonly string[], at: string): Cause[] {
  if (onExitCodes !== undefined && onPodConditions.length > 0) {
    return [invalidValue(at, '', 'specifying both OnExitCodes and OnPodConditions is not supported')];
  }
  if (onExitCodes === undefined && onPodConditions.length === 0) {
    return [invalidValue(at, '', 'specifying one of OnExitCodes and OnPodConditions is required')];
  }
  const causes: Cause[] = [];
  if (onExitCodes !== undefined) {
    const { values, operator, containerName } = onExitCodes;
    const field = `${at}.onExitCodes`;
    if (values.length === 0) causes.push(invalidValue(`${field}.values`, values, 'at least one value is required'));
    if (values.some((value, index) => index > 0 && (values[index - 1] ?? 0) >= value)) {
      causes.push(invalidValue(`${field}.values`, values, 'must be ordered'));
    }
    if (operator === 'In' && values.includes(0)) {
      causes.push(invalidValue(`${field}.values[${values.indexOf(0)}]`, 0, 'must not be 0 for the In operator'));
    }
    if (values.length > 255) {
      causes.push({
        reason: 'FieldValueTooMany',
        message: `Too many: ${values.length}: must have at most 255 items`,
        field: `${field}.values`,
      });
    }
    if (typeof containerName === 'string' && !names.includes(containerName)) {
      const why = 'must be one of the container or initContainer names in the pod template';
      causes.push(invalidValue(`${field}.containerName`, containerName, why));
    }
  }
  for (const [index, { status }] of onPodConditions.entries()) {
    if (status !== undefined && !['True', 'False', 'Unknown'].includes(status)) {
      causes.push(unsupported(`${at}.onPodConditions[${index}].status`, status, ['False', 'True', 'Unknown']));
    }
  }
  return causes;
}

/** What cannot be changed any more. While a Job is suspended and has never run, where it may run can. */
export function checkJobUpdate(next: Job, before: Job): Cause[] {
  const causes = checkJob(next).filter(({ field }) => field !== 'spec.selector');
  for (const name of ['selector', 'completionMode', 'podFailurePolicy', 'managedBy', 'completions'] as const) {
    if (!isDeepStrictEqual(next.spec[name], before.spec[name])) {
      causes.push(invalidValue(`spec.${name}`, next.spec[name] ?? null, 'field is immutable'));
    }
  }
  const isMovable = before.spec.suspend === true && before.status.startTime === undefined;
  if (!isDeepStrictEqual(fixedPart(next.spec, isMovable), fixedPart(before.spec, isMovable))) {
    causes.push(invalidValue('spec.template', next.spec.template, 'field is immutable'));
  }
  return causes;
}

function fixedPart({ template }: JobSpec, isMovable: boolean): unknown {
  if (!isMovable) return template;
  const movable = { nodeSelector: undefined, tolerations: undefined, affinity: undefined, schedulingGates: undefined };
  return {
    metadata: { ...template.metadata, labels: undefined, annotations: undefined },
    spec: { ...template.spec, ...movable },
  };
}
