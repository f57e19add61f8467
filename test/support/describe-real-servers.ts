import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RealServer } from './real-s3-servers.ts';
import { findServers } from './real-s3-servers.ts';
import type { TunnelProxy } from './tunnel-proxy.ts';
import { startTunnelProxy } from './tunnel-proxy.ts';

/** What tests may use while they run. */
interface Started {
  readonly server: RealServer;
  readonly proxy: TunnelProxy;
}

/** Describes the same of each server that was not written here and that this machine has; says which it has not. */
export function describeRealServers(body: (started: () => Started) => void): void {
  const servers = findServers();

  test.for(servers)('$name is here to be tested', ({ start }, { skip }) => {
    skip(start === undefined, 'it is in no folder that MLV_S3_SERVERS names');
    expect(start).toBeDefined();
  });

  const there = servers.flatMap(({ name, start }) => (start === undefined ? [] : [{ name, start }]));
  describe.each(there)('$name', ({ start }) => {
    let started: Started;
    beforeAll(async () => {
      started = { server: await start(), proxy: await startTunnelProxy() };
    });
    afterAll(async () => {
      await started.server.stop();
      started.proxy.close();
    });
    body(() => started);
  });
}
