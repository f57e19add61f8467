/** Rules of names, labels and annotations, worded as apimachinery's util/validation of 1.34. */
import { forbiddenField, invalidValue, required, tooLong } from './field-errors.ts';
import type { KubeObject, Metadata } from './objects.ts';
import type { Cause } from './status.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const DNS_LABEL =
  `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric ` +
  `character (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL}')`;
const DNS_SUBDOMAIN =
  `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an ` +
  `alphanumeric character (e.g. 'example.com', regex used for validation is '${LABEL}(\\.${LABEL})*')`;
const QUALIFIED =
  `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. ` +
  `'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`;
const LABEL_VALUE =
  `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an ` +
  `alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is ` +
  `'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`;
const ANNOTATION_BYTES = 256 << 10;

export function dnsLabelErrors(name: string): string[] {
  if (!new RegExp(`^${LABEL}$`).test(name)) return [DNS_LABEL];
  return name.length > 63 ? ['must be no more than 63 bytes'] : [];
}

function dnsSubdomainErrors(name: string): string[] {
  const errors = name.length > 253 ? ['must be no more than 253 bytes'] : [];
  if (!new RegExp(`^${LABEL}(\\.${LABEL})*$`).test(name)) errors.push(DNS_SUBDOMAIN);
  return errors;
}

/** Of a new object, with its name made already. */
export function checkMetadata(
  metadata: Metadata,
  { isNamespaced, kind }: { isNamespaced: boolean; kind: string },
): Cause[] {
  const causes: Cause[] = [];
  if (metadata.name === '') causes.push(required('metadata.name', 'name or generateName is required'));
  else {
    const errors = kind === 'Namespace' ? dnsLabelErrors(metadata.name) : dnsSubdomainErrors(metadata.name);
    for (const error of errors) causes.push(invalidValue('metadata.name', metadata.name, error));
  }
  if (!isNamespaced && metadata.namespace !== undefined) {
    causes.push(forbiddenField('metadata.namespace', 'not allowed on this type'));
  }
  causes.push(
    ...checkLabels(metadata.labels, 'metadata.labels'),
    ...checkAnnotations(metadata.annotations, 'metadata.annotations'),
  );
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries()) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if ((owner[key] ?? '') === '') {
        causes.push(invalidValue(`metadata.ownerReferences[${index}].${key}`, '', `must not be empty`));
      }
    }
  }
  return causes;
}

export function checkLabels(labels: Readonly<Record<string, string>> = {}, field: string): Cause[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...qualifiedNameErrors(key).map((error) => invalidValue(field, key, error)),
    ...labelValueErrors(value).map((error) => invalidValue(field, value, error)),
  ]);
}

export function checkAnnotations(annotations: Readonly<Record<string, string>> = {}, field: string): Cause[] {
  const causes = Object.keys(annotations).flatMap((key) =>
    qualifiedNameErrors(key.toLowerCase()).map((error) => invalidValue(field, key, error)),
  );
  const bytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + utf8Length(key) + utf8Length(value), 0);
  return bytes > ANNOTATION_BYTES ? [...causes, tooLong(field, ANNOTATION_BYTES)] : causes;
}

/** What an update may not touch, whatever the kind. */
export function checkMetadataUpdate(next: KubeObject, before: KubeObject): Cause[] {
  const causes: Cause[] = [];
  for (const key of ['name', 'namespace', 'creationTimestamp', 'deletionTimestamp'] as const) {
    if (next.metadata[key] !== before.metadata[key]) {
      causes.push(invalidValue(`metadata.${key}`, next.metadata[key] ?? null, 'field is immutable'));
    }
  }
  causes.push(...checkLabels(next.metadata.labels, 'metadata.labels'));
  causes.push(...checkAnnotations(next.metadata.annotations, 'metadata.annotations'));
  const added = (next.metadata.finalizers ?? []).filter((each) => !(before.metadata.finalizers ?? []).includes(each));
  if (before.metadata.deletionTimestamp !== undefined && added.length > 0) {
    const why = 'no new finalizers can be added if the object is being deleted, found new finalizers';
    causes.push(
      forbiddenField('metadata.finalizers', `${why} []string{${added.map((each) => `"${each}"`).join(', ')}}`),
    );
  }
  return causes;
}

export function utf8Length(text: string): number {
  return Buffer.byteLength(text);
}

function qualifiedNameErrors(key: string): string[] {
  const parts = key.split('/');
  const name = parts.at(-1) ?? '';
  const errors: string[] = [];
  if (parts.length > 2) {
    return [`a qualified name ${QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  if (parts.length === 2) {
    if (parts[0] === '') errors.push('prefix part must be non-empty');
    else errors.push(...dnsSubdomainErrors(parts[0] ?? '').map((error) => `prefix part ${error}`));
  }
  if (name === '') errors.push('name part must be non-empty');
  else if (name.length > 63) errors.push('name part must be no more than 63 bytes');
  if (!/^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/.test(name)) errors.push(QUALIFIED);
  return errors;
}

function labelValueErrors(value: string): string[] {
  const errors = value.length > 63 ? ['must be no more than 63 bytes'] : [];
  if (!/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value)) errors.push(LABEL_VALUE);
  return errors;
}
