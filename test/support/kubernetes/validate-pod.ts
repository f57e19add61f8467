/** What the API server checks of a pod's spec beyond its schema; pkg/apis/core/validation of 1.34, the parts that a stage meets. */
import { isDeepStrictEqual } from 'node:util';
import { duplicate, forbiddenField, invalidValue, required, unknownValue } from './field-errors.ts';
import type { Container, Pod, PodSpec, Volume } from './objects.ts';
import { amountOf } from './quantity.ts';
import type { Cause } from './status.ts';
import { dnsLabelErrors } from './validate-metadata.ts';

const STANDARD = new Set(['cpu', 'memory', 'ephemeral-storage']);
const QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

export function checkPodSpec(spec: PodSpec, field: string): Cause[] {
  const causes: Cause[] = [];
  const volumes = spec.volumes ?? [];
  if (spec.containers.length === 0) causes.push(required(`${field}.containers`));
  causes.push(...checkNames(volumes, `${field}.volumes`));
  for (const [index, volume] of volumes.entries()) causes.push(...checkVolume(volume, `${field}.volumes[${index}]`));
  const names = new Set<string>();
  for (const part of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec[part] ?? []).entries()) {
      const at = `${field}.${part}[${index}]`;
      if (names.has(container.name)) causes.push(duplicate(`${at}.name`, container.name));
      names.add(container.name);
      causes.push(...checkContainer(container, volumes, at));
    }
  }
  if (spec.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds < 1) {
    const why = 'must be between 1 and 2147483647, inclusive';
    causes.push(invalidValue(`${field}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, why));
  }
  for (const [index, toleration] of (spec.tolerations ?? []).entries()) {
    const at = `${field}.tolerations[${index}]`;
    if ((toleration.key ?? '') === '' && toleration.operator !== 'Exists') {
      causes.push(
        invalidValue(
          `${at}.operator`,
          toleration.operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (toleration.operator === 'Exists' && (toleration.value ?? '') !== '') {
      causes.push(invalidValue(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
    }
  }
  return causes;
}

function checkVolume(volume: Volume, at: string): Cause[] {
  const sources = Object.keys(volume).filter((key) => key !== 'name');
  if (sources.length === 0) return [required(at, 'must specify a volume type')];
  if (sources.length > 1) {
    return sources
      .slice(1)
      .map((source) => forbiddenField(`${at}.${source}`, 'may not specify more than 1 volume type'));
  }
  if (volume.configMap?.name === '') return [required(`${at}.configMap.name`)];
  if (volume.secret?.secretName === '') return [required(`${at}.secret.secretName`)];
  return volume.persistentVolumeClaim?.claimName === '' ? [required(`${at}.persistentVolumeClaim.claimName`)] : [];
}

function checkContainer(container: Container, volumes: readonly Volume[], at: string): Cause[] {
  const causes = dnsLabelErrors(container.name).map((error) => invalidValue(`${at}.name`, container.name, error));
  if ((container.image ?? '') === '') causes.push(required(`${at}.image`));
  else if (container.image.trim() !== container.image) {
    causes.push(invalidValue(`${at}.image`, container.image, 'must not have leading or trailing whitespace'));
  }
  const paths = new Set<string>();
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const field = `${at}.volumeMounts[${index}]`;
    if (!volumes.some(({ name }) => name === mount.name)) causes.push(unknownValue(`${field}.name`, mount.name));
    if (mount.mountPath === '') causes.push(required(`${field}.mountPath`));
    if (paths.has(mount.mountPath)) causes.push(invalidValue(`${field}.mountPath`, mount.mountPath, 'must be unique'));
    paths.add(mount.mountPath);
    const { subPath = '' } = mount;
    if (subPath.startsWith('/')) causes.push(invalidValue(`${field}.subPath`, subPath, 'must be a relative path'));
    if (subPath.split('/').includes('..'))
      causes.push(invalidValue(`${field}.subPath`, subPath, "must not contain '..'"));
  }
  for (const [index, { name, value, valueFrom }] of (container.env ?? []).entries()) {
    const field = `${at}.env[${index}]`;
    if (name === '') causes.push(required(`${field}.name`));
    else if (/[=]|[^\x20-\x7e]/.test(name)) {
      const why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
      causes.push(invalidValue(`${field}.name`, name, why));
    }
    if (valueFrom !== undefined && (value ?? '') !== '') {
      causes.push(invalidValue(`${field}.valueFrom`, '', 'may not be specified when `value` is not empty'));
    }
    const { fieldPath } = valueFrom?.fieldRef ?? {};
    if (fieldPath !== undefined && !FIELD_PATH.test(fieldPath)) {
      causes.push(
        invalidValue(
          `${field}.valueFrom.fieldRef.fieldPath`,
          fieldPath,
          `error converting fieldPath: field label not supported: ${fieldPath}`,
        ),
      );
    }
  }
  return [...causes, ...checkResources(container, `${at}.resources`)];
}

const FIELD_PATH =
  /^(metadata\.(name|namespace|uid|labels\['[^']+'\]|annotations\['[^']+'\])|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$/;

function checkResources({ resources = {} }: Container, at: string): Cause[] {
  const causes: Cause[] = [];
  const { requests = {}, limits = {} } = resources;
  for (const part of ['limits', 'requests'] as const) {
    for (const [name, quantity] of Object.entries(resources[part] ?? {})) {
      const field = `${at}.${part}.${name}`;
      const amount = amountOf(quantity);
      if (Number.isNaN(amount)) causes.push(invalidValue(field, quantity, QUANTITY));
      else if (amount < 0) causes.push(invalidValue(field, quantity, 'must be greater than or equal to 0'));
      else if (!STANDARD.has(name) && !name.startsWith('hugepages-')) {
        if (!name.includes('/')) {
          causes.push(invalidValue(field, name, 'must be a standard resource type or fully qualified'));
        } else if (!Number.isInteger(amount)) causes.push(invalidValue(field, quantity, 'must be an integer'));
      }
    }
  }
  for (const [name, quantity] of Object.entries(requests)) {
    const limit = limits[name];
    const isExtended = !STANDARD.has(name);
    if (isExtended && limit === undefined) {
      causes.push(required(`${at}.limits`, 'Limit must be set for non overcommitable resources'));
    } else if (limit !== undefined && amountOf(quantity) > amountOf(limit)) {
      const why = `must be less than or equal to ${name} limit of ${limit}`;
      causes.push(invalidValue(`${at}.requests`, quantity, why));
    } else if (isExtended && limit !== undefined && amountOf(quantity) !== amountOf(limit)) {
      causes.push(invalidValue(`${at}.requests`, quantity, `must be equal to ${name} limit of ${limit}`));
    }
  }
  return causes;
}

function checkNames(volumes: readonly Volume[], field: string): Cause[] {
  return volumes.flatMap(({ name }, index) => {
    const at = `${field}[${index}].name`;
    if (volumes.findIndex((each) => each.name === name) < index) return [duplicate(at, name)];
    return dnsLabelErrors(name).map((error) => invalidValue(at, name, error));
  });
}

/** Almost nothing of a pod's spec can be changed. */
export function checkPodUpdate(next: Pod, before: Pod): Cause[] {
  const fixed = ({ spec }: Pod): unknown => ({
    ...spec,
    containers: spec.containers.map((each) => ({ ...each, image: '' })),
    initContainers: spec.initContainers?.map((each) => ({ ...each, image: '' })),
    activeDeadlineSeconds: undefined,
    tolerations: undefined,
    terminationGracePeriodSeconds: undefined,
  });
  if (isDeepStrictEqual(fixed(next), fixed(before))) return [];
  const may = [
    '`spec.containers[*].image`',
    '`spec.initContainers[*].image`',
    '`spec.activeDeadlineSeconds`',
    '`spec.tolerations` (only additions to existing tolerations)',
    '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
  ];
  return [forbiddenField('spec', `pod updates may not change fields other than ${may.join(',')}`)];
}
