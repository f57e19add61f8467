/** What an API server's refusals mean. */
import { MlvError } from '../../domain/errors.ts';
import { TransientError } from '../../storage/transient-error.ts';
import { printable } from './server-text.ts';
import type { CollectionRef } from './resources.ts';

/** What was asked. */
export interface Asked {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'patch' | 'delete';
  readonly collection: CollectionRef;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

/** The server has forgotten what the request goes on from. */
export class Expired extends Error {}

/** There is no such object, or no such collection. */
export class NotThere extends Error {}

/** The answer to a request that failed: its JSON, or its text. */
export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

interface Status {
  readonly message: string;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;
  readonly causes: readonly string[];
}

const LONGEST_RETRY_AFTER_S = 3_600;

/** What to throw for an answer that is none of 2xx and not 401: an `MlvError`, a `TransientError`, or one of the signs above. */
export function refusalOf(refusal: Refusal, asked: Asked, context: string): Error {
  const { status } = refusal;
  const said = readStatus(refusal.body);
  const { message, reason } = said;
  const told = message === '' ? `it answered ${status}` : message;
  const error = (code: string, kind: 'refused' | 'missing' | 'conflict' | 'io', what: string, hint: string): MlvError =>
    new MlvError({ code, kind, message: `${what}: ${told}`, hint, items: said.causes });

  if (status === 404) return new NotThere(told);
  if (status === 410) return new Expired(told);
  // A second POST may meet what made the first one fail: a quota that was being counted.
  const isPassing = status === 409 && asked.verb === 'create' && reason !== 'AlreadyExists';
  if (status === 429 || status === 408 || status >= 500 || isPassing) {
    return new TransientError(told, {
      isThrottle: status === 429,
      retryAfterMs: retryAfter(refusal.retryAfter, said),
    });
  }
  const thing = describe(asked);
  if (status === 403 && message.includes('exceeded quota'))
    return error('kubernetes-quota', 'refused', `the quota of ${place(asked, context)} is used up`, QUOTA_HINT);
  if (status === 403) {
    const isAdmission = !/\bcannot \w+ resource\b/.test(message) && message !== '';
    return error(
      'kubernetes-forbidden',
      'refused',
      `you may not ${asked.verb} ${thing} in ${place(asked, context)}`,
      isAdmission
        ? 'A rule of the cluster forbids it: what it says names the field.'
        : `Ask whoever runs the cluster for it: verb ${asked.verb}, resource ${resource(asked)}, API group "${asked.collection.group}". "${canI(asked)}" asks for it.`,
    );
  }
  if (status === 409)
    return error(
      'kubernetes-conflict',
      'conflict',
      `cannot ${asked.verb} ${thing} in ${place(asked, context)}`,
      'Somebody else changed or made it meanwhile: run the command again.',
    );
  if (status >= 300 && status < 400) return notKubernetes(context, `it answered ${status}, which leads elsewhere`);
  return error(
    'kubernetes-refused',
    'refused',
    `the cluster refuses to ${asked.verb} ${thing} in ${place(asked, context)}`,
    'What it says names the field. A cluster older than 1.27 does not know all of them.',
  );
}

/** After the credentials were renewed in vain. */
export function unauthorized(asked: Asked, context: string): MlvError {
  return new MlvError({
    code: 'kubernetes-unauthorized',
    kind: 'refused',
    message: `the cluster of the context "${context}" does not know who you are (401, to ${asked.verb} ${describe(asked)})`,
    hint: 'Your credential has ended, or is another cluster\'s: log in again as your cluster wants it, and see that "kubectl auth whoami" works.',
  });
}

/** What else answers where the API was expected. */
export function notKubernetes(context: string, reason: string): MlvError {
  return new MlvError({
    code: 'kubernetes-answer-invalid',
    kind: 'io',
    message: `what answers for the context "${context}" is not the Kubernetes API, or damages its answers: ${reason}`,
    hint: 'Is the address of its cluster in the kubeconfig right? A proxy, or a page to log in at, may answer instead.',
  });
}

/** For what was named and is not there. */
export function missing(asked: Asked, context: string, told: string): MlvError {
  const { namespace } = asked.collection;
  return new MlvError({
    code: 'kubernetes-missing',
    kind: 'missing',
    message: `cannot ${asked.verb} ${describe(asked)} in ${place(asked, context)}: ${told}`,
    hint:
      namespace === undefined
        ? 'Does the cluster have this kind of thing? "kubectl api-resources" lists them.'
        : `Is there the namespace? kubectl get namespace ${namespace}`,
  });
}

/** Words for what was asked about: `jobs.batch "train"`. */
export function describe(asked: Asked): string {
  const { group } = asked.collection;
  const name = asked.name === undefined ? '' : ` "${asked.name}"`;
  return `${resource(asked)}${group === '' ? '' : `.${group}`}${name}`;
}

function resource({ collection, subresource }: Asked): string {
  return subresource === undefined ? collection.plural : `${collection.plural}/${subresource}`;
}

/** Words for where. */
export function place({ collection: { namespace } }: Asked, context: string): string {
  return namespace === undefined ? `context "${context}"` : `namespace "${namespace}" of context "${context}"`;
}

const QUOTA_HINT =
  'Wait until other jobs end, ask for less, or ask whoever runs the cluster for more: kubectl describe quota';

function canI(asked: Asked): string {
  const { group, plural, namespace } = asked.collection;
  const name = group === '' ? plural : `${plural}.${group}`;
  const part = asked.subresource === undefined ? '' : ` --subresource=${asked.subresource}`;
  return `kubectl auth can-i ${asked.verb} ${name}${part}${namespace === undefined ? '' : ` -n ${namespace}`}`;
}

function readStatus(body: string): Status {
  const status = asRecord(parse(body));
  const details = asRecord(status?.['details']);
  const seconds = details?.['retryAfterSeconds'];
  const causes = Array.isArray(details?.['causes']) ? (details['causes'] as readonly unknown[]).slice(0, 50) : [];
  const message = textOf(status?.['message']);
  return {
    message,
    reason: textOf(status?.['reason']),
    retryAfterSeconds: typeof seconds === 'number' ? seconds : undefined,
    causes: causes.flatMap((cause) => {
      const { field, message: why } = asRecord(cause) ?? {};
      const line = [textOf(field), textOf(why)].filter((part) => part !== '').join(': ');
      return line === '' ? [] : [line];
    }),
  };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // Load balancers and proxies answer with pages; the log endpoint and web hooks with a line.
    return { message: /^\s*</.test(body) ? '' : body };
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? printable(value) : '';
}

/** Milliseconds; the header is in seconds or a date. */
function retryAfter(header: string | undefined, { retryAfterSeconds }: Status): number | undefined {
  const seconds =
    header === undefined
      ? retryAfterSeconds
      : /^\d+$/.test(header)
        ? Number(header)
        : (Date.parse(header) - Date.now()) / 1000;
  if (seconds === undefined || !(seconds >= 0)) return undefined;
  return Math.min(seconds, LONGEST_RETRY_AFTER_S) * 1000;
}
