/** Stores that are none: what they answer neither fills the memory, nor goes on for ever, nor gets to people as it is. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import type { Home } from '../../src/storage/home.ts';
import { useCredentials } from './s3-rig.ts';
import type { S3Rig } from './s3-rig.ts';
import { startS3Rig } from './s3-rig.ts';

let rig: S3Rig;
beforeEach(async () => {
  rig = await startS3Rig();
});
afterEach(() => rig.dispose());

async function readListing(home: Home): Promise<void> {
  for await (const { key } of home.list('index/')) expect(key).toBeTypeOf('string');
}

/** What listing, or `ask`, fails with when a server answers every request so. */
async function failure(
  answer: (response: ServerResponse, headers: Readonly<Record<string, unknown>>) => void,
  ask: (home: Home) => Promise<unknown> = readListing,
): Promise<string> {
  const server = createServer((request, response) => answer(response, request.headers));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { home } = rig.open({ settings: { endpoint, region: 'here' }, tries: 2 });
    await ask(home);
    return 'nothing';
  } catch (error) {
    return error instanceof MlvError ? `${error.code}: ${error.message}` : String(error);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Sends without end; `sent` is told how many bytes were taken. */
function sendEndlessly(status: number, sent: { bytes: number }) {
  const chunk = Buffer.alloc(1 << 20, '<a>x</a>');
  return (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    const go = (): void => {
      do sent.bytes += chunk.length;
      while (response.write(chunk) && !response.destroyed);
    };
    response.on('drain', go);
    go();
  };
}

const TOO_LONG = 'remote-read-failed: s3://data/team answers with more than 16 MiB where a few lines were to come';

test.each([
  ['a listing', 200, undefined],
  ['an error', 403, undefined],
  ['an error in place of an object', 403, (home: Home) => home.readAll('mlv.json', 100)],
])('%s without end is given up', async (_, status, ask) => {
  const sent = { bytes: 0 };
  expect(await failure(sendEndlessly(status, sent), ask)).toBe(TOO_LONG);
  expect(sent.bytes).toBeLessThan(64 << 20);
});

test('a key that is not encoded as it says stays as it is, and no key of the remote', async () => {
  const keys: string[] = [];
  const message = await failure(
    (response) =>
      response.end(
        `<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>team/index/100%</Key><Size>1</Size></Contents></ListBucketResult>`,
      ),
    async (home) => {
      for await (const { key } of home.list('index/')) keys.push(key);
    },
  );
  expect(message).toBe('nothing');
  expect(keys).toEqual(['index/100%']);
});

test('a listing that comes back to where it was is given up', async () => {
  let requests = 0;
  const message = await failure((response) => {
    requests += 1;
    const token = `<NextContinuationToken>${requests % 2}</NextContinuationToken>`;
    response.end(`<ListBucketResult><IsTruncated>true</IsTruncated>${token}</ListBucketResult>`);
  });
  expect(message).toBe('remote-read-failed: a listing of s3://data/team comes back to where it was, and never ends');
  expect(requests).toBe(3);
});

test('what a store repeats of a request, or makes up, is not shown', async () => {
  const sessionToken = 'IQoJb3JpZ2luX2Vj'.repeat(20);
  useCredentials({ accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken });
  const message = await failure((response, headers) => {
    const echo = `You sent &#27;[2J${String(headers['authorization'])} and ${String(headers['x-amz-security-token'])}`;
    response.writeHead(400);
    response.end(`<Error><Code>No&#27;[2J</Code><Message>${echo}</Message><Region>&#27;[2J.org/</Region></Error>`);
  });
  expect(message).toMatch(
    /^remote-read-failed: cannot read s3:\/\/data\/team: No \[2J \(400\): You sent {2}\[2J.*AKID/,
  );
  expect(message).not.toMatch(/\x1b|[0-9a-f]{32}|IQoJb3/);
});
