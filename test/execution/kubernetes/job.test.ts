/** What is sent to a cluster. Golden files show whole objects; what must hold of each of them whatever it shows is said here. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { MlvError } from '../../../src/domain/errors.ts';
import { runtimeMap, submissionOf } from '../../../src/execution/kubernetes/job.ts';
import type { Container, Job } from '../../../src/execution/kubernetes/objects.ts';
import { unknownFields } from '../../support/kubernetes/strict-schema.ts';
import { profileOf, requestOf, REQUESTS } from './requests.ts';

const GOLDEN = fileURLToPath(new URL('golden/', import.meta.url));
const isUpdating = process.env['MLV_UPDATE_FIXTURES'] === '1';
const CASES = Object.entries(REQUESTS);

function podOf(name: string): Job['spec']['template'] {
  const request = REQUESTS[name];
  if (request === undefined) throw new Error(name);
  return submissionOf(request).job.spec.template;
}

function containersOf({ spec }: Job['spec']['template']): Record<'fetch' | 'stage' | 'push', Container> {
  const named = new Map([...spec.initContainers, ...spec.containers].map((each) => [each.name, each]));
  expect([...named.keys()]).toEqual(['fetch', 'stage', 'push']);
  return Object.fromEntries(named) as Record<'fetch' | 'stage' | 'push', Container>;
}

const valueOf = (container: Container, name: string): unknown => container.env.filter((each) => each.name === name);

describe.each(CASES)('a submission: %s', (name, request) => {
  const { job, task } = submissionOf(request);
  const pod = job.spec.template;
  const { fetch, stage, push } = containersOf(pod);

  test('is what its golden file says', () => {
    const text = `${JSON.stringify({ job, task }, undefined, 2)}\n`;
    if (isUpdating) writeFileSync(`${GOLDEN}${name}.json`, text);
    expect(text).toBe(readFileSync(`${GOLDEN}${name}.json`, 'utf8'));
  });

  test("is valid by Kubernetes' own schema, without fields that it does not know", () => {
    expect(unknownFields(job)).toEqual([]);
    expect(unknownFields(task)).toEqual([]);
  });

  test('is accepted by Pod Security "restricted"', () => {
    expect(pod.spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.spec.securityContext.runAsUser).toBeGreaterThan(0);
    for (const { securityContext } of [fetch, stage, push])
      expect(securityContext).toEqual({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
    const kinds = pod.spec.volumes.flatMap((volume) => Object.keys(volume).filter((key) => key !== 'name'));
    expect(['configMap', 'emptyDir', 'ephemeral', 'persistentVolumeClaim']).toEqual(expect.arrayContaining(kinds));
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) expect(pod.spec).not.toHaveProperty(key);
  });

  test('gets no token of the cluster, and is one try', () => {
    expect(pod.spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
    });
    expect(job.spec).toMatchObject({ podReplacementPolicy: 'Failed', backoffLimit: request.stage.retries });
    expect(job.spec).not.toHaveProperty('suspend');
  });

  test('is granted the memory and disk that it asks for, no less, no more', () => {
    for (const { resources } of [fetch, stage, push]) {
      for (const what of ['memory', 'ephemeral-storage'])
        expect(resources.limits?.[what]).toBe(resources.requests?.[what]);
      expect(resources.limits?.['cpu']).toBeUndefined();
    }
    for (const { resources } of [fetch, push]) expect(resources.requests).toHaveProperty('memory');
  });

  test('opens the remote to fetch and push alone, and gives secrets of the stage to the stage alone', () => {
    const { credentials } = request.profile;
    const secretsOf = ({ envFrom = [] }: Container): string[] => envFrom.map(({ secretRef }) => secretRef.name);
    expect(secretsOf(fetch)).toEqual(credentials === undefined ? [] : [credentials]);
    expect(secretsOf(push)).toEqual(secretsOf(fetch));
    expect(secretsOf(stage)).toEqual(request.stage.cluster?.secrets ?? []);
    expect(stage.volumeMounts.map((mount) => mount.name)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(?:cache|runtime|task)$/)]),
    );
    expect(JSON.stringify(job)).not.toContain('hidden');
    expect(stage.env.map((variable) => variable.name).toSorted()).toEqual(
      [
        'HOME',
        'MLV_STAGE',
        ...(name === 'plain' ? ['PRICE', 'SEED'] : []),
        ...(name === 'patch' ? ['NCCL_DEBUG'] : []),
      ].toSorted(),
    );
    for (const container of [fetch, stage, push])
      expect(valueOf(container, 'HOME')).toEqual([{ name: 'HOME', value: '/mlv/work/home' }]);
  });

  test('has every volume that is mounted, each once at its place', () => {
    const volumes = pod.spec.volumes.map((volume) => volume.name);
    expect(new Set(volumes).size).toBe(volumes.length);
    for (const { volumeMounts } of [fetch, stage, push]) {
      const paths = volumeMounts.map(({ mountPath }) => mountPath);
      expect(new Set(paths).size).toBe(paths.length);
      expect(volumes).toEqual(expect.arrayContaining(volumeMounts.map((mount) => mount.name)));
      expect(volumeMounts).toContainEqual({ name: 'work', mountPath: '/mlv/work' });
    }
  });

  test('is told the task that its annotation names, and is found by its labels', () => {
    expect(task).toMatchObject({
      metadata: { name: `${job.metadata.name}-${request.task.hash.slice(0, 12)}` },
      data: { 'task.json': request.task.text },
    });
    expect(pod.spec.volumes).toContainEqual({ name: 'task', configMap: { name: task.metadata.name } });
    expect(job.metadata.annotations).toMatchObject({
      'mlv.dev/stage': request.stage.id,
      'mlv.dev/task': request.task.hash,
    });
    for (const container of [fetch, push])
      expect(valueOf(container, 'MLV_TASK_HASH')).toEqual([{ name: 'MLV_TASK_HASH', value: request.task.hash }]);
    const { 'kueue.x-k8s.io/queue-name': _, ...labels } = job.metadata.labels ?? {};
    expect(pod.metadata.labels).toMatchObject(labels);
    expect(task.metadata.labels).toEqual(labels);
    for (const value of Object.values(job.metadata.labels ?? {}))
      expect(value).toMatch(/^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/);
  });

  test('retries what was disrupted without counting, and nothing that another try does not mend', () => {
    const [first, ...others] = job.spec.podFailurePolicy.rules;
    expect(first).toEqual({ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] });
    const codes = Object.fromEntries(
      others.map((rule) => {
        if (rule.action !== 'FailJob') throw new Error(rule.action);
        expect(rule.onExitCodes.operator).toBe('In');
        return [rule.onExitCodes.containerName, rule.onExitCodes.values];
      }),
    );
    const final = [64, 65, 66, 69];
    const own = request.stage.cluster?.noRetryExitCodes;
    expect(codes).toEqual({ fetch: final, push: final, ...(own !== undefined && { stage: own }) });
  });
});

test('there are no other golden files', () => {
  expect(readdirSync(GOLDEN).toSorted()).toEqual([...CASES.map(([name]) => `${name}.json`), 'runtime.json'].toSorted());
});

test('what fetch and push run travels as one ConfigMap that does not change', () => {
  const map = runtimeMap('mlv-runtime-0123456789ab', { 'pod.cjs': 'process.exit(0);\n' });
  const text = `${JSON.stringify(map, undefined, 2)}\n`;
  if (isUpdating) writeFileSync(`${GOLDEN}runtime.json`, text);
  expect(text).toBe(readFileSync(`${GOLDEN}runtime.json`, 'utf8'));
  expect(unknownFields(map)).toEqual([]);
  expect(map.immutable).toBe(true);
});

test('the schema tells fields that it does not know, wherever they are', () => {
  const { job } = submissionOf(requestOf());
  const [work, ...others] = job.spec.template.spec.volumes;
  const { template } = job.spec;
  const spec = { ...template.spec, volumes: [{ ...work, emptyDir: { limit: 1 } }, ...others], tolerance: [] };
  const unheardOf = { ...job, spec: { ...job.spec, template: { ...template, spec } } };
  expect(unknownFields(unheardOf)).toEqual([
    '.spec.template.spec.volumes[0].emptyDir.limit',
    '.spec.template.spec.tolerance',
  ]);
  const wrong = { ...job, spec: { ...job.spec, backoffLimit: 'many' } };
  expect(() => unknownFields(wrong)).toThrow('backoffLimit');
});

describe('of the stage and its profile come', () => {
  test('cores as the profile scales them, memory and disk, the stage before the profile', () => {
    const { stage } = containersOf(
      submissionOf(
        requestOf({
          stage: { resources: { cpu: 8, memory: 3 * 1024 ** 3 } },
          profile: { cpuScale: '0.95', cpu: '1', memory: '1Gi', disk: '20Gi' },
        }),
      ).job.spec.template,
    );
    expect(stage.resources).toEqual({
      requests: { cpu: '7600m', memory: '3Gi', 'ephemeral-storage': '20Gi' },
      limits: { memory: '3Gi', 'ephemeral-storage': '20Gi' },
    });
  });

  test('GPUs of the type that is asked for, on the nodes that have them', () => {
    const pod = podOf('gpu-type');
    expect(containersOf(pod).stage.resources.limits).toMatchObject({ 'nvidia.com/gpu': '2' });
    expect(pod.spec.nodeSelector).toEqual({ 'nvidia.com/gpu.product': 'A100', pool: '' });
    expect(pod.spec.tolerations).toEqual([
      { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
      { key: 'spot', operator: 'Equal', value: 'true', effect: 'NoExecute' },
      { key: 'dedicated', operator: 'Exists' },
    ]);
    expect(containersOf(podOf('any-gpu')).stage.resources.limits).toEqual({ 'nvidia.com/gpu': '1' });
  });

  test('one GPU where only the type is named, none where it says so', () => {
    const profile = profileOf({ 'gpuTypes.mi300.resource': 'amd.com/gpu', 'gpuTypes.mi300.tolerations': 'amd' });
    const podFor = (gpu?: number): Job['spec']['template'] =>
      submissionOf({
        ...requestOf({ stage: { resources: { gpuType: 'mi300', ...(gpu !== undefined && { gpu }) } } }),
        profile,
      }).job.spec.template;
    expect(containersOf(podFor()).stage.resources).toEqual({ limits: { 'amd.com/gpu': '1' } });
    expect(podFor().spec.tolerations).toHaveLength(1);
    expect(containersOf(podFor(0)).stage.resources).toEqual({});
    expect(podFor(0).spec).not.toHaveProperty('tolerations');
  });

  test('an end to each try, and to all of them where it is said how long they may wait', () => {
    const { job } = submissionOf(REQUESTS['retries-with-codes'] ?? requestOf());
    expect(job.spec.template.spec.activeDeadlineSeconds).toBe(3600);
    expect(job.spec.activeDeadlineSeconds).toBe(4 * (3600 + 600));
    const { job: patient } = submissionOf(requestOf({ stage: { timeout: 0.2 } }));
    expect(patient.spec.template.spec.activeDeadlineSeconds).toBe(1);
    expect(patient.spec).not.toHaveProperty('activeDeadlineSeconds');
  });

  test('the queue of the stage before that of the profile, for Kueue to hold the Job back', () => {
    const queueOf = (stage?: string): string | undefined =>
      submissionOf(
        requestOf({ profile: { queue: 'everybody' }, stage: stage === undefined ? {} : { cluster: { queue: stage } } }),
      ).job.metadata.labels?.['kueue.x-k8s.io/queue-name'];
    expect([queueOf(), queueOf('team-a')]).toEqual(['everybody', 'team-a']);
  });

  test('a checkpoint that only tries of this Job see, beside a cache that the stage does not', () => {
    const { stage, fetch, push } = containersOf(podOf('checkpoint'));
    expect(stage.volumeMounts).toContainEqual({
      name: 'checkpoint',
      mountPath: '/mlv/work/project/models/half',
      subPath: `checkpoints/${submissionOf(REQUESTS['checkpoint'] ?? requestOf()).job.metadata.name}`,
    });
    for (const { volumeMounts } of [fetch, push]) {
      expect(volumeMounts).toContainEqual({ name: 'cache', mountPath: '/mlv/cache', subPath: 'cache' });
      expect(volumeMounts.map(({ name }) => name)).not.toContain('checkpoint');
    }
  });
});

describe('is refused before anything is sent:', () => {
  function refusal(parts: Parameters<typeof requestOf>[0]): unknown {
    try {
      return submissionOf(requestOf(parts));
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      const { code, message, hint } = error;
      return { code, message, hint };
    }
  }

  test('a stage without an image', () => {
    const request = requestOf();
    const { image: _, ...stage } = request.stage;
    expect(() => submissionOf({ ...request, stage })).toThrow(
      expect.objectContaining({
        code: 'stage-image-missing',
        message: 'stage train is to run on Kubernetes, and names no image to run in',
        hint: 'Add "image" in mlv.yaml, line 1.',
      }),
    );
  });

  test('a type of GPU that the profile does not know', () => {
    expect(
      refusal({ stage: { resources: { gpuType: 'a10' } }, profile: { 'gpuTypes.a100.tolerations': 'x' } }),
    ).toEqual({
      code: 'gpu-type-unknown',
      message: 'stage train asks for GPUs of type a10, which profile gpu does not know',
      hint: 'Did you mean a100? It is in mlv.yaml, line 1.',
    });
    expect(refusal({ stage: { resources: { gpuType: 'h100' } } })).toMatchObject({
      hint: 'It knows none. Correct mlv.yaml, line 1, or tell of which nodes: mlv config kubernetes.gpu.gpuTypes.h100.nodeSelector KEY=VALUE',
    });
  });

  test('a volume of no size', () => {
    expect(refusal({ profile: { storageClass: 'fast' } })).toEqual({
      code: 'stage-disk-unknown',
      message: 'stage train works on a volume of class fast, of which nobody says how large it is to be',
      hint: 'Set mlv config kubernetes.gpu.disk 100Gi, or "resources: {disk: …}" in mlv.yaml, line 1.',
    });
  });

  test('a checkpoint without a place', () => {
    expect(refusal({ stage: { cluster: { checkpoint: requestOf().stage.wdir } } })).toEqual({
      code: 'checkpoint-without-claim',
      message: 'stage train has a checkpoint, and profile gpu no volume claim to keep it on',
      hint: 'Name one: mlv config kubernetes.gpu.cacheClaim CLAIM. Or take "checkpoint" out in mlv.yaml, line 1.',
    });
  });

  test('a task that no ConfigMap holds', () => {
    const task = { ...requestOf().task, text: 'é'.repeat(524_289) };
    expect(refusal({ request: { task } })).toEqual({
      code: 'task-too-large',
      message: 'what the pod of stage train is to be told takes 1048578 bytes, more than a ConfigMap holds',
      hint: 'It names too many files: name folders that hold them in "deps" and "outs" in mlv.yaml, line 1.',
    });
    expect(refusal({ request: { task: { ...task, text: 'é'.repeat(524_288) } } })).toHaveProperty('job');
  });
});
