/** One request to an API server: with the credential that holds, renewed once where it does not, and again where it failed in passing. */
import { MlvError } from '../../domain/errors.ts';
import { TransientError } from '../../storage/transient-error.ts';
import type { Asked } from './api-errors.ts';
import { describe, place, refusalOf, unauthorized } from './api-errors.ts';
import { readBounded } from './bounded-lines.ts';
import type { ApiAnswer, ApiRequest, Connection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { withRetries } from './retry.ts';
import { printable } from './server-text.ts';

export interface AskOptions extends Omit<ApiRequest, 'signal'> {
  readonly asked: Asked;
  readonly isRepeatable: boolean;
  readonly signal: AbortSignal | undefined;
}

export interface Asker {
  /**
   * Resolves with what `read` makes of the answer, which is a success. Throws `MlvError`, `Expired`, `NotThere`, the signal's reason. When
   * patience ends: `kubernetes-unreachable`, `kubernetes-server-failing`.
   */
  ask<T>(options: AskOptions, read: (answer: ApiAnswer) => Promise<T>): Promise<T>;
}

export interface AskerOptions {
  readonly connection: Connection;
  readonly credentials: Credentials;
  readonly context: string;
  /** Milliseconds for which what fails in passing is tried again. */
  readonly patienceMs: number;
  /** Takes what the server warns of, each warning once. */
  readonly onWarning: ((text: string) => void) | undefined;
}

const REFUSAL_BYTES = 1 << 20;
const KEPT_WARNINGS = 1_000;

export function createAsker({ connection, credentials, context, patienceMs, onWarning }: AskerOptions): Asker {
  const warned = new Set<string>();

  function warn(header: string | undefined): void {
    for (const [, quoted = ''] of (header ?? '').matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)) {
      const text = printable(quoted.replaceAll(/\\(.)/g, '$1'));
      if (text === '' || warned.has(text) || warned.size >= KEPT_WARNINGS) continue;
      warned.add(text);
      onWarning?.(text);
    }
  }

  async function sendKnown(request: ApiRequest, asked: Asked): Promise<ApiAnswer> {
    const { signal } = request;
    const credential = await credentials.current(signal);
    const answer = await connection.send(request, credential);
    if (answer.status !== 401) return answer;
    answer.discard();
    const renewed = await credentials.renewed(credential, signal);
    const second = renewed && (await connection.send(request, renewed));
    if (second !== undefined && second.status !== 401) return second;
    second?.discard();
    throw unauthorized(asked, context);
  }

  async function tryOnce<T>(request: ApiRequest, asked: Asked, read: (answer: ApiAnswer) => Promise<T>): Promise<T> {
    const answer = await sendKnown(request, asked);
    warn(answer.headers.warning);
    try {
      if (answer.status >= 200 && answer.status < 300) return await read(answer);
      const { status, headers } = answer;
      const body = await readBounded(answer.body, REFUSAL_BYTES, () => new TransientError('it says too much'));
      throw refusalOf({ status, retryAfter: headers['retry-after'], body: body.toString('utf8') }, asked, context);
    } catch (error) {
      answer.discard();
      throw error;
    }
  }

  return {
    async ask({ asked, isRepeatable, signal = new AbortController().signal, ...request }, read) {
      try {
        return await withRetries({ signal, patienceMs, isRepeatable }, () =>
          tryOnce({ ...request, signal }, asked, read),
        );
      } catch (error) {
        throw error instanceof TransientError ? gaveUp(error, asked, context) : error;
      }
    },
  };
}

function gaveUp(error: TransientError, asked: Asked, context: string): MlvError {
  const where = `${describe(asked)} in ${place(asked, context)}`;
  return new MlvError({
    code: error.hint === undefined ? 'kubernetes-server-failing' : 'kubernetes-unreachable',
    kind: 'io',
    message: `cannot ${asked.verb} ${where}: ${error.message}`,
    hint: error.hint ?? 'The cluster answers, but fails: try again later, or ask whoever runs it.',
    cause: error.cause ?? error,
  });
}
