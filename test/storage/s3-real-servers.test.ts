import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { openS3Home } from '../../src/storage/s3-home.ts';
import type { RealServer } from '../support/real-s3-servers.ts';
import { ACCESS_KEY, findServers, SECRET_KEY } from '../support/real-s3-servers.ts';
import type { TunnelProxy } from '../support/tunnel-proxy.ts';
import { startTunnelProxy } from '../support/tunnel-proxy.ts';
import { describeHome } from './home-conformance.ts';

process.env['AWS_ACCESS_KEY_ID'] = ACCESS_KEY;
process.env['AWS_SECRET_ACCESS_KEY'] = SECRET_KEY;

const SERVERS = findServers();

test.for(SERVERS)('$name is here to be tested', ({ start }, { skip }) => {
  skip(start === undefined, 'it is in no folder that MLV_S3_SERVERS names');
  expect(start).toBeDefined();
});

describe.each(SERVERS.flatMap(({ name, start }) => (start === undefined ? [] : [{ name, start }])))(
  '$name',
  (found) => {
    let server: RealServer;
    let proxy: TunnelProxy;
    let buckets = 0;
    beforeAll(async () => {
      server = await found.start();
      proxy = await startTunnelProxy();
    });
    afterAll(async () => {
      await server.stop();
      proxy.close();
    });

    for (const { where, prefix, pathStyle } of [
      { where: 'path', prefix: '', pathStyle: true },
      { where: 'host name', prefix: 'te+am/a b/ünï%41', pathStyle: false },
    ]) {
      describeHome(`a bucket in the ${where}, with the prefix "${prefix}"`, async () => {
        const bucket = `conformance-${++buckets}`;
        await server.createBucket(bucket);
        const folder = mkdtempSync(join(tmpdir(), 'mlv-s3-'));
        const engine = createRequestEngine({ name: `s3://${bucket}` });
        const endpoint = pathStyle ? server.endpoint : server.namedEndpoint;
        // The names of buckets are none that a resolver knows.
        const environment = pathStyle ? {} : { HTTP_PROXY: proxy.url };
        const home = openS3Home({ bucket, prefix, settings: { endpoint, pathStyle }, environment, folder, engine });
        const dispose = async (): Promise<void> => {
          rmSync(folder, { recursive: true, force: true });
          const named = proxy.asked.filter((asked) => asked.startsWith(`${bucket}.`));
          expect(named.length > 0).toBe(!pathStyle);
        };
        return { home, dispose };
      });
    }
  },
);
