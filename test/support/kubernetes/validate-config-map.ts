/** Rules of ConfigMaps; pkg/apis/core/validation of 1.34. */
import { isDeepStrictEqual } from 'node:util';
import { forbiddenField, invalidValue, tooLong } from './field-errors.ts';
import type { ConfigMap } from './objects.ts';
import type { Cause } from './status.ts';
import { utf8Length } from './validate-metadata.ts';

const MAX_BYTES = 1 << 20;
const KEY =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.', (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', " +
  "regex used for validation is '[-._a-zA-Z0-9]+')";

export function checkConfigMap({ data = {}, binaryData = {} }: ConfigMap): Cause[] {
  const causes: Cause[] = [];
  let bytes = 0;
  for (const [part, entries] of [
    ['data', data],
    ['binaryData', binaryData],
  ] as const) {
    for (const [key, value] of Object.entries(entries)) {
      if (!/^[-._a-zA-Z0-9]+$/.test(key) || key === '.' || key === '..')
        causes.push(invalidValue(`${part}[${key}]`, key, KEY));
      if (part === 'binaryData' && key in data) {
        causes.push(invalidValue(`${part}[${key}]`, key, 'duplicate of key present in data'));
      }
      bytes += part === 'data' ? utf8Length(value) : Buffer.from(value, 'base64').length;
    }
  }
  return bytes > MAX_BYTES ? [...causes, tooLong('[]', MAX_BYTES)] : causes;
}

export function checkConfigMapUpdate(next: ConfigMap, before: ConfigMap): Cause[] {
  const causes = checkConfigMap(next);
  if (before.immutable !== true) return causes;
  for (const part of ['immutable', 'data', 'binaryData'] as const) {
    if (!isDeepStrictEqual(next[part], before[part])) {
      causes.push(forbiddenField(part, 'field is immutable when `immutable` is set'));
    }
  }
  return causes;
}
