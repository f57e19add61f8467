/** Kubernetes' own schema of an object, of about version 1.32, as the package `kubernetes-models` has it. */
import { Job } from 'kubernetes-models/batch/v1/Job';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { Role } from 'kubernetes-models/rbac.authorization.k8s.io/v1/Role';
import { RoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';

const MODELS: Readonly<Record<string, { readonly prototype: { validate(): void } }>> = {
  'batch/v1 Job': Job,
  'networking.k8s.io/v1 NetworkPolicy': NetworkPolicy,
  'rbac.authorization.k8s.io/v1 Role': Role,
  'rbac.authorization.k8s.io/v1 RoleBinding': RoleBinding,
  'v1 ConfigMap': ConfigMap,
  'v1 Namespace': Namespace,
  'v1 PersistentVolumeClaim': PersistentVolumeClaim,
  'v1 ServiceAccount': ServiceAccount,
};

/**
 * Throws for an object that the schema does not allow. Returns the paths of fields that it does not know: the package's checks pass over them, as
 * they never read them.
 */
export function unknownFields(object: { readonly apiVersion: string; readonly kind: string }): string[] {
  const unread = new Set<string>();
  const model = MODELS[`${object.apiVersion} ${object.kind}`];
  if (model === undefined) throw new Error(`no schema of ${object.apiVersion} ${object.kind}`);
  model.prototype.validate.call(watched(object, '', unread));
  return [...unread];
}

/** The same value, of which each field is taken out of the set once it is read. */
function watched(value: unknown, path: string, unread: Set<string>): unknown {
  if (Array.isArray(value)) return value.map((item, index) => watched(item, `${path}[${index}]`, unread));
  if (typeof value !== 'object' || value === null) return value;
  const copy = {};
  for (const [key, each] of Object.entries(value)) {
    const at = `${path}.${key}`;
    const inner = watched(each, at, unread);
    unread.add(at);
    Object.defineProperty(copy, key, {
      enumerable: true,
      get() {
        unread.delete(at);
        return inner;
      },
    });
  }
  return copy;
}
