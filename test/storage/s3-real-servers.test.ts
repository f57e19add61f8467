import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe } from 'vitest';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { openS3Home } from '../../src/storage/s3-home.ts';
import type { RealServer } from '../support/real-s3-servers.ts';
import { ACCESS_KEY, findServers, SECRET_KEY, startServer } from '../support/real-s3-servers.ts';
import { describeHome } from './home-conformance.ts';

process.env['AWS_ACCESS_KEY_ID'] = ACCESS_KEY;
process.env['AWS_SECRET_ACCESS_KEY'] = SECRET_KEY;
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

describe.each(findServers())('$name', ({ name, program }) => {
  // Told as skipped where the server is not in one of the folders that MLV_S3_SERVERS names.
  describe.skipIf(program === undefined)('on this machine', () => {
    let server: RealServer;
    let buckets = 0;
    beforeAll(async () => {
      server = await startServer(name, program ?? '');
    });
    afterAll(() => server.stop());

    for (const prefix of ['', 'team/data']) {
      describeHome(`a bucket with the prefix "${prefix}"`, async () => {
        const bucket = `conformance-${++buckets}`;
        const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true });
        await client.send(new CreateBucketCommand({ Bucket: bucket }));
        const folder = mkdtempSync(join(tmpdir(), 'mlv-s3-'));
        const engine = createRequestEngine({ name: `s3://${bucket}` });
        const settings = { endpoint: server.endpoint };
        const home = openS3Home({ bucket, prefix, settings, environment: {}, folder, engine });
        return { home, dispose: async () => rmSync(folder, { recursive: true, force: true }) };
      });
    }
  });
});
