import type { S3Client } from '@aws-sdk/client-s3';
import { MlvError } from '../domain/errors.ts';

/** Calls `note` with the `Date` of each answer, in milliseconds since 1970: the time at the store (RFC 9110, section 6.6.1). */
export function noteDates(client: S3Client, note: (time: number) => void): S3Client {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { headers: Record<string, string> };
      const time = Date.parse(headers['date'] ?? '');
      if (!Number.isNaN(time)) note(time);
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'noteDates' },
  );
  return client;
}

export function noClock(name: string): MlvError {
  return new MlvError({
    code: 'remote-no-clock',
    kind: 'io',
    message: `${name} does not tell the time: its answers have no Date`,
    hint: 'Is there a proxy in between that takes it away?',
  });
}
