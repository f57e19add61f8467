/** What an API server answers: nothing of it is believed before it was looked at. */
import type { WatchEvent } from './api.ts';
import { notKubernetes } from './api-errors.ts';
import type { KubernetesObject } from './resources.ts';

type Entries = Readonly<Record<string, unknown>>;

export interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** What the next one is asked for by; undefined for the last. */
  readonly next: string | undefined;
}

/** Throws `kubernetes-answer-invalid` for what is not a JSON object. */
export function parseAnswer(bytes: Buffer, context: string): Entries {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw notKubernetes(context, 'it sends what is not JSON');
  }
  const entries = asEntries(value);
  if (entries === undefined) throw notKubernetes(context, 'it sends JSON that is not an object');
  return entries;
}

/** An object that is one, as far as everything here needs; what else is in it is for whoever reads it to check. */
export function checkedObject(value: unknown, context: string): KubernetesObject {
  const metadata = asEntries(asEntries(value)?.['metadata']);
  for (const field of ['name', 'uid', 'resourceVersion'])
    if (typeof metadata?.[field] !== 'string') throw notKubernetes(context, `it sends an object without ${field}`);
  return value as KubernetesObject;
}

export function checkedPage<T extends KubernetesObject>(value: unknown, context: string): Page<T> {
  const { metadata, items } = asEntries(value) ?? {};
  const { resourceVersion, continue: next } = asEntries(metadata) ?? {};
  // A list of nothing may be null.
  const list = items ?? [];
  if (!Array.isArray(list) || typeof resourceVersion !== 'string')
    throw notKubernetes(context, 'it sends a list that is none');
  return {
    items: list.map((item) => checkedObject(item, context) as T),
    resourceVersion,
    next: typeof next === 'string' && next !== '' ? next : undefined,
  };
}

/** A watch that ends with an error goes on from a new list, whatever the error is. */
export function checkedEvent<T extends KubernetesObject>(value: Entries, context: string): WatchEvent<T> {
  const { type, object } = value;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: checkedObject(object, context) as T };
    case 'BOOKMARK': {
      const { resourceVersion } = asEntries(asEntries(object)?.['metadata']) ?? {};
      if (typeof resourceVersion !== 'string') throw notKubernetes(context, 'it sends a bookmark without a version');
      return { type, resourceVersion };
    }
    case 'ERROR':
      return { type: 'EXPIRED' };
    default:
      throw notKubernetes(context, 'it sends an event of no kind');
  }
}

function asEntries(value: unknown): Entries | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entries) : undefined;
}
