/** Logs of containers that wait, are silent, end or vanish. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FollowLogsOptions } from '../../../src/execution/kubernetes/follow-logs.ts';
import { followLogs } from '../../../src/execution/kubernetes/follow-logs.ts';
import { pods } from '../../../src/execution/kubernetes/resources.ts';
import { sendJson, sendStatus } from '../../support/kubernetes/protocol-server.ts';
import type { ApiRig } from './api-rig.ts';
import { failureOf, startApiRig } from './api-rig.ts';

let rig: ApiRig;

beforeEach(async () => {
  rig = await startApiRig();
});

afterEach(() => rig.close());

type Answer = (response: ServerResponse) => void;

const WAITING = { waiting: { reason: 'PodInitializing' } };
const RUNNING = { running: { startedAt: 'x' } };
const ENDED = { terminated: { exitCode: 0 } };

function pod(state: object, { uid = 'u', phase = 'Running' } = {}): Answer {
  const metadata = { name: 'train-x', uid, resourceVersion: '1' };
  const status = {
    phase,
    initContainerStatuses: [
      { name: 'fetch', state: ENDED },
      { name: 'stage', state },
    ],
  };
  return (response) => sendJson(response, { metadata, status });
}

function text(...lines: readonly string[]): Answer {
  return (response) => void response.end(lines.map((one) => `${one}\n`).join(''));
}

function line(second: number, words: string): string {
  return `2026-11-22T10:00:0${second}.000000001Z ${words}`;
}

/** Answers in turn what the pod is and what its log is; the last answer of each stays. */
function script(states: readonly Answer[], logs: readonly Answer[]): string[] {
  const asked: string[] = [];
  const left = { pod: [...states], log: [...logs] };
  rig.server.answer(({ path, query }, response) => {
    const kind = path.endsWith('/log') ? 'log' : 'pod';
    const { container: _, timestamps: __, ...rest } = query;
    asked.push([kind, new URLSearchParams(rest).toString()].join(' ').trim());
    const answers = left[kind];
    (answers.length > 1 ? answers.shift() : answers[0])?.(response);
  });
  return asked;
}

async function followed(options: Partial<FollowLogsOptions> = {}): Promise<string[]> {
  const api = await rig.open({ patienceMs: 0 });
  const { signal } = new AbortController();
  const lines: string[] = [];
  const target = { pod: { ...pods('ml'), name: 'train-x' }, uid: 'u', container: 'stage', signal };
  for await (const { time, bytes, isEnd } of followLogs(api, { ...target, ...options }))
    lines.push(`${time.slice(11, 19)} ${bytes.toString()}${isEnd ? '' : '…'}`);
  return lines;
}

test('a container that waits is waited for, followed, and read to its end', async () => {
  const asked = script(
    [pod(WAITING), pod(RUNNING), pod(ENDED)],
    [text(line(1, 'one'), line(5, 'two')), text(line(5, 'two'), line(6, ''), line(6, 'three'))],
  );
  expect(await followed()).toEqual(['10:00:01 one', '10:00:05 two', '10:00:06 ', '10:00:06 three']);
  expect(asked).toEqual([
    'pod',
    'pod',
    'log follow=true',
    'pod',
    'log follow=false&sinceTime=2026-11-22T10%3A00%3A04.000Z',
  ]);
});

test('the last line need not end', async () => {
  script([pod(ENDED)], [(response) => void response.end(`${line(1, 'one')}\n${line(2, 'tw')}`)]);
  expect(await followed()).toEqual(['10:00:01 one', '10:00:02 tw']);
});

test('a connection that is silent for long is made anew, and nothing is lost or repeated', async () => {
  script(
    [pod(RUNNING), pod(RUNNING), pod(RUNNING), pod(ENDED)],
    [
      () => undefined,
      (response) => void response.writeHead(200).write(`${line(1, 'one')}\n${line(2, 'tw')}`),
      async (response) => {
        response.writeHead(200);
        for (const word of [
          `${line(1, 'one')}\n${line(2, 'two')}\n`,
          `${line(3, 'three')}\n`,
          `${line(4, 'four')}\n`,
        ]) {
          response.write(word);
          await sleep(120);
        }
        response.end();
      },
      text(line(3, 'three'), line(4, 'four')),
    ],
  );
  expect(await followed({ silenceMs: 200 })).toEqual([
    '10:00:01 one',
    '10:00:02 two',
    '10:00:03 three',
    '10:00:04 four',
  ]);
});

test('a node that cannot give the log yet, or for a while, is asked again', async () => {
  const trouble: string[] = [];
  script(
    [pod(RUNNING), pod(RUNNING), pod(RUNNING), pod(ENDED)],
    [
      (response) => sendStatus(response, 400, { message: 'container "stage" is waiting to start: PodInitializing' }),
      (response) => sendStatus(response, 500, { message: 'dial tcp 10.0.0.7:10250: connect: connection refused' }),
      text('failed to create fsnotify watcher: too many open files', line(1, 'one')),
      text(line(1, 'one')),
    ],
  );
  expect(await followed({ onTrouble: ({ code, message }) => void trouble.push(`${code} ${message}`) })).toEqual([
    '10:00:01 one',
  ]);
  expect(trouble).toEqual([
    'kubernetes-server-failing cannot get pods/log "train-x" in namespace "ml" of context "test": dial tcp 10.0.0.7:10250: connect: connection refused',
    'kubernetes-logs-unreadable the node of the pod "train-x" says in place of the log of "stage": failed to create fsnotify watcher: too many open files',
  ]);
});

test.each([
  [
    'the container has ended and its node does not answer any more',
    pod(ENDED),
    (response) => sendStatus(response, 500),
  ],
  ['the container was removed', pod(ENDED), (response) => sendStatus(response, 400, { message: 'not found' })],
  [
    'the pod has failed before the container began',
    pod(WAITING, { phase: 'Failed' }),
    (response) => sendStatus(response, 400),
  ],
  ['the pod is gone', (response) => sendStatus(response, 404), text()],
  ['another pod has its name', pod(RUNNING, { uid: 'other' }), text(line(1, 'not ours'))],
] satisfies readonly (readonly [string, Answer, Answer])[])('it ends where %s', async (_, state, log) => {
  script([state], [log]);
  expect(await followed()).toEqual([]);
});

test('long lines come in pieces, and hold no more memory than these', async () => {
  const long = 'x'.repeat(150_000);
  script([pod(ENDED)], [text(line(1, long), line(2, 'two'))]);
  const lines = await followed();
  expect(lines.map((one) => one.length - 9)).toEqual([65_536 - 31 + 1, 65_537, 150_000 - 2 * 65_536 + 31, 3]);
  expect(lines.map((one) => one.slice(9).replaceAll('…', '')).join('')).toBe(`${long}two`);
});

test('what is not allowed is an error, and whoever follows can stop', async () => {
  script([pod(RUNNING)], [(response) => sendStatus(response, 403, { message: 'no' })]);
  expect(await failureOf(followed())).toMatchObject({ code: 'kubernetes-forbidden' });
  for (const state of [pod(WAITING), pod(RUNNING)]) {
    script([state], [() => undefined]);
    const signal = AbortSignal.timeout(200);
    expect(await failureOf(followed({ signal }))).toMatchObject({ name: 'TimeoutError' });
  }
});
