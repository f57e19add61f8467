/** What is told of objects, however often the server forgets, fails or hangs up. */
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MlvError } from '../../../src/domain/errors.ts';
import type { KubernetesApi } from '../../../src/execution/kubernetes/api.ts';
import { follow } from '../../../src/execution/kubernetes/follow.ts';
import type { KubernetesObject } from '../../../src/execution/kubernetes/resources.ts';
import { jobs } from '../../../src/execution/kubernetes/resources.ts';
import { sendJson, sendStatus } from '../../support/kubernetes/protocol-server.ts';
import type { ApiRig } from './api-rig.ts';
import { failureOf, jobOf, startApiRig } from './api-rig.ts';

let rig: ApiRig;

beforeEach(async () => {
  rig = await startApiRig();
});

afterEach(() => rig.close());

type Answer = (response: ServerResponse) => void;

/** Answers one request after the other, and notes what was asked; when all are used up, the server is silent. */
function script(answers: readonly Answer[]): string[] {
  const asked: string[] = [];
  const left = [...answers];
  rig.server.answer(({ query }, response) => {
    asked.push(query['watch'] === 'true' ? `watch ${query['resourceVersion']}` : 'list');
    left.shift()?.(response);
  });
  return asked;
}

function list(version: string, ...items: readonly unknown[]): Answer {
  return (response) => sendJson(response, { metadata: { resourceVersion: version }, items });
}

function watch(...events: readonly (readonly [type: string, object: unknown])[]): Answer {
  return (response) =>
    void response.end(events.map(([type, object]) => `${JSON.stringify({ type, object })}\n`).join(''));
}

function cut(response: ServerResponse): void {
  response.destroy();
}

function refuse(status: number, reason = ''): Answer {
  return (response) => sendStatus(response, status, { reason });
}

/** What is told until the last of so many; then it is left. */
async function told(api: KubernetesApi, count: number, trouble: string[] = []): Promise<string[]> {
  const lines: string[] = [];
  const onTrouble = (error: MlvError): void => void trouble.push(error.code);
  const { signal } = new AbortController();
  for await (const sighting of follow<KubernetesObject>(api, jobs('ml'), { signal, onTrouble })) {
    const { name = '', uid = '', resourceVersion = '' } = sighting.kind === 'listed' ? {} : sighting.object.metadata;
    lines.push([sighting.kind, name, uid, resourceVersion].filter((part) => part !== '').join(' '));
    if (lines.length === count) break;
  }
  return lines;
}

const other = { metadata: { name: 'b', uid: 'uid-b-again', resourceVersion: '21' } };

test('what is there, then what happens, in order', async () => {
  const asked = script([
    list('5', jobOf('a', '1'), jobOf('b', '2')),
    watch(['MODIFIED', jobOf('a', '6')], ['ADDED', jobOf('c', '7')], ['DELETED', jobOf('b', '8')]),
  ]);
  expect(await told(await rig.open(), 6)).toEqual([
    'state a uid-a 1',
    'state b uid-b 2',
    'listed',
    'state a uid-a 6',
    'state c uid-c 7',
    'gone b uid-b 8',
  ]);
  expect(asked).toEqual(['list', 'watch 5']);
});

test('after an end, or a cut, it goes on from where it was', async () => {
  const asked = script([
    list('5'),
    watch(['ADDED', jobOf('a', '6')]),
    watch(['BOOKMARK', { metadata: { resourceVersion: '9' } }]),
    cut,
    watch(['MODIFIED', jobOf('a', '10')]),
  ]);
  expect(await told(await rig.open({ patienceMs: 5_000 }), 3)).toEqual([
    'listed',
    'state a uid-a 6',
    'state a uid-a 10',
  ]);
  expect(asked).toEqual(['list', 'watch 5', 'watch 6', 'watch 9', 'watch 9']);
});

test('when the server has forgotten, what happened meanwhile is told by its outcome', async () => {
  const asked = script([
    list('5', jobOf('a', '1'), jobOf('b', '2'), jobOf('c', '3')),
    refuse(410, 'Expired'),
    list('20', jobOf('a', '1'), other, jobOf('d', '20')),
    watch(['ERROR', { code: 410 }]),
    list('30', jobOf('a', '30'), other),
    watch(['MODIFIED', jobOf('a', '31')]),
  ]);
  expect(await told(await rig.open(), 11)).toEqual([
    'state a uid-a 1',
    'state b uid-b 2',
    'state c uid-c 3',
    'listed',
    'gone c uid-c 3',
    'gone b uid-b 2',
    'state b uid-b-again 21',
    'state d uid-d 20',
    'gone d uid-d 20',
    'state a uid-a 30',
    'state a uid-a 31',
  ]);
  expect(asked).toEqual(['list', 'watch 5', 'list', 'watch 20', 'list', 'watch 30']);
});

test('a server that is away for a while is told of, and asked until it is back', async () => {
  const trouble: string[] = [];
  script([
    list('5', jobOf('a', '1')),
    refuse(503),
    cut,
    (response) => void response.end('<html>'),
    list('9', jobOf('a', '8')),
  ]);
  const lines = await told(await rig.open({ patienceMs: 0 }), 3, trouble);
  expect(lines).toEqual(['state a uid-a 1', 'listed', 'state a uid-a 8']);
  expect(trouble).toEqual(['kubernetes-server-failing', 'kubernetes-unreachable', 'kubernetes-answer-invalid']);
});

test('a watch that ends at once, again and again, is not asked for in a hurry', async () => {
  const asked = script([list('5'), watch(), watch(), watch(), watch(['ADDED', jobOf('a', '6')])]);
  const began = performance.now();
  expect(await told(await rig.open(), 2)).toEqual(['listed', 'state a uid-a 6']);
  expect(asked).toHaveLength(5);
  // Half a second, one and two, each at least halved.
  expect(performance.now() - began).toBeGreaterThan(1_500);
});

test('what cannot be asked in the first place is an error at once', async () => {
  script([refuse(500)]);
  expect(await failureOf(told(await rig.open({ patienceMs: 0 }), 1))).toMatchObject({
    code: 'kubernetes-server-failing',
  });
});

test('a right that was taken away ends it', async () => {
  script([list('5'), refuse(403)]);
  expect(await failureOf(told(await rig.open(), 2))).toMatchObject({ code: 'kubernetes-forbidden' });
});

test('whoever follows can stop, while it waits for events and while it waits to try again', async () => {
  for (const answers of [[list('5')], [list('5'), refuse(503), refuse(503), refuse(503)]]) {
    script(answers);
    const api = await rig.open({ patienceMs: 0 });
    const stop = new AbortController();
    const run = async () => {
      for await (const { kind } of follow(api, jobs('ml'), { signal: stop.signal }))
        if (kind === 'listed') setTimeout(() => stop.abort(new Error('enough')), 100);
    };
    expect(await failureOf(run())).toMatchObject({ message: 'enough' });
  }
});
