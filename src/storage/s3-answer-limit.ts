import { pipeline, Readable, Transform } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { MlvError } from '../domain/errors.ts';

/** More than a page of a listing with the longest of keys, each byte escaped. */
const MAX_ANSWER_BYTES = 16 << 20;

/**
 * Bounds what the SDK gathers in memory: every answer but an object's content, whose reader bounds it. Throws
 * `remote-read-failed` in the middle of one that is longer.
 */
export function limitAnswers(client: S3Client, name: string): S3Client {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args);
      const { statusCode, headers, body } = result.response as {
        statusCode: number;
        headers: Record<string, string>;
        body: unknown;
      };
      const isContent = context.commandName === 'GetObjectCommand' && statusCode < 300;
      const isShort = Number(headers['content-length']) <= MAX_ANSWER_BYTES;
      if (isContent || isShort || !(body instanceof Readable)) return result;
      // What fails is told by the stream that is read.
      const limited = pipeline(body, createLimit(name), () => {});
      return { ...result, response: Object.assign(result.response as object, { body: limited }) };
    },
    { step: 'deserialize', priority: 'low', name: 'limitAnswers' },
  );
  return client;
}

function createLimit(name: string): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) done(undefined, chunk);
      else done(endless(name));
    },
  });
}

function endless(name: string): MlvError {
  const error = new MlvError({
    code: 'remote-read-failed',
    kind: 'io',
    message: `${name} answers with more than ${MAX_ANSWER_BYTES >> 20} MiB where a few lines were to come`,
    hint: 'Is the endpoint that of a store that speaks S3?',
  });
  // To an error without it the SDK adds words of its own.
  return Object.assign(error, { $metadata: {} });
}
