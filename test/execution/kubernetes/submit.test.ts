/** What a submission leaves in a cluster, and what it makes of what others left there. */
import { expect, onTestFinished, test } from 'vitest';
import type { KubernetesApi } from '../../../src/execution/kubernetes/api.ts';
import { runtimeMap, submissionOf } from '../../../src/execution/kubernetes/job.ts';
import type { ConfigMap } from '../../../src/execution/kubernetes/objects.ts';
import { openKubernetes } from '../../../src/execution/kubernetes/open-api.ts';
import type { SubmitOptions } from '../../../src/execution/kubernetes/submit.ts';
import { submit } from '../../../src/execution/kubernetes/submit.ts';
import type { Cluster } from '../../support/kubernetes/cluster.ts';
import { startRig } from '../../support/kubernetes/rig.ts';
import { digestOf } from '../../support/trees.ts';
import { requestOf } from './requests.ts';

const RUNTIME = runtimeMap('mlv-runtime-0123456789ab', { 'pod.cjs': 'process.exit(0);\n' });

async function openRig(): Promise<{ cluster: Cluster; api: KubernetesApi }> {
  const cluster = await startRig();
  const api = await openKubernetes({ environment: { PATH: '/bin', KUBECONFIG: cluster.kubeconfigFile } });
  onTestFinished(() => api.close());
  return { cluster, api };
}

function optionsOf(task: string): SubmitOptions & { request: ReturnType<typeof requestOf> } {
  const request = requestOf({ request: { task: { text: task, hash: digestOf(task), code: undefined } } });
  return { request, runtime: RUNTIME, isForced: false, signal: new AbortController().signal };
}

function leave(cluster: Cluster, { metadata: { name, labels = {}, annotations = {} }, ...rest }: ConfigMap): void {
  cluster.create('configmaps', { ...rest, metadata: { name, labels, annotations } });
}

/** What the pods of a job read, and what owns it. */
function taskOf(cluster: Cluster, job: string) {
  const { volumes = [] } = cluster.get('jobs', job)?.spec.template.spec ?? {};
  const name = volumes.find((volume) => volume.name === 'task')?.configMap?.name ?? '';
  const map = cluster.get('configmaps', name);
  return { text: map?.['data'], owners: map?.metadata.ownerReferences?.map((owner) => owner.name) };
}

test('a task that was left by a submission that never ended is not taken for another', async () => {
  const { cluster, api } = await openRig();
  const left = submissionOf(optionsOf('one').request).task;
  leave(cluster, left);
  const { job, how } = await submit(api, optionsOf('two'));
  expect(how).toBe('created');
  expect(taskOf(cluster, job.metadata.name)).toEqual({ text: { 'task.json': 'two' }, owners: [job.metadata.name] });
});

test('the same task that was left is taken, and goes with the job', async () => {
  const { cluster, api } = await openRig();
  const options = optionsOf('one');
  leave(cluster, submissionOf(options.request).task);
  const { job } = await submit(api, options);
  expect(taskOf(cluster, job.metadata.name)).toEqual({ text: { 'task.json': 'one' }, owners: [job.metadata.name] });
});

test('a task that somebody cleans up just before the job is made is there all the same', async () => {
  const { cluster, api } = await openRig();
  const options = optionsOf('one');
  const { task } = submissionOf(options.request);
  leave(cluster, task);
  const racing: KubernetesApi = {
    ...api,
    create(collection, object, how) {
      if (collection.plural === 'jobs' && how?.isDryRun !== true) cluster.delete('configmaps', task.metadata.name);
      return api.create(collection, object, how);
    },
  };
  const { job } = await submit(racing, options);
  expect(taskOf(cluster, job.metadata.name)).toEqual({ text: { 'task.json': 'one' }, owners: [job.metadata.name] });
});

test('what runs in pods is made once, and each submission notes that it is used', async () => {
  const { cluster, api } = await openRig();
  const used = () => cluster.get('configmaps', RUNTIME.metadata.name)?.metadata.annotations?.['mlv.dev/used'] ?? '';
  await submit(api, optionsOf('one'));
  const first = used();
  expect(Date.parse(first)).toBeGreaterThan(Date.now() - 60_000);
  const { request } = optionsOf('two');
  await submit(api, { ...optionsOf('two'), request: { ...request, fingerprint: digestOf('other') } });
  expect(Date.parse(used())).toBeGreaterThan(Date.parse(first));
  expect(cluster.list('configmaps').filter(({ metadata }) => metadata.name === RUNTIME.metadata.name)).toHaveLength(1);
});
