/** What the API server fills in: pkg/apis/core/v1, pkg/apis/batch/v1 and the strategies of 1.34. */
import type { Container, Job, KubeObject, Pod, PodSpec } from './objects.ts';
import type { ResourceName } from './resources.ts';

/** Fills in an object that is being created; its name and uid are set. */
export function fillDefaults(resource: ResourceName, object: KubeObject): void {
  if (resource === 'jobs') fillJob(object as Job);
  if (resource === 'pods') fillPod(object as Pod);
  if (resource === 'namespaces') object.status ??= { phase: 'Active' };
}

function fillJob(job: Job): void {
  const { spec, metadata } = job;
  if (Object.keys(metadata.labels ?? {}).length === 0 && spec.template.metadata?.labels !== undefined) {
    metadata.labels = { ...spec.template.metadata.labels };
  }
  metadata.generation = 1;
  spec.completions ??= 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= 6;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? 'TerminatingOrFailed' : 'Failed';
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const condition of rule.onPodConditions ?? []) condition.status ??= 'True';
  }
  if (!spec.manualSelector) {
    const template = (spec.template.metadata ??= {});
    const labels = (template.labels ??= {});
    for (const prefix of ['', 'batch.kubernetes.io/']) {
      labels[`${prefix}controller-uid`] = metadata.uid;
      labels[`${prefix}job-name`] = metadata.name;
    }
    spec.selector ??= { matchLabels: { 'batch.kubernetes.io/controller-uid': metadata.uid } };
  }
  fillPodSpec(spec.template.spec);
  job.status = {};
}

function fillPod(pod: Pod): void {
  const { spec, metadata } = pod;
  fillPodSpec(spec);
  metadata.generation = 1;
  spec.serviceAccountName ??= 'default';
  spec.tolerations = [
    ...(spec.tolerations ?? []),
    ...['not-ready', 'unreachable'].map((state) => ({
      key: `node.kubernetes.io/${state}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    })),
  ];
  pod.status = { phase: 'Pending', qosClass: qosClassOf(spec) };
}

function fillPodSpec(spec: PodSpec): void {
  Object.assign(spec, {
    restartPolicy: spec.restartPolicy ?? 'Always',
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds ?? 30,
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    securityContext: spec.securityContext ?? {},
    ...spec,
  });
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) fillContainer(container);
  for (const { configMap, secret } of spec.volumes ?? []) {
    if (configMap !== undefined) Object.assign(configMap, { defaultMode: 0o644, ...configMap });
    if (secret !== undefined) Object.assign(secret, { defaultMode: 0o644, ...secret });
  }
}

function fillContainer(container: Container): void {
  const isLatest = /^[^@]*(:latest)$|^[^:@]*(\/[^:@]*)?$/.test(container.image ?? '');
  container.imagePullPolicy ??= isLatest ? 'Always' : 'IfNotPresent';
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.resources ??= {};
  const { resources } = container;
  for (const part of ['requests', 'limits'] as const) {
    // A quantity may be given as a number.
    const entries = Object.entries(resources[part] ?? {}).map(([name, amount]: [string, string | number]) => [
      name,
      String(amount),
    ]);
    if (resources[part] !== undefined) resources[part] = Object.fromEntries(entries) as Record<string, string>;
  }
  const { limits } = resources;
  if (limits !== undefined) resources.requests = { ...limits, ...resources.requests };
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef !== undefined)
      Object.assign(valueFrom.fieldRef, { apiVersion: 'v1', ...valueFrom.fieldRef });
  }
}

function qosClassOf(spec: PodSpec): string {
  const all = [...(spec.initContainers ?? []), ...spec.containers].map(({ resources = {} }) => resources);
  const isEmpty = ({ requests = {}, limits = {} }: (typeof all)[number]): boolean =>
    !['cpu', 'memory'].some((name) => name in requests || name in limits);
  const isGuaranteed = ({ requests = {}, limits = {} }: (typeof all)[number]): boolean =>
    ['cpu', 'memory'].every((name) => limits[name] !== undefined && requests[name] === limits[name]);
  if (all.every(isEmpty)) return 'BestEffort';
  return all.every(isGuaranteed) ? 'Guaranteed' : 'Burstable';
}
