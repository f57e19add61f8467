/** Requests for objects: one answer each. */
import type { CallOptions, KubernetesApi, ObjectList, SelectOptions } from './api.ts';
import { checkedObject, checkedPage, parseAnswer } from './answers.ts';
import type { Asked } from './api-errors.ts';
import { Expired, missing, notKubernetes, NotThere } from './api-errors.ts';
import type { Asker } from './ask.ts';
import { readBounded } from './bounded-lines.ts';
import type { ApiAnswer } from './connection.ts';
import type { CollectionRef, KubernetesObject, ResourceRef } from './resources.ts';
import { pathOf, selection, withQuery } from './resources.ts';
import { printable } from './server-text.ts';

export interface RequestsOptions extends Asker {
  readonly context: string;
  readonly silenceMs: number;
}

interface Write extends CallOptions {
  readonly asked: Asked;
  readonly content: object;
  readonly isRepeatable: boolean;
  readonly isDryRun?: boolean;
}

/** Objects in one answer. */
const PAGE = 500;
const ANSWER_BYTES = 64 << 20;
const LIST_BYTES = 256 << 20;
const MANAGER = 'mlv';

export function createRequests(
  options: RequestsOptions,
): Pick<KubernetesApi, 'version' | 'get' | 'list' | 'create' | 'patch' | 'delete'> {
  const { ask, context, silenceMs } = options;

  async function readJson(answer: ApiAnswer, most = ANSWER_BYTES): Promise<{ value: object; bytes: number }> {
    const tooLarge = (): Error => notKubernetes(context, 'it sends more than mlv takes');
    const body = await readBounded(answer.body, most, tooLarge);
    return { value: parseAnswer(body, context), bytes: body.length };
  }

  async function write<T>(method: 'POST' | 'PATCH', request: Write): Promise<T> {
    const { asked, content, isRepeatable, isDryRun = false, signal } = request;
    const query = { fieldManager: MANAGER, fieldValidation: 'Strict', dryRun: isDryRun ? 'All' : undefined };
    const path = withQuery(pathOf(asked.collection, asked.name), query);
    const headers = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
    const body = JSON.stringify(content);
    const { value } = await thatIsThere(asked, () =>
      ask({ asked, method, path, headers, body, silenceMs, isRepeatable, signal }, (answer) => readJson(answer)),
    );
    return value as T;
  }

  async function thatIsThere<T>(asked: Asked, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      throw error instanceof NotThere ? missing(asked, context, error.message) : error;
    }
  }

  async function listBy<T extends KubernetesObject>(
    collection: CollectionRef,
    { selector, signal, limit }: SelectOptions & { readonly limit: number | undefined },
  ): Promise<ObjectList<T>> {
    const asked: Asked = { verb: 'list', collection };
    const items: T[] = [];
    let left = LIST_BYTES;
    for (let next: string | undefined; ;) {
      const path = withQuery(pathOf(collection), { ...selection(selector), limit, continue: next });
      const request = { asked, method: 'GET', path, silenceMs, isRepeatable: true, signal } as const;
      const { value, bytes } = await thatIsThere(asked, () =>
        ask(request, (answer) => readJson(answer, Math.min(ANSWER_BYTES, left))),
      );
      const page = checkedPage<T>(value, context);
      left -= bytes;
      items.push(...page.items);
      next = page.next;
      if (next === undefined) return { items, resourceVersion: page.resourceVersion };
    }
  }

  return {
    async version({ signal } = {}) {
      const collection = { group: '', version: '', plural: 'version', namespace: undefined };
      const asked: Asked = { verb: 'get', collection };
      const request = { asked, method: 'GET', path: '/version', silenceMs, isRepeatable: true, signal } as const;
      const { value } = await thatIsThere(asked, () => ask(request, (answer) => readJson(answer)));
      const { gitVersion } = value as { readonly gitVersion?: unknown };
      if (typeof gitVersion !== 'string') throw notKubernetes(context, 'it does not tell its version');
      return printable(gitVersion);
    },

    async get<T extends KubernetesObject>({ name, ...collection }: ResourceRef, { signal }: CallOptions = {}) {
      const asked: Asked = { verb: 'get', collection, name };
      const request = { asked, method: 'GET', path: pathOf(collection, name), silenceMs, isRepeatable: true } as const;
      try {
        const { value } = await ask({ ...request, signal }, (answer) => readJson(answer));
        return checkedObject(value, context) as T;
      } catch (error) {
        if (error instanceof NotThere) return undefined;
        throw error;
      }
    },

    async list(collection, { selector, signal } = {}) {
      for (const limit of [PAGE, PAGE]) {
        try {
          return await listBy(collection, { selector, signal, limit });
        } catch (error) {
          if (!(error instanceof Expired)) throw error;
        }
      }
      // Its pages take longer than the server remembers the state that they are of.
      return listBy(collection, { selector, signal, limit: undefined });
    },

    create(collection, object, { isDryRun = false, signal } = {}) {
      // Of a given name there will be one at most, and of what is only asked about, none.
      const isRepeatable = isDryRun || nameOf(object) !== undefined || collection.plural.endsWith('reviews');
      const asked: Asked = { verb: 'create', collection };
      return write('POST', { asked, content: object, isRepeatable, isDryRun, signal });
    },

    async patch<T extends KubernetesObject>(
      { name, ...collection }: ResourceRef,
      patch: object,
      { signal }: CallOptions = {},
    ) {
      const asked: Asked = { verb: 'patch', collection, name };
      const object = await write('PATCH', { asked, content: patch, isRepeatable: true, signal });
      return checkedObject(object, context) as T;
    },

    async delete({ name, ...collection }, { propagationPolicy = 'Background', uid, resourceVersion, signal } = {}) {
      const asked: Asked = { verb: 'delete', collection, name };
      const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
      const body = JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy, preconditions });
      const headers = { 'content-type': 'application/json' };
      const path = pathOf(collection, name);
      try {
        const request = {
          asked,
          method: 'DELETE',
          path,
          headers,
          body,
          silenceMs,
          isRepeatable: true,
          signal,
        } as const;
        await ask(request, (answer) => readJson(answer));
        return true;
      } catch (error) {
        if (error instanceof NotThere) return false;
        throw error;
      }
    },
  };
}

function nameOf(object: object): string | undefined {
  const { metadata } = object as { readonly metadata?: { readonly name?: string } };
  return metadata?.name;
}
