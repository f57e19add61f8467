/** Answers without an end of their own: watches and logs. */
import { TransientError } from '../../storage/transient-error.ts';
import type { CallOptions, KubernetesApi, WatchEvent, WatchOptions } from './api.ts';
import { checkedEvent, parseAnswer } from './answers.ts';
import type { Asked } from './api-errors.ts';
import { Expired, missing, notKubernetes, NotThere } from './api-errors.ts';
import type { AskOptions } from './ask.ts';
import { linePieces } from './bounded-lines.ts';
import type { ApiAnswer } from './connection.ts';
import type { RequestsOptions } from './requests.ts';
import type { CollectionRef, KubernetesObject } from './resources.ts';
import { pathOf, selection, withQuery } from './resources.ts';

export interface StreamsOptions extends RequestsOptions {
  /** Seconds after which the server is to end a watch, more or less; it is ended here when it then is silent. */
  readonly watchSeconds: number;
}

/** Far more than etcd takes. */
const EVENT_BYTES = 16 << 20;

export function createStreams(options: StreamsOptions): Pick<KubernetesApi, 'watch' | 'logs'> {
  const { ask, context, silenceMs, watchSeconds } = options;

  async function open(request: Omit<AskOptions, 'method' | 'isRepeatable'>): Promise<ApiAnswer> {
    try {
      return await ask({ ...request, method: 'GET', isRepeatable: true, isStream: true }, async (answer) => answer);
    } catch (error) {
      throw error instanceof NotThere ? missing(request.asked, context, error.message) : error;
    }
  }

  async function* eventsOf<T extends KubernetesObject>(answer: ApiAnswer): AsyncGenerator<WatchEvent<T>> {
    for await (const { bytes, isEnd } of linePieces(answer.body, EVENT_BYTES)) {
      if (!isEnd && bytes.length < EVENT_BYTES) return; // cut off
      if (!isEnd) throw notKubernetes(context, 'it sends an event that is larger than mlv takes');
      const event = checkedEvent<T>(parseAnswer(bytes, context), context);
      yield event;
      if (event.type === 'EXPIRED') return;
    }
  }

  return {
    async *watch<T extends KubernetesObject>(
      collection: CollectionRef,
      { selector, resourceVersion, signal }: WatchOptions,
    ): AsyncGenerator<WatchEvent<T>> {
      const asked: Asked = { verb: 'watch', collection };
      // All the watches that one moment began are not to end in one moment.
      const timeoutSeconds = Math.ceil(watchSeconds * (0.8 + 0.4 * Math.random()));
      const bounds = { resourceVersion, allowWatchBookmarks: true, timeoutSeconds };
      const path = withQuery(pathOf(collection), { ...selection(selector), watch: true, ...bounds });
      const { signal: stop, release } = deadline(timeoutSeconds * 1000 + silenceMs, { signal });
      let answer: ApiAnswer | undefined;
      try {
        answer = await open({ asked, path, silenceMs, signal: stop });
        yield* eventsOf<T>(answer);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof Expired) yield { type: 'EXPIRED' };
        else if (!stop.aborted && !(error instanceof TransientError)) throw error;
      } finally {
        release();
        answer?.discard();
      }
    },

    async *logs({ name, ...collection }, { container, isFollowing = false, sinceTime, hasTimestamps, signal }) {
      const asked: Asked = { verb: 'get', collection, name, subresource: 'log' };
      const query = { container, follow: isFollowing, sinceTime, timestamps: hasTimestamps };
      const path = withQuery(pathOf(collection, name, 'log'), query);
      // Of a container that is silent not even the head of the answer may come, for hours.
      const answer = await open({ asked, path, silenceMs: isFollowing ? undefined : silenceMs, signal });
      try {
        yield* answer.body;
      } finally {
        answer.discard();
      }
    },
  };
}

/** A signal that is aborted with the given one, or after so long. */
function deadline(ms: number, { signal }: CallOptions): { signal: AbortSignal; release: () => void } {
  const stop = new AbortController();
  const forward = (): void => stop.abort(signal?.reason);
  const late = setTimeout(() => stop.abort(), ms);
  if (signal?.aborted === true) forward();
  signal?.addEventListener('abort', forward, { once: true });
  return {
    signal: stop.signal,
    release() {
      clearTimeout(late);
      signal?.removeEventListener('abort', forward);
    },
  };
}
