/**
 * The pod of a stage, one try: `fetch` lays out code and inputs, `stage` runs the commands in the user's image, `push` sends the outputs to the
 * remote. Under Pod Security "restricted". What opens the remote is never in `stage`.
 */
import { MlvError } from '../../domain/errors.ts';
import type { KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Stage } from '../../domain/pipeline.ts';
import type { Container, EnvVar, ObjectMeta, PodTemplate, Volume, VolumeMount } from './objects.ts';
import { patchPod } from './pod-patch.ts';
import { diskOf, gpusOf, quantity, stageResources, TRANSFER_RESOURCES } from './pod-resources.ts';

export interface PodRequest {
  readonly stage: Stage;
  readonly profile: KubernetesProfile;
  readonly taskHash: Digest;
  /** Names of the Job, of the ConfigMap with the task, and of that with what runs in `fetch` and `push`. */
  readonly job: string;
  readonly task: string;
  readonly runtime: string;
  /** Where values of the variables are found that the stage declares. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly metadata: Required<Pick<ObjectMeta, 'labels' | 'annotations'>>;
}

const WORK = '/mlv/work';
const PROJECT = `${WORK}/project`;
const RUNTIME = '/mlv/runtime';
const TASK = '/mlv/task';
const CACHE = '/mlv/cache';
const HOME: EnvVar = { name: 'HOME', value: `${WORK}/home` };
const UID_LABEL = "metadata.labels['batch.kubernetes.io/controller-uid']";
/** Commands one after another, as long as each succeeds. The last takes the shell's place, so that it gets the signal to end. */
const SCRIPT = 'while [ $# -gt 1 ]; do /bin/sh -c "$1" || exit; shift; done; exec /bin/sh -c "$1"';
/** Identities of the pod that EKS and Azure would otherwise give to every container. */
const SKIPPED: Readonly<Record<string, string>> = {
  'eks.amazonaws.com/skip-containers': 'stage',
  'azure.workload.identity/skip-containers': 'stage',
};

/**
 * With the stage's own patch applied. Throws `stage-image-missing`, `stage-disk-unknown`, `checkpoint-without-claim` and `gpu-type-unknown`:
 * what can be known to be wrong before anything is sent.
 */
export function podTemplate(request: PodRequest): PodTemplate {
  const { stage, profile, metadata } = request;
  const { timeout, cluster } = stage;
  const gpus = gpusOf(stage, profile)?.type;
  const tolerations = gpus?.tolerations ?? [];
  const template: PodTemplate = {
    metadata: { labels: metadata.labels, annotations: { ...metadata.annotations, ...SKIPPED } },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      ...(profile.serviceAccount !== undefined && { serviceAccountName: profile.serviceAccount }),
      ...(profile.pullSecrets.length > 0 && { imagePullSecrets: profile.pullSecrets.map((name) => ({ name })) }),
      ...(timeout !== undefined && { activeDeadlineSeconds: Math.max(1, Math.ceil(timeout)) }),
      ...(gpus !== undefined && gpus.nodeSelector.size > 0 && { nodeSelector: Object.fromEntries(gpus.nodeSelector) }),
      ...(tolerations.length > 0 && { tolerations }),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: profile.runAsUser,
        runAsGroup: profile.runAsUser,
        fsGroup: profile.runAsUser,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      volumes: volumesOf(request),
      initContainers: [transfer('fetch', request), stageContainer(request)],
      containers: [transfer('push', request)],
    },
  };
  return cluster?.pod === undefined ? template : patchPod(template, cluster.pod);
}

/** Kubernetes replaces `$(NAME)` in commands and in values of variables; a `$` that stands for itself is doubled. */
function literal(text: string): string {
  return text.replaceAll('$', '$$$$');
}

const CONFINED = {
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  terminationMessagePolicy: 'FallbackToLogsOnError',
} as const;

function transfer(name: 'fetch' | 'push', { profile, taskHash }: PodRequest): Container {
  const { credentials, cacheClaim } = profile;
  const mounts: VolumeMount[] = [
    { name: 'work', mountPath: WORK },
    { name: 'runtime', mountPath: RUNTIME, readOnly: true },
    { name: 'task', mountPath: TASK, readOnly: true },
  ];
  if (cacheClaim !== undefined) mounts.push({ name: 'cache', mountPath: CACHE, subPath: 'cache' });
  return {
    name,
    image: profile.image,
    command: ['node', `${RUNTIME}/pod.cjs`, name],
    env: [
      HOME,
      { name: 'MLV_TASK', value: `${TASK}/task.json` },
      { name: 'MLV_TASK_HASH', value: taskHash },
      { name: 'MLV_WORK', value: WORK },
      { name: 'MLV_CACHE', value: cacheClaim === undefined ? `${WORK}/cache` : CACHE },
      { name: 'MLV_JOB_UID', valueFrom: { fieldRef: { fieldPath: UID_LABEL } } },
    ],
    ...(credentials !== undefined && { envFrom: [{ secretRef: { name: credentials } }] }),
    resources: TRANSFER_RESOURCES,
    ...CONFINED,
    volumeMounts: mounts,
  };
}

function stageContainer({ stage, profile, job, environment }: PodRequest): Container {
  const { id, image, commands, wdir, resources, cluster = {} } = stage;
  if (image === undefined) {
    throw refused(stage, 'stage-image-missing', 'is to run on Kubernetes, and names no image to run in', 'Add "image"');
  }
  const { secrets = [], checkpoint } = cluster;
  const mounts: VolumeMount[] = [{ name: 'work', mountPath: WORK }];
  if (resources.shm !== undefined) mounts.push({ name: 'shm', mountPath: '/dev/shm' });
  if (checkpoint !== undefined)
    mounts.push({ name: 'checkpoint', mountPath: `${PROJECT}/${checkpoint}`, subPath: `checkpoints/${job}` });
  return {
    name: 'stage',
    image,
    command: ['/bin/sh', '-c', SCRIPT, 'mlv', ...commands].map(literal),
    workingDir: wdir === '' ? PROJECT : `${PROJECT}/${wdir}`,
    env: [...declared(stage, environment), HOME, { name: 'MLV_STAGE', value: literal(id) }],
    ...(secrets.length > 0 && { envFrom: secrets.map((name) => ({ secretRef: { name } })) }),
    resources: stageResources(stage, profile),
    ...CONFINED,
    volumeMounts: mounts,
  };
}

/** Variables that the stage declares and that are set; those of the pod itself stay. */
function declared({ env }: Stage, environment: PodRequest['environment']): EnvVar[] {
  return env.flatMap((name) => {
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    return value === undefined || name === HOME.name || name === 'MLV_STAGE' ? [] : [{ name, value: literal(value) }];
  });
}

function volumesOf(request: PodRequest): Volume[] {
  const { stage, profile, task, runtime } = request;
  const { cacheClaim } = profile;
  const { shm } = stage.resources;
  const volumes: Volume[] = [
    workVolume(request),
    { name: 'runtime', configMap: { name: runtime } },
    { name: 'task', configMap: { name: task } },
  ];
  if (cacheClaim !== undefined) volumes.push({ name: 'cache', persistentVolumeClaim: { claimName: cacheClaim } });
  if (shm !== undefined) volumes.push({ name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: quantity(shm) } });
  if (stage.cluster?.checkpoint !== undefined) {
    if (cacheClaim === undefined) {
      throw refused(
        stage,
        'checkpoint-without-claim',
        `has a checkpoint, and profile ${profile.name} no volume claim to keep it on`,
        `Name one: mlv config kubernetes.${profile.name}.cacheClaim CLAIM. Or take "checkpoint" out`,
      );
    }
    // A volume of its own: what the commands see is that folder of the claim, never the cache.
    volumes.push({ name: 'checkpoint', persistentVolumeClaim: { claimName: cacheClaim } });
  }
  return volumes;
}

function workVolume({ stage, profile, metadata }: PodRequest): Volume {
  const disk = diskOf(stage, profile);
  const { storageClass } = profile;
  if (storageClass === undefined) {
    return { name: 'work', emptyDir: disk === undefined ? {} : { sizeLimit: quantity(disk) } };
  }
  if (disk === undefined) {
    throw refused(
      stage,
      'stage-disk-unknown',
      `works on a volume of class ${storageClass}, of which nobody says how large it is to be`,
      `Set mlv config kubernetes.${profile.name}.disk 100Gi, or "resources: {disk: …}"`,
    );
  }
  return {
    name: 'work',
    ephemeral: {
      volumeClaimTemplate: {
        metadata: { labels: metadata.labels },
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: storageClass,
          resources: { requests: { storage: quantity(disk) } },
        },
      },
    },
  };
}

function refused({ id, file, line }: Stage, code: string, message: string, hint: string): MlvError {
  return new MlvError({
    code,
    kind: 'refused',
    message: `stage ${id} ${message}`,
    hint: `${hint} in ${file}, line ${line}.`,
  });
}
