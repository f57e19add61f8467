/** A container's environment: values, keys of ConfigMaps and Secrets, and the downward API. */
import type { Container, EnvVar, Pod } from './objects.ts';
import type { Store } from './store.ts';

/** Why a container cannot be created: a reason for waiting in the kubelet's words. */
export class ConfigError extends Error {}

type Values = Record<string, string>;

/** Throws a ConfigError for a reference to what is not there. */
export function containerEnv(pod: Pod, container: Container, store: Store): Values {
  const { namespace = '' } = pod.metadata;
  const env: Values = {};

  function valuesOf(
    kind: 'configmap' | 'secret',
    { name, optional }: { name: string; optional?: boolean },
  ): Values | undefined {
    if (kind === 'configmap') {
      const found = store.get({ resource: 'configmaps', namespace, name });
      if (found !== undefined) return found.data ?? {};
    } else {
      const found = store.get({ resource: 'secrets', namespace, name });
      const decode = ([key, value]: [string, string]): [string, string] => [
        key,
        Buffer.from(value, 'base64').toString(),
      ];
      if (found !== undefined) return Object.fromEntries(Object.entries(found.data ?? {}).map(decode));
    }
    if (optional === true) return undefined;
    throw new ConfigError(`${kind} "${name}" not found`);
  }

  function keyOf(
    kind: 'configmap' | 'secret',
    reference: { name: string; key?: string; optional?: boolean },
  ): string | undefined {
    const value = valuesOf(kind, reference)?.[reference.key ?? ''];
    if (value !== undefined || reference.optional === true) return value;
    const told = kind === 'configmap' ? 'ConfigMap' : 'Secret';
    throw new ConfigError(`couldn't find key ${reference.key} in ${told} ${namespace}/${reference.name}`);
  }

  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const values = {
      ...(configMapRef === undefined ? {} : valuesOf('configmap', configMapRef)),
      ...(secretRef === undefined ? {} : valuesOf('secret', secretRef)),
    };
    for (const [key, value] of Object.entries(values)) env[`${prefix}${key}`] = value;
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const found = valueFrom === undefined ? expand(value ?? '', env) : sourceOf(valueFrom);
    if (found !== undefined) env[name] = found;
  }
  return env;

  function sourceOf({ fieldRef, configMapKeyRef, secretKeyRef }: NonNullable<EnvVar['valueFrom']>): string | undefined {
    if (configMapKeyRef !== undefined) return keyOf('configmap', configMapKeyRef);
    if (secretKeyRef !== undefined) return keyOf('secret', secretKeyRef);
    if (fieldRef !== undefined) return fieldOf(pod, fieldRef.fieldPath);
    throw new ConfigError('the double knows no such source of an environment variable');
  }
}

/** `$(NAME)` becomes the value of a variable that came before, `$$` a dollar sign; what is not known stays. */
export function expand(text: string, env: Readonly<Values>): string {
  return text.replaceAll(/\$\$|\$\(([^()]+)\)/g, (found, name: string | undefined) =>
    name === undefined ? '$' : (env[name] ?? found),
  );
}

function fieldOf(pod: Pod, path: string): string {
  const [, part, key = ''] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? [];
  if (part === 'labels' || part === 'annotations') return pod.metadata[part]?.[key] ?? '';
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
    'spec.serviceAccountName': pod.spec.serviceAccountName,
    'status.hostIP': pod.status.hostIP,
    'status.podIP': pod.status.podIP,
  };
  return fields[path] ?? '';
}
