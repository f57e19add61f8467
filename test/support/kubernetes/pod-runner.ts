/** One pod on a node: its containers in their order, its status, and its end; kubelet 1.34 for pods that are never restarted. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Launch, type LaunchContext, launchOf } from './container-launch.ts';
import { type ContainerLog, openContainerLog } from './container-log.ts';
import { type ContainerProcess, startErrorMessage, startProcess } from './container-process.ts';
import type { Recorder } from './events.ts';
import { type Container, type Pod, wholeSeconds } from './objects.ts';
import { type ContainerRecord, lostState, podStatus, type Verdict } from './pod-status.ts';
import type { Registry } from './registry.ts';
import { MountError, openSandbox, type Sandbox } from './sandbox.ts';
import { type Key, keyOf } from './store.ts';
import { terminationMessage } from './termination-message.ts';
import type { Moment } from './troubles.ts';

export interface RunnerOptions extends LaunchContext {
  readonly registry: Registry;
  readonly recorder: Recorder;
  readonly root: string;
  readonly podIP: string;
  readonly secondMs: number;
  /** Told of whatever orders may wait for. */
  onMoment(moment: Moment): void;
}

/** How a container is said to have ended, whatever its process says. */
interface Outcome {
  readonly reason?: string;
  readonly exitCode?: number;
}

export interface PodRunner {
  readonly uid: string;
  readonly isOver: boolean;
  log(container: string): ContainerLog | undefined;
  /** Ends what runs, first kindly; says why in the status. Resolves once that is done. */
  terminate(how: { graceMs: number; verdict?: Verdict; outcome?: Outcome }): Promise<void>;
  /** Kills a container, or whichever runs. */
  kill(signal: NodeJS.Signals, of: { container?: string; outcome?: Outcome }): void;
  loseSandbox(isRerun: boolean): void;
  /** Ends everything, and says nothing. */
  vanish(): Promise<void>;
  removeFiles(): void;
}

interface Running extends ContainerRecord {
  log: ContainerLog | undefined;
  process: ContainerProcess | undefined;
  outcome: Outcome | undefined;
}

const TERMINATED = 'The container could not be located when the pod was terminated';

export function startPod(pod: Pod, options: RunnerOptions): PodRunner {
  const { registry, recorder, onMoment } = options;
  const { store, now } = registry;
  const key: Key<'pods'> = keyOf('pods', pod);
  const startTime = wholeSeconds(now());
  const inits = pod.spec.initContainers ?? [];
  const records = [
    ...inits.map((container) => newRecord(container, { isInit: true, hasInits: true })),
    ...pod.spec.containers.map((container) => newRecord(container, { isInit: false, hasInits: inits.length > 0 })),
  ];
  let sandbox: Sandbox | undefined;
  let verdict: Verdict | undefined;
  let isSilent = false;
  let isOver = false;
  let isRerunning = false;
  const stop = new AbortController();
  const deadline = pod.spec.activeDeadlineSeconds;
  const deadlineTimer = deadline === undefined ? undefined : setTimeout(pastDeadline, deadline * options.secondMs);
  const done = run();

  async function run(): Promise<void> {
    write();
    sandbox = await mount();
    do {
      isRerunning = false;
      await runContainers();
    } while (isRerunning && !stop.signal.aborted);
    clearTimeout(deadlineTimer);
    isOver = true;
    if (isSilent) return;
    const isInitialized = records.every(({ isInit, state }) => !isInit || state.terminated?.exitCode === 0);
    for (const record of records) {
      if (isInitialized && record.state.terminated === undefined) record.state = lostState(TERMINATED);
    }
    write();
  }

  async function runContainers(): Promise<void> {
    for (const record of records.filter(({ isInit }) => isInit)) {
      if ((await runContainer(record)) !== 0 || isHalted()) return;
    }
    await Promise.all(records.filter(({ isInit }) => !isInit).map(runContainer));
  }

  async function mount(): Promise<Sandbox | undefined> {
    while (!stop.signal.aborted) {
      try {
        return openSandbox(pod, { store, root: options.root });
      } catch (error) {
        if (!(error instanceof MountError)) throw error;
        recorder.event(pod, { type: 'Warning', reason: 'FailedMount', message: error.message });
      }
      await pause(options.retryMs);
    }
    return undefined;
  }

  /** The exit code; undefined where it was not started, or nobody is to know. */
  async function runContainer(record: Running): Promise<number | undefined> {
    const attempt = record.restartCount;
    const launch = await prepare(record);
    if (launch === undefined || sandbox === undefined || isHalted()) return undefined;
    const { name } = record.container;
    const log = openContainerLog();
    record.log = log;
    log.onLine((line) => {
      if (line !== undefined) onMoment({ pod: key.name, container: name, kind: 'line', line: line.text });
    });
    record.containerID = `containerd://${randomBytes(32).toString('hex')}`;
    tell('Created', `Created container: ${name}`, record);
    const startedAt = wholeSeconds(now());
    let process: ContainerProcess;
    try {
      process = await startProcess({ ...launch, log });
    } catch (error) {
      log.close();
      return startError(record, startErrorMessage(launch.command[0] ?? '', error));
    }
    record.process = process;
    record.state = { running: { startedAt } };
    write();
    tell('Started', `Started container ${name}`, record);
    onMoment({ pod: key.name, container: name, kind: 'start' });
    if (isHalted()) process.signal('SIGKILL');
    const ended = await process.exited;
    record.process = undefined;
    if (isSilent || record.restartCount !== attempt) return undefined;
    const exitCode = record.outcome?.exitCode ?? ended.exitCode;
    const reason = record.outcome?.reason ?? (exitCode === 0 ? 'Completed' : 'Error');
    const policy = record.container.terminationMessagePolicy;
    const message = terminationMessage(launch.terminationLog, { policy, exitCode, log });
    const containerID = record.containerID;
    record.state = {
      terminated: { exitCode, reason, ...message, startedAt, finishedAt: wholeSeconds(now()), containerID },
    };
    write();
    onMoment({ pod: key.name, container: name, kind: 'end' });
    return exitCode;
  }

  /** Waits for the image and for what the environment refers to. */
  async function prepare(record: Running): Promise<Launch | undefined> {
    const { container, restartCount } = record;
    if (sandbox === undefined) return undefined;
    const view = sandbox.enter(container, restartCount);
    for (let tries = 0; !isHalted(); tries++) {
      const found = await launchOf(pod, { container, view, tries }, options);
      for (const { type, reason, message } of found.events) tell(reason, message, record, type);
      if (found.launch !== undefined) {
        Object.assign(record, { image: container.image, imageID: found.launch.imageID });
        return found.launch;
      }
      for (const waiting of found.waiting) {
        record.state = { waiting };
        write();
        if (waiting !== found.waiting.at(-1)) await pause(options.retryMs);
      }
      await pause(found.retryMs);
    }
    return undefined;
  }

  function startError(record: Running, message: string): number {
    const { containerID } = record;
    const times = { startedAt: '1970-01-01T00:00:00Z', finishedAt: wholeSeconds(now()) };
    record.state = {
      terminated: {
        exitCode: 128,
        reason: 'StartError',
        message,
        ...times,
        ...(containerID === undefined ? {} : { containerID }),
      },
    };
    tell('Failed', `Error: ${message}`, record, 'Warning');
    write();
    return 128;
  }

  function tell(reason: string, message: string, { container, isInit }: Running, type?: 'Normal' | 'Warning'): void {
    const fieldPath = `spec.${isInit ? 'initContainers' : 'containers'}{${container.name}}`;
    recorder.event(pod, { reason, message, fieldPath, ...(type === undefined ? {} : { type }) });
  }

  function write(): void {
    if (isSilent) return;
    const current = store.get(key);
    if (current === undefined || current.metadata.uid !== pod.metadata.uid) return;
    const isEnding = stop.signal.aborted;
    const times = { startTime, now: wholeSeconds(now()) };
    const status = podStatus(current, { records, ...times, isOver, isEnding, verdict, podIP: options.podIP });
    store.change(key, (draft) => {
      draft.status = status;
    });
  }

  function isHalted(): boolean {
    return stop.signal.aborted || isRerunning;
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined);
  }

  async function terminate({ graceMs, verdict: why, outcome }: Parameters<PodRunner['terminate']>[0]): Promise<void> {
    verdict ??= why;
    stop.abort();
    for (const record of records) {
      if (record.process === undefined) continue;
      record.outcome ??= outcome;
      tell('Killing', `Stopping container ${record.container.name}`, record);
      record.process.signal(graceMs > 0 ? 'SIGTERM' : 'SIGKILL');
    }
    const timer = setTimeout(() => {
      for (const { process } of records) process?.signal('SIGKILL');
    }, graceMs);
    await done;
    clearTimeout(timer);
  }

  function pastDeadline(): void {
    const message = 'Pod was active on the node longer than the specified deadline';
    const graceMs = (pod.spec.terminationGracePeriodSeconds ?? 30) * options.secondMs;
    void terminate({ graceMs, verdict: { reason: 'DeadlineExceeded', message, isForced: true } });
  }

  return {
    uid: pod.metadata.uid,
    get isOver() {
      return isOver;
    },
    log: (name) => records.find(({ container }) => container.name === name)?.log,
    terminate,
    kill(signal, { container, outcome }) {
      for (const record of records) {
        if (record.process === undefined || (container !== undefined && record.container.name !== container)) continue;
        record.outcome = outcome;
        record.process.signal(signal);
      }
    },
    loseSandbox(isRerun) {
      recorder.event(pod, {
        reason: 'SandboxChanged',
        message: 'Pod sandbox changed, it will be killed and re-created.',
      });
      if (!isRerun) {
        void terminate({ graceMs: 0 });
        return;
      }
      isRerunning = true;
      for (const record of records) {
        record.process?.signal('SIGKILL');
        if (record.containerID === undefined) continue;
        record.restartCount++;
        record.state = { waiting: { reason: 'PodInitializing' } };
      }
      write();
    },
    async vanish() {
      isSilent = true;
      stop.abort();
      for (const { process } of records) process?.signal('SIGKILL');
      await done;
    },
    removeFiles: () => sandbox?.remove(),
  };
}

function newRecord(container: Container, { isInit, hasInits }: { isInit: boolean; hasInits: boolean }): Running {
  return {
    container,
    isInit,
    state: { waiting: { reason: hasInits ? 'PodInitializing' : 'ContainerCreating' } },
    restartCount: 0,
    image: container.image,
    imageID: '',
    containerID: undefined,
    log: undefined,
    process: undefined,
    outcome: undefined,
  };
}
