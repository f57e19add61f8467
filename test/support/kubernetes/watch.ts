/** Lists and watches: versions, selectors, pages and bookmarks as apiserver's cacher of 1.34 answers. */
import type { KubeObject } from './objects.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import { fieldMatcher, labelMatcher, type Matcher } from './selectors.ts';
import { expired, failure, listHead } from './status.ts';
import type { Change, Store } from './store.ts';
import type { Stream } from './stream.ts';
import type { Target } from './target.ts';

export interface WatchTiming {
  /** Between bookmarks. */
  readonly bookmarkMs: number;
  /** How long a second of `timeoutSeconds` takes. */
  readonly secondMs: number;
}

const CONTINUE_TOO_OLD =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue ' +
  'parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token ' +
  'results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and ' +
  'now may show up in the list.';

/** A page of a collection; all pages show it as it was at the first one. */
export function listPage(store: Store, { type, namespace, query }: Target): unknown {
  const matches = matcherOf(type, query);
  const limit = Number(query.get('limit') ?? 0);
  const token = query.get('continue') ?? '';
  const asked = Number(query.get('resourceVersion') ?? 0);
  if (Number.isNaN(asked)) throw failure(400, `invalid resource version "${query.get('resourceVersion')}"`);
  if (asked > store.version) {
    const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
    const message = `Too large resource version: ${asked}, current: ${store.version}`;
    throw failure(504, message, { details: { causes, retryAfterSeconds: 1 } });
  }
  const from = token === '' ? { version: store.version, after: '' } : readToken(token);
  if (from.version < store.compacted && from.version !== store.version) {
    const next = writeToken({ version: store.version, after: from.after });
    throw failure(410, CONTINUE_TOO_OLD, { next });
  }
  const all = store
    .list(type.name, { ...(namespace === '' ? {} : { namespace }), version: from.version })
    .filter((object) => matches(object) && placeOf(object) > from.after);
  const page = limit > 0 ? all.slice(0, limit) : all;
  const last = page.at(-1);
  const isMore = page.length < all.length && last !== undefined;
  const isSelected = query.has('labelSelector') || query.has('fieldSelector');
  return {
    ...listHead(type),
    metadata: {
      resourceVersion: String(from.version),
      ...(isMore ? { continue: writeToken({ version: from.version, after: placeOf(last) }) } : {}),
      ...(isMore && !isSelected ? { remainingItemCount: all.length - page.length } : {}),
    },
    // What is the same for all items is told once, by the list.
    items: page.map((item) => ({ ...item, apiVersion: undefined, kind: undefined })),
  };
}

/** Whether objects are in what a list or watch asked for. Throws 400 for a selector that cannot be read. */
function matcherOf({ name }: ResourceType, query: URLSearchParams): Matcher {
  const byLabel = labelMatcher(query.get('labelSelector') ?? '');
  const byField = fieldMatcher(query.get('fieldSelector') ?? '', name);
  return (object) => byLabel(object) && byField(object);
}

/** Checks what a watch asks for before it is answered, and gives what then feeds its stream. */
export function prepareWatch(
  store: Store,
  { type, namespace, query }: Target,
  timing: WatchTiming,
): (stream: Stream) => void {
  const matches = matcherOf(type, query);
  const asked = query.get('resourceVersion') ?? '';
  const from = Number(asked);
  if (Number.isNaN(from)) throw failure(400, `strconv.ParseUint: parsing "${asked}": invalid syntax`);
  const isInside = (object: KubeObject | undefined): object is KubeObject =>
    object !== undefined && (namespace === '' || object.metadata.namespace === namespace) && matches(object);

  return (stream) => {
    const send = (kind: string, object: unknown): void => stream.send(`${JSON.stringify({ type: kind, object })}\n`);
    const tell = ({ object, previous, type: happened }: Change): void => {
      const was = happened !== 'ADDED' && isInside(previous);
      const is = happened !== 'DELETED' && isInside(object);
      if (was || is) send(is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED', object);
    };
    const bookmark = (): void => {
      if (query.get('allowWatchBookmarks') !== 'true') return;
      const metadata = { resourceVersion: String(store.version), creationTimestamp: null };
      send('BOOKMARK', { kind: type.kind, apiVersion: apiVersionOf(type), metadata });
    };
    if (asked === '' || from === 0) {
      for (const object of store.list(type.name)) if (isInside(object)) send('ADDED', object);
    } else if (from < store.compacted) {
      // Told within the stream: a watch that was let in is not refused any more.
      send('ERROR', expired(from, store.compacted + 1).body);
      stream.end();
      return;
    } else for (const change of store.since(from, type.name)) tell(change);
    const stop = store.onChange((change) => {
      if (change.resource === type.name && change.version > from) tell(change);
    });
    const bookmarks = setInterval(bookmark, timing.bookmarkMs);
    const seconds = Number(query.get('timeoutSeconds') ?? 1800);
    const timeout = setTimeout(() => {
      bookmark();
      stream.end();
    }, seconds * timing.secondMs);
    stream.onEnd(() => {
      stop();
      clearInterval(bookmarks);
      clearTimeout(timeout);
    });
  };
}

function placeOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

interface Place {
  readonly version: number;
  readonly after: string;
}

function writeToken(place: Place): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', ...place })).toString('base64url');
}

function readToken(token: string): Place {
  try {
    const { version, after } = JSON.parse(Buffer.from(token, 'base64url').toString()) as Place;
    return { version, after };
  } catch {
    throw failure(400, 'continue key is not valid: invalid character');
  }
}
