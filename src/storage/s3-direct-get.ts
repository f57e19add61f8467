import type { GetObjectCommand } from '@aws-sdk/client-s3';
import { createGetter } from '../platform/http-get.ts';
import { proxyFor } from './http-proxy.ts';
import { certificates } from './s3-agents.ts';

/** What the SDK has put together and signed. */
interface SignedRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
}

/** Makes a command's answer come by a way of our own, until the signal: its content is then an `AnswerBody`. */
export type SendDirectly = (command: GetObjectCommand, signal: AbortSignal) => void;

/** Undefined where a proxy is between: that way only `node:http` knows. */
export function openDirectGet(options: {
  readonly endpoint: URL | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly connections: number;
  readonly connectMs: number;
  readonly answerMs: number;
}): SendDirectly | undefined {
  const { endpoint, environment, connections, connectMs, answerMs } = options;
  if (proxyFor(endpoint, environment) !== undefined) return undefined;
  const get = createGetter({ kept: connections, connectMs, answerMs, ...certificates(environment) });
  return (command, signal) => {
    command.middlewareStack.add(
      () => async (args) => {
        const { protocol, hostname, port, path, query = {}, headers } = args.request as SignedRequest;
        const isTls = protocol === 'https:';
        const {
          status,
          headers: answered,
          body,
        } = await get(
          {
            isTls,
            host: hostname.replace(/^\[|\]$/g, ''),
            port: port ?? (isTls ? 443 : 80),
            path: `${path}${queryOf(query)}`,
            headers,
          },
          signal,
        );
        // The SDK fills in what its deserializer makes of it.
        return { response: { statusCode: status, headers: answered, body }, output: { $metadata: {} } };
      },
      { step: 'deserialize', priority: 'low', name: 'directGet' },
    );
  };
}

function queryOf(query: NonNullable<SignedRequest['query']>): string {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    value === null
      ? [encodeURIComponent(name)]
      : [value].flat().map((each) => `${encodeURIComponent(name)}=${encodeURIComponent(each)}`),
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
