import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { S3ClientConfig, StorageClass } from '@aws-sdk/client-s3';
import { S3Client } from '@aws-sdk/client-s3';
import { endpointOf } from '../domain/remote-url.ts';
import type { RemoteSettings } from '../domain/setting-table.ts';
import type { RequestEngine } from './request-engine.ts';
import { createAgents } from './s3-agents.ts';
import { isExpired, readAnswer } from './s3-answer.ts';
import { limitAnswers } from './s3-answer-limit.ts';
import { noteDates } from './s3-clock.ts';
import type { SendDirectly } from './s3-direct-get.ts';
import { openDirectGet } from './s3-direct-get.ts';
import type { S3Action, S3Context } from './s3-errors.ts';
import { s3Error } from './s3-errors.ts';
import type { S3Traits } from './s3-traits.ts';
import { openTraits } from './s3-traits.ts';
import { TransientError } from './transient-error.ts';

export interface S3HomeOptions {
  readonly bucket: string;
  /** Without slashes at its ends; '' for the whole bucket. */
  readonly prefix: string;
  readonly settings: Omit<RemoteSettings, 'url'>;
  /** For proxies, certificates and the endpoint; credentials the SDK finds by itself. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where this clone keeps its notes about the remote; made when needed. */
  readonly folder: string;
  readonly engine: RequestEngine;
  /** A connection that carries nothing for so long is given up. */
  readonly idleMs?: number;
}

/** A bucket, and how to ask it for something. */
export interface S3Store {
  readonly name: string;
  readonly engine: RequestEngine;
  /** What every request carries. */
  readonly common: { readonly Bucket: string; readonly RequestPayer?: 'requester' };
  /** What every new object carries. */
  readonly stored: {
    readonly StorageClass?: StorageClass;
    readonly ServerSideEncryption?: 'AES256' | 'aws:kms';
    readonly SSEKMSKeyId?: string;
  };
  /** This clone's notes about the remote. */
  readonly folder: string;
  readonly idleMs: number;
  /** For content that is to be filled into memory. */
  readonly sendDirectly: SendDirectly | undefined;
  /** When its last answer came, in milliseconds since 1970 by its own clock; undefined before the first. */
  answeredAt(): number | undefined;
  traits(): S3Traits;
  learn(traits: S3Traits): void;
  /** A key of the remote as the bucket has it. */
  keyOf(key: string): string;
  /** The value of `x-amz-content-sha256` for a body; over https nothing more than TLS vouches for it. */
  payloadHash(chunks: readonly Buffer[]): string;
  /**
   * One request, sent again when it failed in passing, when the clock was corrected, the region learned or credentials were
   * renewed. Throws what `s3Error` and the engine throw.
   */
  request<T>(request: S3Request, send: (client: S3Client, signal: AbortSignal) => Promise<T>): Promise<T>;
}

export interface S3Request {
  readonly action: S3Action;
  readonly key: string;
  readonly bytes?: number;
  readonly signal?: AbortSignal | undefined;
}

const CONNECT_MS = 10_000;
const IDLE_MS = 30_000;
/** A store may need this long for its answer when much has been sent. */
const SILENCE_MS = 120_000;
const VERBS: Readonly<Record<S3Action, string>> = {
  's3:ListBucket': 'list',
  's3:GetObject': 'read',
  's3:PutObject': 'write',
  's3:DeleteObject': 'delete',
  's3:AbortMultipartUpload': 'abort the upload of',
};
const silent = (): void => {};
/** The SDK warns on the console where it is given no logger. */
const LOGGER = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** Opens a bucket; nothing is asked of it yet. */
export function openS3Store(options: S3HomeOptions): S3Store {
  const { bucket, prefix, settings, environment, engine, idleMs = IDLE_MS } = options;
  const name = `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`;
  const endpoint = endpointOf(settings, environment);
  const traits = openTraits(join(options.folder, 'store.json'));
  const url = endpoint === undefined ? undefined : new URL(endpoint);
  const { jobs } = engine.limits;
  const answerMs = Math.max(SILENCE_MS, idleMs);
  const agents = createAgents(url, environment, jobs);
  let current: Promise<S3Client> | undefined;
  let answeredAt: number | undefined;

  /** The region: a setting, what was learned, the environment or profile, and a guess that is put right by the first answer. */
  async function createClient(): Promise<S3Client> {
    const config: S3ClientConfig = {
      ...(endpoint !== undefined && { endpoint }),
      ...(settings.profile !== undefined && { profile: settings.profile }),
      forcePathStyle: settings.pathStyle ?? endpoint !== undefined,
      // The engine does it.
      maxAttempts: 1,
      followRegionRedirects: false,
      // Everything is hashed anyway.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      expectContinueHeader: false,
      logger: LOGGER,
      requestHandler: { ...agents, connectionTimeout: CONNECT_MS, socketTimeout: answerMs },
    };
    const region = settings.region ?? traits.get().region;
    const create = (more: S3ClientConfig): S3Client =>
      noteDates(limitAnswers(new S3Client({ ...config, ...more }), name), (time) => (answeredAt = time));
    if (region !== undefined) return create({ region });
    const client = create({});
    const found = await client.config.region().catch(() => undefined);
    return found === undefined ? create({ region: 'us-east-1' }) : client;
  }

  function renew(used: Promise<S3Client>): void {
    // Others may have done it meanwhile.
    if (current === used) current = undefined;
  }

  const store: S3Store = {
    name,
    engine,
    idleMs,
    sendDirectly: openDirectGet({ endpoint: url, environment, connections: jobs, connectMs: CONNECT_MS, answerMs }),
    folder: options.folder,
    common: { Bucket: bucket, ...(settings.requesterPays === true && { RequestPayer: 'requester' }) },
    stored: {
      ...(settings.storageClass !== undefined && { StorageClass: settings.storageClass as StorageClass }),
      ...(settings.sse !== undefined && { ServerSideEncryption: settings.sse }),
      ...(settings.kmsKeyId !== undefined && { SSEKMSKeyId: settings.kmsKeyId }),
    },
    answeredAt: () => answeredAt,
    traits: traits.get,
    learn: traits.learn,
    keyOf: (key) => (prefix === '' ? key : `${prefix}/${key}`),
    payloadHash(chunks) {
      if (endpoint?.startsWith('http://') !== true) return 'UNSIGNED-PAYLOAD';
      const hash = createHash('sha256');
      for (const chunk of chunks) hash.update(chunk);
      return hash.digest('hex');
    },
    request({ action, key, bytes = 0, signal }, send) {
      const profile = settings.profile ?? environment['AWS_PROFILE'];
      const context: S3Context = { name, bucket, endpoint, profile, action, key };
      const isWrite = action !== 's3:GetObject' && action !== 's3:ListBucket';
      const tried = new Set<string>();
      const once = (what: string): boolean => !tried.has(what) && tried.add(what).has(what);

      /** Puts right what can be put right, once; returns what to throw. */
      function handle(error: unknown, used: Promise<S3Client>): unknown {
        const answer = readAnswer(error);
        const again = (what: string): TransientError => new TransientError(what, { cause: error, retryAfterMs: 0 });
        if (answer.isClockCorrected && once('clock')) return again('the clock of this machine is wrong');
        if (isExpired(answer) && once('credentials')) {
          renew(used);
          return again('the credentials have expired');
        }
        const isElsewhere = answer.region !== undefined && [301, 307, 400, 403].includes(answer.status ?? 0);
        if (isElsewhere && settings.region === undefined && answer.region !== traits.get().region && once('region')) {
          traits.learn({ region: answer.region });
          renew(used);
          return again('the bucket is in another region');
        }
        return s3Error(error, context);
      }

      const what = `${VERBS[action]} ${key === '' ? 'the bucket' : key}`;
      return engine.run({ what, kind: isWrite ? 'write' : 'read', bytes, signal }, async (stop) => {
        const used = (current ??= createClient());
        try {
          return await send(await used, stop);
        } catch (error) {
          throw handle(error, used);
        }
      });
    },
  };
  return store;
}
