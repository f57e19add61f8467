/** The Pod Security standard `restricted`, as far as the fields that a stage's pod has; worded as pod-security-admission of 1.34. */
import type { Container, KubeObject, PodSpec } from './objects.ts';

const ALLOWED_VOLUMES = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);

/** Why a pod would not be let into a namespace; undefined where it would, or the namespace sets no such policy. */
export function securityViolation(
  namespace: KubeObject | undefined,
  spec: PodSpec,
  mode: 'enforce' | 'warn',
): string | undefined {
  const level = namespace?.metadata.labels?.[`pod-security.kubernetes.io/${mode}`];
  if (level !== 'restricted' && level !== 'baseline') return undefined;
  const found = level === 'restricted' ? [...baseline(spec), ...restricted(spec)] : baseline(spec);
  return found.length === 0 ? undefined : `"${level}:latest": ${found.join(', ')}`;
}

function baseline(spec: PodSpec): string[] {
  const found: string[] = [];
  if (spec.hostNetwork === true || spec.hostPID === true || spec.hostIPC === true) found.push('host namespaces');
  const paths = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name);
  if (paths.length > 0) found.push(`hostPath volumes (${named('volume', paths)})`);
  const privileged = containersOf(spec).filter(({ securityContext }) => securityContext?.privileged === true);
  if (privileged.length > 0) {
    const names = named('container', namesOf(privileged));
    found.push(`privileged (${names} must not set securityContext.privileged=true)`);
  }
  return found;
}

function restricted(spec: PodSpec): string[] {
  const found: string[] = [];
  const told = (what: string, wrong: readonly Container[], must: string, ofPod = ''): void => {
    if (wrong.length > 0) found.push(`${what} (${ofPod}${named('container', namesOf(wrong))} must set ${must})`);
  };
  const all = containersOf(spec);
  told(
    'allowPrivilegeEscalation != false',
    all.filter(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false),
    'securityContext.allowPrivilegeEscalation=false',
  );
  told(
    'unrestricted capabilities',
    all.filter(({ securityContext }) => securityContext?.capabilities?.drop?.includes('ALL') !== true),
    'securityContext.capabilities.drop=["ALL"]',
  );
  const volumes = (spec.volumes ?? []).filter((each) =>
    Object.keys(each).some((key) => key !== 'name' && !ALLOWED_VOLUMES.has(key)),
  );
  for (const { name, ...source } of volumes) {
    found.push(
      `restricted volume types (volume "${name}" uses restricted volume type "${Object.keys(source).join('')}")`,
    );
  }
  told(
    'runAsNonRoot != true',
    all.filter(({ securityContext }) => (securityContext?.runAsNonRoot ?? spec.securityContext?.runAsNonRoot) !== true),
    'securityContext.runAsNonRoot=true',
    'pod or ',
  );
  const roots = all.filter(
    ({ securityContext }) => (securityContext?.runAsUser ?? spec.securityContext?.runAsUser) === 0,
  );
  if (roots.length > 0) {
    found.push(`runAsUser=0 (${named('container', namesOf(roots))} must not set runAsUser=0)`);
  }
  const profiles = ['RuntimeDefault', 'Localhost'];
  told(
    'seccompProfile',
    all.filter(({ securityContext }) => {
      const type = securityContext?.seccompProfile?.type ?? spec.securityContext?.seccompProfile?.type ?? '';
      return !profiles.includes(type);
    }),
    'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
    'pod or ',
  );
  return found;
}

function containersOf({ initContainers = [], containers }: PodSpec): Container[] {
  return [...initContainers, ...containers];
}

function namesOf(containers: readonly Container[]): string[] {
  return containers.map(({ name }) => name);
}

function named(what: string, names: readonly string[]): string {
  return `${what}${names.length === 1 ? '' : 's'} ${names.map((name) => `"${name}"`).join(', ')}`;
}
