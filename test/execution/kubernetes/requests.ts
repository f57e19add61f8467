/** Stages that are sent to a cluster, one for each thing that a Job may have. */
import type { KubernetesProfile } from '../../../src/domain/kubernetes-profile.ts';
import { resolveSettings, parseSetting } from '../../../src/domain/settings.ts';
import type { RepoPath } from '../../../src/domain/repo-path.ts';
import type { JobRequest } from '../../../src/execution/kubernetes/job.ts';
import { runtimeName } from '../../../src/execution/kubernetes/job-names.ts';
import { stageOf, type StageParts } from '../../support/stages.ts';
import { digestOf } from '../../support/trees.ts';

const GI = 1024 ** 3;
const IMAGE = `python:3.12@sha256:${'ab'.repeat(32)}`;

/** A profile by its settings; `namespace` is one of them. */
export function profileOf(fields: Readonly<Record<string, string>> = {}): KubernetesProfile {
  const entries = Object.entries({ namespace: 'ml', ...fields }).map(([field, value]) =>
    parseSetting(`kubernetes.gpu.${field}`, value, { scope: 'clone', origin: 'test' }),
  );
  const profile = resolveSettings([entries]).kubernetes.get('gpu');
  if (profile === undefined) throw new Error('no profile');
  return profile;
}

interface RequestParts {
  readonly name?: string;
  readonly stage?: StageParts;
  readonly profile?: Readonly<Record<string, string>>;
  readonly request?: Partial<JobRequest>;
}

export function requestOf({ name = 'train', stage = {}, profile = {}, request = {} }: RequestParts = {}): JobRequest {
  return {
    stage: stageOf(name, { image: IMAGE, kubernetes: 'gpu', commands: ['python train.py'], ...stage }),
    profile: profileOf(profile),
    fingerprint: digestOf('fingerprint'),
    task: { text: '{"version":0}\n', hash: digestOf('task'), code: digestOf('code') },
    project: digestOf('project'),
    runtime: runtimeName(digestOf('runtime')),
    environment: {},
    user: 'Ada <ada@example.org>',
    attempt: 0,
    ...request,
  };
}

export const REQUESTS: Readonly<Record<string, JobRequest>> = {
  defaults: requestOf(),
  plain: requestOf({
    stage: {
      commands: ['python prepare.py "$(nproc)"', 'echo $$ $HOME > out'],
      resources: { cpu: 4, memory: 8 * GI, disk: 50e9, shm: 2 * GI },
      env: ['SEED', 'PRICE', 'HOME', 'UNSET', 'constructor'],
      timeout: 7200,
    },
    request: {
      environment: { SEED: '7', PRICE: '$(SEED) $5', HOME: '/home/ada', PATH: '/bin', AWS_SECRET_ACCESS_KEY: 'hidden' },
    },
  }),
  'profile-defaults': requestOf({
    profile: {
      cpu: '8',
      cpuScale: '0.95',
      memory: '1500',
      disk: '10G',
      runAsUser: '1000',
      ttl: '1h',
      image: 'mirror/node:20',
    },
  }),
  'gpu-type': requestOf({
    stage: { resources: { gpu: 2, gpuType: 'a100', memory: 64 * GI } },
    profile: {
      'gpuTypes.a100.nodeSelector': 'nvidia.com/gpu.product=A100,pool=',
      'gpuTypes.a100.tolerations': 'nvidia.com/gpu:NoSchedule,spot=true:NoExecute,dedicated',
      'gpuTypes.mi300.resource': 'amd.com/gpu',
    },
  }),
  'any-gpu': requestOf({ stage: { resources: { gpu: 1 } } }),
  'cache-claim': requestOf({ profile: { cacheClaim: 'mlv-cache' }, stage: { resources: { disk: 10 * GI } } }),
  'storage-class': requestOf({ profile: { storageClass: 'fast-ssd', disk: '200Gi' } }),
  secrets: requestOf({
    profile: { credentials: 'bucket', pullSecrets: 'hub,registry.eu', serviceAccount: 'trainer' },
    stage: { cluster: { secrets: ['wandb', 'db.eu'] } },
  }),
  queue: requestOf({ profile: { queue: 'everybody' }, stage: { cluster: { queue: 'team-a' } } }),
  checkpoint: requestOf({
    profile: { cacheClaim: 'mlv-cache' },
    stage: { cluster: { checkpoint: 'models/half' as RepoPath } },
  }),
  patch: requestOf({
    profile: { serviceAccount: 'trainer' },
    stage: {
      cluster: {
        pod: {
          metadata: { labels: { team: 'vision' }, annotations: { 'eks.amazonaws.com/skip-containers': null } },
          spec: {
            priorityClassName: 'preemptible',
            terminationGracePeriodSeconds: 120,
            tolerations: [{ key: 'spot', operator: 'Exists' }],
            volumes: [{ name: 'scratch', emptyDir: {} }],
            initContainers: [
              {
                name: 'stage',
                env: [{ name: 'NCCL_DEBUG', value: 'INFO' }],
                volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
              },
            ],
          },
        },
      },
    },
  }),
  'retries-with-codes': requestOf({
    stage: { retries: 3, timeout: 3600, cluster: { noRetryExitCodes: [2, 78], pendingTimeout: 600 } },
  }),
  forced: requestOf({ request: { attempt: 2 } }),
  foreach: requestOf({
    name: 'Train_größe@x y/ünïcode-…-1',
    stage: { file: 'experiments/nlp/mlv.yaml', wdir: 'experiments/nlp/src' },
    request: { task: { text: '{}', hash: digestOf('task'), code: undefined } },
  }),
};
