import { MlvError } from '../../domain/errors.ts';
import { TransientError } from '../../storage/transient-error.ts';
import type { KubernetesApi } from './api.ts';
import { linePieces } from './bounded-lines.ts';
import { isPassing } from './follow.ts';
import { createLogWindow } from './log-window.ts';
import type { KubernetesObject, ResourceRef } from './resources.ts';
import { pause, pauseMs } from './retry.ts';
import { printable } from './server-text.ts';

/** A line, or a piece of a long one. */
export interface LogPiece {
  /** When the line was written, as the node says: ISO 8601 with nanoseconds. */
  readonly time: string;
  /** As the container wrote them, without the line's end. */
  readonly bytes: Buffer;
  /** False where more of the same line follows. */
  readonly isEnd: boolean;
}

export interface FollowLogsOptions {
  readonly pod: ResourceRef;
  /** Another pod of the same name is not followed. */
  readonly uid: string;
  readonly container: string;
  readonly signal: AbortSignal;
  /** Told when the log cannot be read; it goes on being asked for. */
  readonly onTrouble?: ((error: MlvError) => void) | undefined;
  /** Milliseconds of silence after which the connection is taken for dead: a container may have nothing to say for hours. */
  readonly silenceMs?: number;
}

interface Pod extends KubernetesObject {
  readonly status?: {
    readonly phase?: string;
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

type ContainerState = 'waiting' | 'running' | 'ended' | 'gone';

interface ContainerStatus {
  readonly name: string;
  readonly state?: { readonly running?: object; readonly terminated?: object };
}

const SILENCE_MS = 5 * 60_000;
const PIECE_BYTES = 64 << 10;
/** The log of a container that has ended, on a node that does not answer, may be lost. */
const LAST_TRIES = 3;
const WAIT_MS = 1_000;
const NOT_THERE = new Set(['kubernetes-missing', 'kubernetes-refused']);
const TIMED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))(?: |$)/;
const LONGEST_TIME = 40;

/**
 * Gives all that a container writes, once and in order, until it has ended or its pod is gone; waits for one that has not begun. Cut
 * connections, rotated logs and silence for hours do no harm. What could be lost: what a node rotates away while it cannot be reached,
 * and what is written after its clock was set back, when the connection is cut just then. Throws the signal's reason, and what waiting does
 * not mend.
 */
export async function* followLogs(api: KubernetesApi, options: FollowLogsOptions): AsyncGenerator<LogPiece> {
  const { pod, signal, onTrouble } = options;
  const window = createLogWindow();
  /** The last piece, where its line has not ended. */
  let open: LogPiece | undefined;
  for (let failures = 0; ;) {
    let state: ContainerState = 'waiting';
    try {
      // Looked at first: what is read of a container that has ended is all there is.
      state = stateOf(await api.get<Pod>(pod, { signal }), options);
      if (state === 'running' || state === 'ended') {
        let isUseful = false;
        window.restart();
        for await (const { isStart, ...piece } of readLog(api, options, {
          since: window.since(),
          isLast: state === 'ended',
        })) {
          if (!window.isNew(piece.time, piece.bytes)) continue;
          // The rest of a line may have been rotated away.
          if (open !== undefined && isStart) yield endOf(open);
          open = piece.isEnd ? undefined : piece;
          isUseful = true;
          yield piece;
        }
        failures = isUseful ? 0 : failures + 1;
      }
      if (state === 'gone' || state === 'ended') break;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Silent) continue;
      failures += 1;
      // It has not begun yet, or the node has removed it.
      const isNotThere = error instanceof MlvError && NOT_THERE.has(error.code);
      if (!isNotThere && !(error instanceof TransientError) && !isPassing(error, failures)) throw error;
      if (!isNotThere && error instanceof MlvError) onTrouble?.(error);
      if (state === 'ended' && (isNotThere || failures >= LAST_TRIES)) break;
    }
    await pause(state === 'waiting' ? WAIT_MS : pauseMs(failures), signal);
  }
  if (open !== undefined) yield endOf(open);
}

function endOf({ time }: LogPiece): LogPiece {
  return { time, bytes: Buffer.alloc(0), isEnd: true };
}

function stateOf(pod: Pod | undefined, { uid, container }: FollowLogsOptions): ContainerState {
  if (pod?.metadata.uid !== uid) return 'gone';
  const { phase, initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const { running, terminated } =
    [...initContainerStatuses, ...containerStatuses].find(({ name }) => name === container)?.state ?? {};
  if (terminated !== undefined || phase === 'Succeeded' || phase === 'Failed') return 'ended';
  return running === undefined ? 'waiting' : 'running';
}

async function* readLog(
  api: KubernetesApi,
  { pod, container, signal, onTrouble, silenceMs = SILENCE_MS }: FollowLogsOptions,
  { since, isLast }: { readonly since: string | undefined; readonly isLast: boolean },
): AsyncGenerator<LogPiece & { readonly isStart: boolean }> {
  const stop = new AbortController();
  const forward = (): void => stop.abort(signal.reason);
  if (signal.aborted) forward();
  signal.addEventListener('abort', forward, { once: true });
  let late: NodeJS.Timeout | undefined;

  /** Only waiting for bytes is silence, not waiting for whoever takes them. */
  async function* bytesOf(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const wait = (): void => {
      late = setTimeout(() => stop.abort(new Silent()), silenceMs);
    };
    wait();
    for await (const piece of body) {
      clearTimeout(late);
      yield piece;
      wait();
    }
  }

  try {
    const request = { container, isFollowing: !isLast, sinceTime: since, hasTimestamps: true, signal: stop.signal };
    let time: string | undefined;
    let isStart = true;
    for await (const { bytes, isEnd } of linePieces(bytesOf(api.logs(pod, request)), PIECE_BYTES)) {
      const isCut = !isEnd && bytes.length < PIECE_BYTES;
      if (isCut && !isLast) return;
      const stamp = isStart ? TIMED.exec(bytes.toString('latin1', 0, LONGEST_TIME)) : null;
      if (isStart) time = stamp?.[1];
      if (time !== undefined)
        yield { time, bytes: bytes.subarray(stamp?.[0].length ?? 0), isEnd: isEnd || isCut, isStart };
      else if (isStart) onTrouble?.(notice(pod, container, bytes));
      isStart = isEnd;
    }
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', forward);
    stop.abort();
  }
}

/** What the node says in place of the log has no time. */
function notice(pod: ResourceRef, container: string, bytes: Buffer): MlvError {
  return new MlvError({
    code: 'kubernetes-logs-unreadable',
    kind: 'io',
    message: `the node of the pod "${pod.name}" says in place of the log of "${container}": ${printable(bytes.toString('utf8'))}`,
  });
}

class Silent extends Error {}
