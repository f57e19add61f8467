/** The kubelets of a cluster's nodes: run the containers of pods as local processes, and bring about the troubles that tests order. */
import { rmSync } from 'node:fs';
import type { ContainerLog } from './container-log.ts';
import { openRecorder } from './events.ts';
import type { Pulls } from './images.ts';
import { loseNode, markDisrupted, nodeShutdown, cordon, disruption } from './node-troubles.ts';
import type { Pod } from './objects.ts';
import { type PodRunner, type RunnerOptions, startPod } from './pod-runner.ts';
import { openReconciler } from './reconcile.ts';
import type { Registry } from './registry.ts';
import { failure } from './status.ts';
import { keyOf } from './store.ts';
import { type Order, openOrders, type Trouble } from './troubles.ts';

export interface KubeletOptions {
  readonly images: Pulls;
  /** For volumes and claims; removed by `close`. */
  readonly root: string;
  readonly secondMs: number;
  readonly retryMs: number;
  /** What every container's environment says of the cluster. */
  readonly serviceEnv: Readonly<Record<string, string>>;
}

export interface Kubelet {
  log(pod: Pod, container: string): ContainerLog | undefined;
  order(order: Order): void;
  /** Brings a trouble about at once, for a pod that is on a node, in the container told or in all that run. */
  trouble(pod: Pod, trouble: Trouble, container?: string): Promise<void>;
  close(): Promise<void>;
}

const DISK_GRACE_SECONDS = 1;

export function startKubelets(
  registry: Registry,
  { images, root, secondMs, retryMs, serviceEnv }: KubeletOptions,
): Kubelet {
  const { store } = registry;
  const runners = new Map<string, PodRunner>();
  const orders = openOrders();
  const lost = new Set<string>();
  const ends = new Set<Promise<void>>();
  /** The shortest grace that each pod was given so far. */
  const stopping = new Map<string, number>();
  const timers = new Set<NodeJS.Timeout>();
  let addresses = 0;

  const loop = openReconciler(store, ['pods', 'nodes'], () => {
    const pods = store.list('pods');
    for (const pod of pods) look(pod);
    const known = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const [uid, runner] of runners) {
      if (known.has(uid)) continue;
      runners.delete(uid);
      follow(runner.vanish().then(() => runner.removeFiles()));
    }
  });

  function look(pod: Pod): void {
    const { nodeName = '' } = pod.spec;
    const { uid, deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
    if (nodeName === '' || lost.has(nodeName)) return;
    const runner = runners.get(uid);
    const isOver = hasEnded(pod);
    if (deletionTimestamp === undefined) {
      if (runner === undefined && !isOver) runners.set(uid, startPod(pod, runnerOptions(nodeName)));
      return;
    }
    if (isOver || (stopping.get(uid) ?? Number.POSITIVE_INFINITY) <= deletionGracePeriodSeconds) return;
    stopping.set(uid, deletionGracePeriodSeconds);
    const stopped = runner?.terminate({ graceMs: deletionGracePeriodSeconds * secondMs }) ?? Promise.resolve();
    follow(stopped.then(() => finishDeletion(pod)));
  }

  /** Says that the pod is over, and lets its object go. */
  function finishDeletion(pod: Pod): void {
    const key = keyOf('pods', pod);
    const current = store.get(key);
    if (current === undefined || current.metadata.uid !== pod.metadata.uid || lost.has(pod.spec.nodeName ?? '')) return;
    store.change(key, ({ status }) => {
      if (status.phase !== 'Succeeded' && status.phase !== 'Failed') status.phase = 'Failed';
    });
    if (store.get(key) !== undefined) registry.delete(key, { gracePeriodSeconds: 0 });
  }

  function runnerOptions(nodeName: string): RunnerOptions {
    addresses++;
    return {
      registry,
      store,
      images,
      root,
      secondMs,
      retryMs,
      serviceEnv,
      podIP: `10.244.0.${addresses}`,
      recorder: openRecorder(store, { now: registry.now, source: { component: 'kubelet', host: nodeName } }),
      onMoment(moment) {
        for (const { trouble, afterMs, on } of orders.take(moment)) {
          const happen = (): void => {
            const pod = store.list('pods').find(({ metadata }) => metadata.name === moment.pod);
            // What has ended in the meantime is past all trouble.
            if (pod !== undefined && !hasEnded(pod)) follow(apply(pod, trouble, on?.container));
          };
          if (afterMs === undefined) setImmediate(happen);
          else timers.add(setTimeout(happen, afterMs));
        }
      },
    };
  }

  async function apply(pod: Pod, trouble: Trouble, container?: string): Promise<void> {
    const runner = runners.get(pod.metadata.uid);
    const nodeName = pod.spec.nodeName ?? '';
    if (runner === undefined) throw new Error(`no kubelet has pod ${pod.metadata.name}`);
    const of = container === undefined ? {} : { container };
    switch (trouble.kind) {
      case 'kill':
        runner.kill(trouble.signal ?? 'SIGKILL', of);
        return;
      case 'oom':
        runner.kill('SIGKILL', { ...of, outcome: { reason: 'OOMKilled', exitCode: 137 } });
        return;
      case 'evict':
      case 'exceed-disk':
        await evict(pod, runner, trouble);
        return;
      case 'preempt':
      case 'drain':
        if (trouble.kind === 'drain') cordon(store, nodeName);
        for (const each of trouble.kind === 'drain' ? podsOn(nodeName) : [pod]) {
          markDisrupted(registry, each, trouble.kind);
          registry.delete(keyOf('pods', each));
        }
        return;
      case 'shutdown':
        await Promise.all(podsOn(nodeName).map((each) => shutDown(each)));
        return;
      case 'lose-node': {
        lost.add(nodeName);
        const { goneMs } = trouble;
        await Promise.all(podsOn(nodeName).map(async ({ metadata }) => runners.get(metadata.uid)?.vanish()));
        loseNode(registry, nodeName);
        const gone = (): void => nodeGone(nodeName);
        if (goneMs !== undefined) timers.add(setTimeout(gone, goneMs));
        return;
      }
      case 'lose-sandbox':
        runner.loseSandbox(trouble.isRerun === true);
        return;
      case 'rotate-log': {
        const log = runner.log(container ?? '');
        log?.rotate();
        if (trouble.endsFollowers === true) log?.endFollowers();
        return;
      }
    }
  }

  async function evict(
    pod: Pod,
    runner: PodRunner,
    trouble: Extract<Trouble, { kind: 'evict' | 'exceed-disk' }>,
  ): Promise<void> {
    const isDisk = trouble.kind === 'exceed-disk';
    const message = isDisk
      ? `Usage of EmptyDir volume "${trouble.volume ?? 'work'}" exceeds the limit "${trouble.limit ?? '1Gi'}". `
      : `The node was low on resource: ${trouble.resource}. Threshold quantity: 100Mi, available: 81920Ki. `;
    const recorder = openRecorder(store, {
      now: registry.now,
      source: { component: 'kubelet', host: pod.spec.nodeName ?? '' },
    });
    recorder.event(pod, { type: 'Warning', reason: 'Evicted', message });
    const exitCode = isDisk ? trouble.exitCode : undefined;
    await runner.terminate({
      graceMs: DISK_GRACE_SECONDS * secondMs,
      verdict: {
        reason: 'Evicted',
        message,
        // Over its own limit, the pod is no disruption's target.
        ...(isDisk
          ? { isForced: trouble.phase === 'Failed' }
          : { condition: disruption(registry, 'TerminationByKubelet', message) }),
      },
      ...(exitCode === undefined ? {} : { outcome: { exitCode } }),
    });
  }

  async function shutDown(pod: Pod): Promise<void> {
    const runner = runners.get(pod.metadata.uid);
    await runner?.terminate({ graceMs: DISK_GRACE_SECONDS * secondMs, verdict: nodeShutdown(registry) });
  }

  function nodeGone(nodeName: string): void {
    store.remove({ resource: 'nodes', namespace: '', name: nodeName });
    for (const pod of podsOn(nodeName)) {
      markDisrupted(registry, pod, 'node-gone');
      registry.delete(keyOf('pods', pod), { gracePeriodSeconds: 0 });
    }
  }

  function podsOn(nodeName: string): Pod[] {
    return store.list('pods').filter((pod) => pod.spec.nodeName === nodeName && !hasEnded(pod));
  }

  function follow(end: Promise<void>): void {
    ends.add(end);
    void end.finally(() => ends.delete(end));
  }

  return {
    log(pod, container) {
      const { nodeName = '' } = pod.spec;
      if (lost.has(nodeName)) {
        const { namespace, name } = pod.metadata;
        const address = 'dial tcp 127.0.0.1:10250: connect: connection refused';
        throw failure(
          500,
          `Get "https://${nodeName}:10250/containerLogs/${namespace}/${name}/${container}": ${address}`,
        );
      }
      return runners.get(pod.metadata.uid)?.log(container);
    },
    order: (order) => orders.add(order),
    trouble: apply,
    async close() {
      loop.close();
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([...runners.values()].map((runner) => runner.vanish()));
      await Promise.all(ends);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function hasEnded({ status }: Pod): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}
