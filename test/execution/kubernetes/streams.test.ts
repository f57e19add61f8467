/** Watches and logs, as the network brings them. */
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KubernetesApi, WatchEvent } from '../../../src/execution/kubernetes/api.ts';
import type { KubernetesObject } from '../../../src/execution/kubernetes/resources.ts';
import { jobs, pods } from '../../../src/execution/kubernetes/resources.ts';
import { TransientError } from '../../../src/storage/transient-error.ts';
import { sendStatus } from '../../support/kubernetes/protocol-server.ts';
import type { ApiRig } from './api-rig.ts';
import { failureOf, jobOf, startApiRig } from './api-rig.ts';

let rig: ApiRig;

beforeEach(async () => {
  rig = await startApiRig();
});

afterEach(() => rig.close());

const JOBS = jobs('ml');
const POD = { ...pods('ml'), name: 'train-x' };

function event(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

async function watched(api: KubernetesApi, signal?: AbortSignal): Promise<WatchEvent<KubernetesObject>[]> {
  const events: WatchEvent<KubernetesObject>[] = [];
  for await (const one of api.watch(JOBS, { resourceVersion: '3', selector: { labels: 'a=b' }, signal }))
    events.push(one);
  return events;
}

/** Writes pieces that arrive one by one. */
async function dribble(response: ServerResponse, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise<void>((resolve) => void response.write(piece, () => resolve()));
    await sleep(2);
  }
}

const STATES = `${event('ADDED', jobOf('a', '4'))}${event('MODIFIED', jobOf('a', '5', { note: 'ü€𝄞' }))}${event('DELETED', jobOf('a', '6'))}`;
const EVENTS = [
  { type: 'ADDED', object: jobOf('a', '4') },
  { type: 'MODIFIED', object: jobOf('a', '5', { note: 'ü€𝄞' }) },
  { type: 'DELETED', object: jobOf('a', '6') },
];

describe('a watch tells', () => {
  test.each([1, 7, 100])('events that come in pieces of %i bytes', async (size) => {
    const api = await rig.open();
    const bytes = Buffer.from(STATES);
    rig.server.answer(async (_, response) => {
      response.writeHead(200);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (__, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      await dribble(response, pieces);
      response.end();
    });
    expect(await watched(api)).toEqual(EVENTS);
    const { timeoutSeconds, ...others } = rig.server.received[0]?.query ?? {};
    expect(others).toEqual({
      watch: 'true',
      resourceVersion: '3',
      allowWatchBookmarks: 'true',
      labelSelector: 'a=b',
    });
    expect(Number(timeoutSeconds)).toBeGreaterThanOrEqual(240);
    expect(Number(timeoutSeconds)).toBeLessThanOrEqual(360);
  });

  test('where nothing happened until', async () => {
    const api = await rig.open();
    rig.server.answer(
      (_, response) => void response.end(event('BOOKMARK', { kind: 'Job', metadata: { resourceVersion: '77' } })),
    );
    expect(await watched(api)).toEqual([{ type: 'BOOKMARK', resourceVersion: '77' }]);
  });

  test.each([
    ['an event of its own', 200, event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' }) + STATES],
    ['its status', 410, JSON.stringify({ kind: 'Status', code: 410 })],
  ])('that the server has forgotten that version, by %s', async (_, status, text) => {
    const api = await rig.open();
    rig.server.answer((__, response) => void response.writeHead(status).end(text));
    expect(await watched(api)).toEqual([{ type: 'EXPIRED' }]);
  });

  test.each([
    ['between two events', STATES.indexOf('\n') + 1],
    ['within one', STATES.indexOf('\n') + 20],
  ])('what came before the connection was cut %s', async (_, at) => {
    const api = await rig.open();
    rig.server.answer(async (__, response) => {
      response.writeHead(200);
      await dribble(response, [Buffer.from(STATES.slice(0, at))]);
      response.destroy();
    });
    expect(await watched(api)).toEqual(EVENTS.slice(0, 1));
  });

  test('what came before the end, of which half an event is left', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => void response.end(STATES.slice(0, STATES.indexOf('\n') + 20)));
    expect(await watched(api)).toEqual(EVENTS.slice(0, 1));
  });
});

describe('a watch ends', () => {
  test('when the server says nothing for long after it was to end it', async () => {
    const api = await rig.open({ watchSeconds: 1, silenceMs: 200 });
    rig.server.answer(async (_, response) => {
      response.writeHead(200);
      await dribble(response, [Buffer.from(STATES)]);
    });
    const began = performance.now();
    expect(await watched(api)).toEqual(EVENTS);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('not by silence before', async () => {
    const api = await rig.open({ watchSeconds: 2, silenceMs: 100 });
    rig.server.answer(async (_, response) => {
      response.writeHead(200).flushHeaders();
      await sleep(600);
      response.end(STATES);
    });
    expect(await watched(api)).toEqual(EVENTS);
    expect(rig.server.received).toHaveLength(1);
  });

  test('with the reason of whoever ends it', async () => {
    const api = await rig.open();
    const stop = new AbortController();
    rig.server.answer(async (_, response) => {
      response.writeHead(200);
      await dribble(response, [Buffer.from(STATES)]);
      stop.abort(new Error('enough'));
    });
    expect(await failureOf(watched(api, stop.signal))).toMatchObject({ message: 'enough' });
  });

  test('when whoever reads it leaves', async () => {
    const api = await rig.open();
    const closed = new Promise<void>((resolve) => {
      rig.server.answer(async (_, response) => {
        response.on('close', () => resolve());
        response.writeHead(200);
        await dribble(response, [Buffer.from(STATES)]);
      });
    });
    for await (const one of api.watch(JOBS, { resourceVersion: '3' })) {
      expect(one).toEqual(EVENTS[0]);
      break;
    }
    await closed;
  });

  test.each([
    ['a line that is not JSON', 'upstream error\n'],
    ['an event of no kind', event('CHANGED', jobOf('a', '1'))],
    ['an object that is none', event('ADDED', { metadata: {} })],
  ])('with an error at %s', async (_, text) => {
    const api = await rig.open();
    rig.server.answer((__, response) => void response.end(text));
    expect(await failureOf(watched(api))).toMatchObject({ code: 'kubernetes-answer-invalid' });
  });

  test('with an error at an event without end', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => {
      const piece = Buffer.alloc(4 << 20, 'x');
      const more = (): void => void (response.destroyed || response.write(piece, more));
      more();
    });
    expect(await failureOf(watched(api))).toMatchObject({ code: 'kubernetes-answer-invalid' });
  });

  test('with an error where it is not allowed', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => sendStatus(response, 403, { message: 'no' }));
    expect(await failureOf(watched(api))).toMatchObject({
      code: 'kubernetes-forbidden',
      message: expect.stringContaining('you may not watch jobs.batch'),
    });
  });
});

test('a watch begins with the token that holds by then', async () => {
  writeFileSync(join(rig.folder, 'token'), 'old');
  const api = await rig.open({ user: { tokenFile: 'token' } });
  rig.server.answer(({ headers }, response) => {
    if (headers.authorization === 'Bearer new') return void response.end(STATES);
    writeFileSync(join(rig.folder, 'token'), 'new');
    return sendStatus(response, 401);
  });
  expect(await watched(api)).toEqual(EVENTS);
});

describe('a log', () => {
  async function logged(api: KubernetesApi, isFollowing: boolean): Promise<string> {
    const pieces: Buffer[] = [];
    for await (const piece of api.logs(POD, { container: 'stage', isFollowing, hasTimestamps: true }))
      pieces.push(piece);
    return Buffer.concat(pieces).toString('latin1');
  }

  test('comes as the bytes it is, and may take longer to begin than any other answer', async () => {
    const api = await rig.open({ silenceMs: 100 });
    rig.server.answer(async (_, response) => {
      await sleep(400);
      response.end(Buffer.from([1, 255, 10]));
    });
    expect(await logged(api, true)).toBe('\u0001\u00ff\n');
    expect(rig.server.received.map(({ path, query }) => [path, query])).toEqual([
      ['/api/v1/namespaces/ml/pods/train-x/log', { container: 'stage', follow: 'true', timestamps: 'true' }],
    ]);
  });

  test('that is cut is not taken for one that has ended', async () => {
    const api = await rig.open();
    rig.server.answer(async (_, response) => {
      response.writeHead(200);
      await dribble(response, [Buffer.from('a\n')]);
      response.destroy();
    });
    expect(await failureOf(logged(api, true))).toBeInstanceOf(TransientError);
  });

  test('of a pod that is not there', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => sendStatus(response, 404, { message: 'pods "train-x" not found' }));
    expect(await failureOf(logged(api, false))).toMatchObject({ code: 'kubernetes-missing' });
  });
});
