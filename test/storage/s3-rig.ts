/** A home in a bucket of the strict server, with waits cut short. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RemoteSettings } from '../../src/domain/setting-table.ts';
import type { Home } from '../../src/storage/home.ts';
import type { EngineOptions, RequestEngine } from '../../src/storage/request-engine.ts';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { openS3Home } from '../../src/storage/s3-home.ts';
import { OWNER, startRig } from '../support/s3-server/rig.ts';
import type { S3Server, S3ServerOptions } from '../support/s3-server/server.ts';
import type { Credential } from '../support/s3-server/signature.ts';

export interface S3Rig {
  readonly server: S3Server;
  /** This clone's notes about the remote. */
  readonly folder: string;
  /** A home as another run of mlv opens it. */
  open(options?: OpenOptions): { home: Home; engine: RequestEngine };
  /** Operations asked since the last call, in order. */
  asked(): string[];
  dispose(): Promise<void>;
}

export interface OpenOptions extends Partial<EngineOptions> {
  readonly prefix?: string;
  readonly settings?: Omit<RemoteSettings, 'url'>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly idleMs?: number;
}

/** What the SDK finds in this process's environment. */
export function useCredentials(credential: Credential | undefined): void {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;
  const values = [credential?.accessKeyId, credential?.secretAccessKey, credential?.sessionToken];
  for (const [index, name] of names.entries()) {
    const value = values[index];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

export async function startS3Rig(options: Partial<S3ServerOptions> = {}): Promise<S3Rig> {
  Object.assign(process.env, {
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/nonexistent',
    AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  });
  useCredentials(OWNER);
  const server = await startRig(options);
  const folder = mkdtempSync(join(tmpdir(), 'mlv-s3-'));
  let seen = 0;
  return {
    server,
    folder,
    open({ prefix = 'team', settings = {}, environment = {}, idleMs, ...engineOptions } = {}) {
      const engine = createRequestEngine({ name: 's3://data/team', random: () => 0, ...engineOptions });
      const home = openS3Home({
        bucket: 'data',
        prefix,
        settings: { endpoint: server.endpoint, ...settings },
        environment,
        folder,
        engine,
        ...(idleMs !== undefined && { idleMs }),
      });
      return { home, engine };
    },
    asked() {
      const operations = server.requests.slice(seen).map(({ operation }) => operation ?? '?');
      seen = server.requests.length;
      return operations;
    },
    async dispose() {
      rmSync(folder, { recursive: true, force: true });
      await server.close();
    },
  };
}
