/** The status of a pod, of what is known of its containers; pkg/kubelet/kubelet_pods.go and pkg/kubelet/status of 1.34. */
import type { Condition, ContainerState, ContainerStatus, Container, Pod, PodStatus, Terminated } from './objects.ts';

export interface ContainerRecord {
  readonly container: Container;
  readonly isInit: boolean;
  state: ContainerState;
  restartCount: number;
  image: string;
  imageID: string;
  containerID: string | undefined;
}

/** What overrides the phase that the containers give. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
  readonly condition?: Condition;
  /** Failed, even where every container exited 0. */
  readonly isForced?: boolean;
}

export interface StatusInput {
  readonly records: readonly ContainerRecord[];
  readonly startTime: string;
  readonly now: string;
  /** Set once nothing of the pod will run any more. */
  readonly isOver: boolean;
  /** Set once the kubelet ends it: until all of it has ended, its phase is not a last one. */
  readonly isEnding: boolean;
  readonly verdict: Verdict | undefined;
  readonly podIP: string;
}

export function podStatus(pod: Pod, input: StatusInput): PodStatus {
  const { records, startTime, isOver, verdict, podIP } = input;
  const inits = records.filter(({ isInit }) => isInit);
  const mains = records.filter(({ isInit }) => !isInit);
  const phase = phaseOf(inits, mains, input);
  const isTold = isOver && verdict !== undefined && phase === 'Failed';
  const kept = pod.status.conditions?.filter(({ type }) => type === 'DisruptionTarget') ?? [];
  const disruption = verdict?.condition === undefined ? kept : [verdict.condition];
  return {
    phase,
    ...(isTold ? { reason: verdict.reason, message: verdict.message } : {}),
    conditions: [...disruption, ...conditionsOf(pod, { inits, mains, phase, now: input.now })],
    hostIP: '127.0.0.1',
    podIP,
    startTime,
    ...(pod.status.qosClass === undefined ? {} : { qosClass: pod.status.qosClass }),
    ...(inits.length === 0 ? {} : { initContainerStatuses: inits.map(statusOf) }),
    containerStatuses: mains.map(statusOf),
  };
}

/** What the kubelet says of containers that were running when it lost sight of them. */
export function lostState(message: string): { terminated: Terminated } {
  return {
    terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message, startedAt: null, finishedAt: null },
  };
}

function phaseOf(
  inits: readonly ContainerRecord[],
  mains: readonly ContainerRecord[],
  { isOver, isEnding, verdict }: StatusInput,
): PodStatus['phase'] {
  if (isOver && verdict?.isForced === true) return 'Failed';
  const before = mains.some(({ state }) => state.waiting !== undefined) ? 'Pending' : 'Running';
  if (isEnding && !isOver) return before;
  const codes = (records: readonly ContainerRecord[]): (number | undefined)[] =>
    records.map(({ state }) => state.terminated?.exitCode);
  if (codes(inits).some((code) => code !== undefined && code !== 0)) return 'Failed';
  if (codes(mains).every((code) => code !== undefined)) {
    return codes(mains).every((code) => code === 0) ? 'Succeeded' : 'Failed';
  }
  return isOver ? 'Failed' : before;
}

function statusOf({
  container,
  isInit,
  state,
  restartCount,
  image,
  imageID,
  containerID,
}: ContainerRecord): ContainerStatus {
  return {
    name: container.name,
    state: structuredClone(state),
    lastState: {},
    ready: isInit ? state.terminated?.exitCode === 0 : state.running !== undefined,
    restartCount,
    image,
    imageID,
    ...(containerID === undefined ? {} : { containerID }),
    started: state.running !== undefined,
  };
}

function conditionsOf(
  pod: Pod,
  given: {
    inits: readonly ContainerRecord[];
    mains: readonly ContainerRecord[];
    phase: PodStatus['phase'];
    now: string;
  },
): Condition[] {
  const { inits, mains, phase, now } = given;
  const names = (records: readonly ContainerRecord[]): string =>
    `[${records.map(({ container }) => container.name).join(' ')}]`;
  const incomplete = inits.filter(({ state }) => state.terminated?.exitCode !== 0);
  const unready = mains.filter(({ state }) => state.running === undefined);
  const isOver = phase === 'Succeeded' || phase === 'Failed';
  const notReady =
    phase === 'Succeeded'
      ? { reason: 'PodCompleted' }
      : phase === 'Failed'
        ? { reason: 'PodFailed' }
        : { reason: 'ContainersNotReady', message: `containers with unready status: ${names(unready)}` };
  const initialized =
    phase === 'Succeeded'
      ? { reason: 'PodCompleted' }
      : { reason: 'ContainersNotInitialized', message: `containers with incomplete status: ${names(incomplete)}` };
  const make = (type: string, isTrue: boolean, why: { reason?: string; message?: string } = {}): Condition => {
    const status = isTrue ? 'True' : 'False';
    const before = pod.status.conditions?.find((each) => each.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
    return { type, status, lastProbeTime: null, lastTransitionTime, ...why };
  };
  const isReady = !isOver && unready.length === 0;
  const hasStarted = [...inits, ...mains].some(({ containerID }) => containerID !== undefined);
  return [
    make('PodReadyToStartContainers', hasStarted && !isOver),
    make(
      'Initialized',
      incomplete.length === 0,
      incomplete.length === 0 ? (phase === 'Succeeded' ? initialized : {}) : initialized,
    ),
    make('Ready', isReady, isReady ? {} : notReady),
    make('ContainersReady', isReady, isReady ? {} : notReady),
    make('PodScheduled', true),
  ];
}
