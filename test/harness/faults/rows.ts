/** What can go wrong between mlv and a bucket, and how a command has to end then. */
import { join } from 'node:path';
import type { Fault, FaultAction } from '../../support/s3-server/faults.ts';
import { fillDiskAt, fillHalf, goThroughProxy, lose, resize } from './causes.ts';
import type { Stage, Verb } from './trial.ts';

export interface FaultRow {
  readonly verb: Verb;
  readonly fault: string;
  /** Part of the hint; where there is one, the command has to fail, and to succeed without it. */
  readonly hint?: RegExp;
  /** Requests beyond those that it takes without a fault, at most. */
  readonly more: number;
  /** At most. */
  readonly seconds: number;
  /** Takes a minute or more: only run when asked for. */
  readonly isLong?: boolean;
  /** Needs a small disk. */
  readonly needsDisk?: boolean;
  readonly arrange: (stage: Stage) => void | Promise<void>;
}

/** On a machine that does other things too. */
const SECONDS = 60;
const HOUR_MS = 3_600_000;
const MEBIBYTE = 1 << 20;

type On = Fault['on'];
type Details = Partial<Pick<FaultRow, 'hint' | 'more' | 'seconds' | 'isLong'>>;

const LISTING: On = { operation: 'ListObjectsV2' };
const PART: On = { operation: 'UploadPart' };
const COMPLETE: On = { operation: 'CompleteMultipartUpload' };
const PUT: On = { operation: 'PutObject' };
const PUT_PACK: On = { operation: 'PutObject', key: '/packs/' };
const PUT_INDEX: On = { operation: 'PutObject', key: '/index/' };
const GET: On = { operation: 'GetObject' };
const GET_INDEX: On = { operation: 'GetObject', key: '/index/' };
const GET_PACK: On = { operation: 'GetObject', key: '/packs/' };
const GET_LARGE: On = { operation: 'GetObject', key: '/objects/' };

const busy = answer(503, 'SlowDown');
const broken = answer(500, 'InternalError');
const denied = answer(403, 'AccessDenied');
const always = (action: FaultAction, on?: On, nth = 1): Fault => ({
  ...(on !== undefined && { on }),
  nth,
  times: Infinity,
  action,
});

export const FAULT_ROWS: readonly FaultRow[] = [
  ...both('503, six in a row', { more: 14 }, { nth: 2, times: 6, action: busy }),
  ...both('500, six in a row', { more: 14 }, { nth: 2, times: 6, action: broken }),
  ...both(
    '429 with Retry-After, six in a row',
    { more: 14 },
    {
      nth: 2,
      times: 6,
      action: { kind: 'answer', status: 429, code: 'TooManyRequests', retryAfter: 1 },
    },
  ),
  ...both(
    '500 that stays',
    { more: 40, seconds: 120, isLong: true, hint: /Try again later/ },
    always(broken, undefined, 3),
  ),
  ...both(
    '503 that stays',
    { more: 150, seconds: 400, isLong: true, hint: /Try again later/ },
    always(busy, undefined, 3),
  ),
  row(
    'push',
    'connection reset in the middle',
    { more: 8 },
    { on: PART, times: 2, action: { kind: 'reset', afterRequestBytes: MEBIBYTE } },
    { on: PUT_PACK, action: { kind: 'reset', afterRequestBytes: 1000 } },
    { on: COMPLETE, action: { kind: 'reset' } },
  ),
  row(
    'pull',
    'connection reset in the middle',
    { more: 8 },
    { on: GET_LARGE, times: 2, action: { kind: 'reset', afterResponseBytes: MEBIBYTE } },
    { on: GET_PACK, times: 2, action: { kind: 'reset', afterResponseBytes: 100 } },
  ),
  ...both('connections closed while idle', { more: 8 }, { times: 6, action: { kind: 'close-idle' } }),
  row(
    'push',
    'truncated answers',
    { more: 6 },
    { on: LISTING, action: { kind: 'truncate', bytes: 100 } },
    { on: COMPLETE, action: { kind: 'shorten', bytes: 100 } },
  ),
  row(
    'pull',
    'truncated bodies',
    { more: 8 },
    { on: LISTING, action: { kind: 'shorten', bytes: 200 } },
    { on: GET_LARGE, action: { kind: 'truncate', bytes: MEBIBYTE } },
    { on: GET_PACK, action: { kind: 'shorten', bytes: 20 } },
    { on: GET_LARGE, action: { kind: 'shorten', bytes: 100_000 } },
  ),
  row('push', 'a byte altered on its way', { more: 6 }, { on: LISTING, action: { kind: 'alter' } }, (stage) =>
    goThroughProxy(stage, { alterAt: 2 * MEBIBYTE }),
  ),
  row(
    'pull',
    'a byte altered on its way',
    { more: 14 },
    { on: LISTING, action: { kind: 'alter' } },
    { on: GET_INDEX, action: { kind: 'alter' } },
    { on: GET_PACK, action: { kind: 'alter' } },
    { on: GET_PACK, nth: 3, action: { kind: 'alter' } },
    { on: GET_LARGE, action: { kind: 'alter' } },
  ),
  row(
    'pull',
    'large bodies always altered',
    { more: 8, hint: /verify --remote --repair/ },
    always({ kind: 'alter' }, GET_LARGE),
  ),
  row('pull', '`Range` ignored', { more: 4 }, always({ kind: 'ignore-range' }, GET)),
  row(
    'push',
    'Complete answers 200 with an error inside',
    { more: 6 },
    { on: COMPLETE, action: { kind: 'late-error', code: 'InternalError', isPerformed: false } },
  ),
  row(
    'push',
    'Complete answers 200 with an error inside, and was done',
    { more: 6 },
    { on: COMPLETE, action: { kind: 'late-error', code: 'InternalError', isPerformed: true } },
  ),
  row(
    'push',
    'no answer to Complete, which was done',
    { more: 6 },
    { on: COMPLETE, action: { kind: 'lose-answer', isPerformed: true } },
  ),
  row(
    'push',
    'no answer to Complete, which was not done',
    { more: 6 },
    { on: COMPLETE, action: { kind: 'lose-answer', isPerformed: false } },
  ),
  row(
    'push',
    '412 for keys that are free',
    { more: 12 },
    { on: PUT_PACK, action: answer(412, 'PreconditionFailed') },
    { on: PUT_INDEX, action: answer(412, 'PreconditionFailed') },
    { on: COMPLETE, action: answer(412, 'PreconditionFailed') },
  ),
  row(
    'pull',
    '412 for objects that did not change',
    { more: 6 },
    { on: GET_PACK, action: answer(412, 'PreconditionFailed') },
    { on: GET_LARGE, times: 2, action: answer(412, 'PreconditionFailed') },
  ),
  row(
    'push',
    '409',
    { more: 8 },
    { on: PUT, times: 2, action: answer(409, 'ConditionalRequestConflict') },
    { on: COMPLETE, action: answer(409, 'ConditionalRequestConflict') },
  ),
  ...both(
    'credentials that expire under way',
    { more: 16, hint: /aws sso login/ },
    always(answer(400, 'ExpiredToken'), undefined, 4),
  ),
  ...both('clock an hour behind', { more: 10 }, ({ server }) => void (server.clockOffsetMs = HOUR_MS)),
  ...both('clock an hour ahead', { more: 10 }, ({ server }) => void (server.clockOffsetMs = -HOUR_MS)),
  ...both('clock an hour behind, correction refused', { more: 10, hint: /Set the clock/ }, ({ server }) => {
    server.clockOffsetMs = HOUR_MS;
    server.faults.add(always(answer(403, 'RequestTimeTooSkewed')));
    return () => void (server.clockOffsetMs = 0);
  }),
  row(
    'push',
    '403 for writing',
    { more: 10, hint: /s3:PutObject/ },
    always(denied, { method: 'PUT' }),
    always(denied, { method: 'POST' }),
  ),
  row('pull', '403 for reading', { more: 10, hint: /s3:GetObject/ }, always(denied, GET, 2)),
  ...both('403 for listing', { more: 4, hint: /s3:ListBucket/ }, always(denied, LISTING)),
  row('pull', '404 on a pack that an index names', { more: 8, hint: /verify --remote --repair/ }, (stage) =>
    lose(stage, 'packs/'),
  ),
  row('pull', '404 on an object that an index names', { more: 8, hint: /verify --remote --repair/ }, (stage) =>
    lose(stage, 'objects/'),
  ),
  ...both(
    'answers that drip',
    { more: 2 },
    always({ kind: 'drip', bytesPerSecond: 4000 }, LISTING),
    always({ kind: 'drip', bytesPerSecond: 20_000 }, GET_PACK),
  ),
  row(
    'pull',
    'a large body that hardly comes, once',
    { more: 4, seconds: 150, isLong: true },
    { on: GET_LARGE, action: { kind: 'drip', bytesPerSecond: 100 } },
  ),
  ...both(
    'one request that is never answered',
    { more: 4, seconds: 200, isLong: true },
    { nth: 3, action: { kind: 'hang' } },
  ),
  row('push', 'listing cut short', { more: 10 }, fillHalf, always({ kind: 'cut-listing', keys: 0 }, LISTING)),
  row('pull', 'listing cut short', { more: 10, hint: /Push/ }, always({ kind: 'cut-listing', keys: 1 }, LISTING)),
  ...both('duplicates in listings', { more: 2 }, fillHalf, always({ kind: 'duplicate-keys' }, LISTING)),
  row(
    'push',
    'stale listing',
    { more: 10 },
    fillHalf,
    always({ kind: 'stale-listing', after: Date.now() - 2 * HOUR_MS }, LISTING),
  ),
  row(
    'pull',
    'stale listing',
    { more: 10, hint: /Push/ },
    always({ kind: 'stale-listing', after: Date.now() - HOUR_MS / 2 }, LISTING),
  ),
  ...both('proxy answers 403', { more: 0, hint: /HTTPS_PROXY/ }, (stage) => goThroughProxy(stage, { status: 403 })),
  ...both('proxy answers 407', { more: 0, hint: /USER:PASSWORD/ }, (stage) => goThroughProxy(stage, { status: 407 })),
  ...both(
    'proxy cannot be reached',
    { more: 0, hint: /HTTPS_PROXY/ },
    ({ env }) => void (env['HTTP_PROXY'] = 'http://127.0.0.1:1'),
  ),
  disk('pull', "the cache's disk full in the middle", /Free some space/, (stage) => {
    stage.env['MLV_CACHE_DIR'] = join(stage.disk(40), 'cache');
    stage.server.faults.add({ on: GET_LARGE, times: 2, action: { kind: 'delay', ms: 2000 } });
    return fillDiskAt(stage, ({ key = '' }) => key.includes('/objects/'));
  }),
  disk('pull', "the workspace's disk full in the middle", /mlv checkout/, (stage) => {
    stage.env['MLV_CACHE_DIR'] = join(stage.folder, 'cache');
    const folder = stage.disk(10);
    stage.moveTo(join(folder, 'clone'));
    return () => resize(folder, 40);
  }),
  disk('push', "this machine's disk full in the middle", /Free some space/, (stage) => {
    stage.moveTo(join(stage.disk(10), 'clone'));
    stage.server.faults.add({ on: PUT_PACK, times: 2, action: { kind: 'delay', ms: 2000 } });
    return fillDiskAt(stage, ({ operation, key = '' }) => operation === 'PutObject' && key.includes('/packs/'));
  }),
  disk('push', 'the disk of a remote that is a folder full in the middle', /Make room there/, async (stage) => {
    const folder = stage.disk(10);
    await stage.useFolderRemote(join(folder, 'store'));
    return () => resize(folder, 40);
  }),
];

function answer(status: number, code: string): FaultAction {
  return { kind: 'answer', status, code };
}

/** A row whose faults are those of the server, or arranged. */
function row(verb: Verb, fault: string, details: Details, ...what: (Fault | Arrange)[]): FaultRow {
  return {
    verb,
    fault,
    more: 0,
    seconds: SECONDS,
    ...details,
    async arrange(stage) {
      for (const each of what) {
        if (typeof each !== 'function') stage.server.faults.add(each);
        else {
          const mend = await each(stage);
          if (mend !== undefined) stage.mends.push(mend);
        }
      }
    },
  };
}

type Mend = () => void | Promise<void>;

/** Returns what mends it, where that takes more than forgetting the faults. */
type Arrange = (stage: Stage) => void | Mend | Promise<void | Mend>;

function both(fault: string, details: Details, ...what: (Fault | Arrange)[]): FaultRow[] {
  return [row('push', fault, details, ...what), row('pull', fault, details, ...what)];
}

function disk(verb: Verb, fault: string, hint: RegExp, arrange: Arrange): FaultRow {
  return { ...row(verb, fault, { more: 10, hint }, arrange), needsDisk: true };
}
