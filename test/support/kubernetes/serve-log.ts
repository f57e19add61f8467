/** `pods/log`: which container, which lines, and why there are none; pkg/registry/core/pod and pkg/kubelet of 1.34. */
import type { ContainerLog, LogLine } from './container-log.ts';
import type { ContainerStatus, Pod } from './objects.ts';
import { failure } from './status.ts';
import type { Stream } from './stream.ts';
import type { Target } from './target.ts';

/** What a kubelet has of a container; throws where it cannot be reached. */
export type LogSource = (pod: Pod, container: string) => ContainerLog | undefined;

/** Checks what is asked for before it is answered, and gives what then feeds the stream; undefined for a pod that is on no node. */
export function prepareLog(pod: Pod, { query }: Target, source: LogSource): ((stream: Stream) => void) | undefined {
  const container = containerOf(pod, query.get('container') ?? '');
  const wanted = wantedLines(query);
  if ((pod.spec.nodeName ?? '') === '') return undefined;
  if (query.get('previous') === 'true') {
    throw failure(400, `previous terminated container "${container}" in pod "${pod.metadata.name}" not found`);
  }
  requireStarted(pod, container);
  const log = source(pod, container);
  if (log === undefined) throw failure(500, `failed to try resolving symlinks in path of the log of "${container}"`);
  const isFollowed = query.get('follow') === 'true';
  const text = ({ time, text: words, isPartial }: LogLine): string =>
    `${query.get('timestamps') === 'true' ? `${time} ` : ''}${words}${isPartial ? '' : '\n'}`;

  return (stream) => {
    const tail = query.has('tailLines') ? Number(query.get('tailLines')) : undefined;
    const lines = log.lines.filter(wanted);
    for (const line of tail === undefined ? lines : lines.slice(Math.max(lines.length - tail, 0)))
      stream.send(text(line));
    if (!isFollowed || log.isClosed) {
      stream.end();
      return;
    }
    const stop = log.onLine((line) => {
      if (line === undefined) stream.end();
      else if (wanted(line)) stream.send(text(line));
    });
    stream.onEnd(stop);
  };
}

function containerOf(pod: Pod, asked: string): string {
  const { name } = pod.metadata;
  const containers = pod.spec.containers.map((each) => each.name);
  const inits = (pod.spec.initContainers ?? []).map((each) => each.name);
  if (asked !== '') {
    if (![...containers, ...inits].includes(asked))
      throw failure(400, `container ${asked} is not valid for pod ${name}`);
    return asked;
  }
  const [first = ''] = containers;
  if (containers.length === 1 && inits.length === 0) return first;
  const others = inits.length === 0 ? '' : ` or one of the init containers: [${inits.join(' ')}]`;
  throw failure(
    400,
    `a container name must be specified for pod ${name}, choose one of: [${containers.join(' ')}]${others}`,
  );
}

function requireStarted(pod: Pod, container: string): void {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status;
  const found: ContainerStatus | undefined = [...initContainerStatuses, ...containerStatuses].find(
    ({ name }) => name === container,
  );
  const subject = `container "${container}" in pod "${pod.metadata.name}"`;
  if (found === undefined) throw failure(400, `${subject} is not available`);
  const { waiting, terminated } = found.state;
  if (terminated !== undefined && found.containerID === undefined) throw failure(400, `${subject} is terminated`);
  if (waiting === undefined || found.lastState.terminated !== undefined) return;
  const why: Readonly<Record<string, string>> = {
    ErrImagePull: "image can't be pulled",
    ImagePullBackOff: 'trying and failing to pull image',
  };
  throw failure(400, `${subject} is waiting to start: ${why[waiting.reason] ?? waiting.reason}`);
}

function wantedLines(query: URLSearchParams): (line: LogLine) => boolean {
  const sinceTime = query.get('sinceTime');
  const sinceSeconds = query.get('sinceSeconds');
  if (sinceTime !== null && sinceSeconds !== null) {
    throw failure(
      422,
      'PodLogOptions "" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    );
  }
  if (sinceSeconds !== null) {
    const since = new Date(Date.now() - Number(sinceSeconds) * 1000).toISOString();
    return ({ time }) => time >= since;
  }
  if (sinceTime === null) return () => true;
  const [, seconds, fraction = ''] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/.exec(sinceTime) ?? [];
  if (seconds === undefined) {
    throw failure(
      400,
      `parsing time "${sinceTime}" as "2006-01-02T15:04:05Z07:00": cannot parse "${sinceTime}" as "2006"`,
    );
  }
  const since = `${seconds}.${fraction.padEnd(9, '0')}Z`;
  return ({ time }) => time >= since;
}
