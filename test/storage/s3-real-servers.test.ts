import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { openS3Home } from '../../src/storage/s3-home.ts';
import { describeRealServers } from '../support/describe-real-servers.ts';
import { ACCESS_KEY, SECRET_KEY } from '../support/real-s3-servers.ts';
import { describeHome } from './home-conformance.ts';

process.env['AWS_ACCESS_KEY_ID'] = ACCESS_KEY;
process.env['AWS_SECRET_ACCESS_KEY'] = SECRET_KEY;

describeRealServers((started) => {
  let buckets = 0;
  for (const { where, prefix, pathStyle } of [
    { where: 'path', prefix: '', pathStyle: true },
    { where: 'host name', prefix: 'te+am/a b/ünï%41', pathStyle: false },
  ]) {
    describeHome(`a bucket in the ${where}, with the prefix "${prefix}"`, async () => {
      const { server, proxy } = started();
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
});
