/** Requests to an API server, and what its answers mean. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { coreCollection, jobs } from '../../../src/execution/kubernetes/resources.ts';
import { sendJson, sendStatus } from '../../support/kubernetes/protocol-server.ts';
import type { ApiRig } from './api-rig.ts';
import { failureOf, jobOf, startApiRig } from './api-rig.ts';

let rig: ApiRig;

beforeEach(async () => {
  rig = await startApiRig();
});

afterEach(() => rig.close());

const JOBS = jobs('ml');
const TRAIN = { ...JOBS, name: 'train' };

/** What was asked, in a word. */
function asked(): string[] {
  return rig.server.received.map(({ method, path, query }) => {
    const said = new URLSearchParams(query).toString();
    return `${method} ${path}${said === '' ? '' : `?${said}`}`;
  });
}

describe('asks for', () => {
  test('one object, or learns that it is not there', async () => {
    const api = await rig.open();
    rig.server.answer(({ path }, response) =>
      path.endsWith('/train')
        ? sendJson(response, jobOf('train', '7', { spec: { x: 'ü' } }))
        : sendStatus(response, 404, { reason: 'NotFound' }),
    );
    expect(await api.get(TRAIN)).toEqual(jobOf('train', '7', { spec: { x: 'ü' } }));
    expect(await api.get({ ...JOBS, name: 'no one' })).toBeUndefined();
    expect(await api.get({ ...coreCollection('nodes', undefined), name: 'n' })).toBeUndefined();
    expect(asked()).toEqual([
      'GET /apis/batch/v1/namespaces/ml/jobs/train',
      'GET /apis/batch/v1/namespaces/ml/jobs/no%20one',
      'GET /api/v1/nodes/n',
    ]);
    expect(rig.server.received[0]?.headers).toMatchObject({
      authorization: 'Bearer right',
      accept: 'application/json, */*',
    });
    expect(rig.server.connections()).toBe(1);
    expect([api.context, api.namespace]).toEqual(['test', 'ml']);
  });

  test('a list, page by page', async () => {
    const api = await rig.open();
    rig.server.answer(({ query }, response) =>
      sendJson(
        response,
        query['continue'] === undefined
          ? { metadata: { resourceVersion: '5', continue: 'next' }, items: [jobOf('a', '1')] }
          : { metadata: { resourceVersion: '5' }, items: [jobOf('b', '2')] },
      ),
    );
    const selector = { labels: 'a=b,c in (d)', fields: 'metadata.name=x' };
    expect(await api.list(JOBS, { selector })).toEqual({
      items: [jobOf('a', '1'), jobOf('b', '2')],
      resourceVersion: '5',
    });
    const selected = 'labelSelector=a%3Db%2Cc+in+%28d%29&fieldSelector=metadata.name%3Dx&limit=500';
    expect(asked()).toEqual([
      `GET /apis/batch/v1/namespaces/ml/jobs?${selected}`,
      `GET /apis/batch/v1/namespaces/ml/jobs?${selected}&continue=next`,
    ]);
  });

  test('a list anew where its pages are forgotten, and at last in one', async () => {
    const api = await rig.open();
    rig.server.answer(({ query }, response) => {
      if (query['continue'] !== undefined) return sendStatus(response, 410, { reason: 'Expired' });
      const more = query['limit'] === undefined ? {} : { continue: 'next' };
      return sendJson(response, { metadata: { resourceVersion: '5', ...more }, items: [jobOf('a', '1')] });
    });
    expect((await api.list(JOBS)).items).toHaveLength(1);
    expect(rig.server.received.map(({ query }) => query)).toEqual([
      { limit: '500' },
      { limit: '500', continue: 'next' },
      { limit: '500' },
      { limit: '500', continue: 'next' },
      {},
    ]);
  });

  test('an empty list, as Go writes it', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => sendJson(response, { metadata: { resourceVersion: '5' }, items: null }));
    expect(await api.list(JOBS)).toEqual({ items: [], resourceVersion: '5' });
  });
});

describe('makes, changes and deletes', () => {
  test('with unknown fields refused; warnings are told once', async () => {
    const warnings: string[] = [];
    const api = await rig.open({ onWarning: (text) => warnings.push(text) });
    const warning = ['299 - "would violate \\"restricted\\", really"', '299 - "unknown field"'];
    rig.server.answer((_, response) => sendJson(response, jobOf('train', '1'), { status: 201, headers: { warning } }));
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'train' } };
    expect(await api.create(JOBS, job)).toEqual(jobOf('train', '1'));
    await api.create(JOBS, job, { isDryRun: true });
    await api.patch(TRAIN, { metadata: { labels: { a: null } } });
    expect(rig.server.received.map(({ body, headers }) => [headers['content-type'], body])).toEqual([
      ['application/json', job],
      ['application/json', job],
      ['application/merge-patch+json', { metadata: { labels: { a: null } } }],
    ]);
    expect(asked()).toEqual([
      'POST /apis/batch/v1/namespaces/ml/jobs?fieldManager=mlv&fieldValidation=Strict',
      'POST /apis/batch/v1/namespaces/ml/jobs?fieldManager=mlv&fieldValidation=Strict&dryRun=All',
      'PATCH /apis/batch/v1/namespaces/ml/jobs/train?fieldManager=mlv&fieldValidation=Strict',
    ]);
    expect(warnings).toEqual(['would violate "restricted", really', 'unknown field']);
  });

  test('one very object, or learns that there was none', async () => {
    const api = await rig.open();
    rig.server.answer(({ path }, response) =>
      path.endsWith('train') ? sendJson(response, { kind: 'Status', status: 'Success' }) : sendStatus(response, 404),
    );
    expect(await api.delete(TRAIN, { uid: 'u', propagationPolicy: 'Foreground' })).toBe(true);
    expect(await api.delete({ ...JOBS, name: 'other' })).toBe(false);
    expect(rig.server.received.map(({ body }) => body)).toEqual([
      { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground', preconditions: { uid: 'u' } },
      { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' },
    ]);
  });
});

const FORBIDDEN =
  'jobs.batch is forbidden: User "me" cannot create resource "jobs" in API group "batch" in the namespace "ml"';

describe('a refusal is told with what to do:', () => {
  test.each([
    [
      403,
      { reason: 'Forbidden', message: FORBIDDEN },
      {
        code: 'kubernetes-forbidden',
        message: `you may not create jobs.batch in namespace "ml" of context "test": ${FORBIDDEN}`,
        hint: expect.stringContaining('"kubectl auth can-i create jobs.batch -n ml"'),
      },
    ],
    [
      403,
      { reason: 'Forbidden', message: 'pods "x" is forbidden: violates PodSecurity "restricted:latest": a' },
      { code: 'kubernetes-forbidden', hint: 'A rule of the cluster forbids it: what it says names the field.' },
    ],
    [
      403,
      { reason: 'Forbidden', message: 'pods "x" is forbidden: exceeded quota: team, requested: cpu=8' },
      {
        code: 'kubernetes-quota',
        message:
          'the quota of namespace "ml" of context "test" is used up: pods "x" is forbidden: exceeded quota: team, requested: cpu=8',
      },
    ],
    [
      409,
      { reason: 'AlreadyExists', message: 'jobs.batch "train" already exists' },
      { code: 'kubernetes-conflict', kind: 'conflict' },
    ],
    [
      422,
      {
        reason: 'Invalid',
        message: 'Job.batch "train" is invalid',
        details: { causes: [{ field: 'spec.x', message: 'Required value', reason: 'FieldValueRequired' }, 7] },
      },
      { code: 'kubernetes-refused', items: ['spec.x: Required value'] },
    ],
    [
      400,
      { reason: 'BadRequest', message: 'strict decoding error: unknown field "spec.\u001b[2Jy"' },
      {
        code: 'kubernetes-refused',
        message:
          'the cluster refuses to create jobs.batch in namespace "ml" of context "test": strict decoding error: unknown field "spec.y"',
      },
    ],
    [
      404,
      { reason: 'NotFound', message: 'namespaces "ml" not found' },
      { code: 'kubernetes-missing', kind: 'missing' },
    ],
    [302, {}, { code: 'kubernetes-answer-invalid' }],
  ])('%i %j', async (status, details, expected) => {
    const api = await rig.open();
    rig.server.answer((_, response) => sendStatus(response, status, details));
    expect(await failureOf(api.create(JOBS, { metadata: { name: 'train' } }))).toMatchObject(expected);
    expect(rig.server.received).toHaveLength(1);
  });

  test('a verb and a subresource are named', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) =>
      sendStatus(response, 403, { message: 'User "me" cannot get resource "pods/log"' }),
    );
    const pod = { ...coreCollection('pods', 'ml'), name: 'p' };
    const read = async () => {
      for await (const _ of api.logs(pod, { container: 'c' })) break;
    };
    expect(await failureOf(read())).toMatchObject({
      message: expect.stringContaining('you may not get pods/log "p" in namespace "ml"'),
      hint: expect.stringContaining('kubectl auth can-i get pods --subresource=log -n ml'),
    });
  });
});

describe('what fails in passing is asked again:', () => {
  test.each([
    ['429, after as long as the server says', 429, { headers: { 'retry-after': '1' } }],
    ['503', 503, {}],
    ['500', 500, { reason: 'InternalError', message: 'etcdserver: leader changed' }],
    ['504 that says when to come again', 504, { details: { retryAfterSeconds: 1 } }],
  ])('%s', async (_, status, details) => {
    const api = await rig.open({ patienceMs: 10_000 });
    const began = performance.now();
    rig.server.answer((__, response) =>
      rig.server.received.length < 2 ? sendStatus(response, status, details) : sendJson(response, jobOf('train', '1')),
    );
    expect(await api.get(TRAIN)).toEqual(jobOf('train', '1'));
    const waits = JSON.stringify(details).includes('1') ? 990 : 0;
    expect(performance.now() - began).toBeGreaterThanOrEqual(waits);
  });

  test('a connection that is cut, before the answer and within it', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => {
      const text = JSON.stringify(jobOf('train', '1'));
      if (rig.server.received.length === 1) return void response.destroy();
      response.writeHead(200, { 'content-length': text.length });
      if (rig.server.received.length > 2) return void response.end(text);
      return void response.write(text.slice(0, 10), () => response.destroy());
    });
    expect(await api.get(TRAIN)).toEqual(jobOf('train', '1'));
    expect(rig.server.received).toHaveLength(3);
  });

  test('an answer that does not come', async () => {
    const api = await rig.open({ silenceMs: 150 });
    rig.server.answer((_, response) => {
      if (rig.server.received.length > 2) return sendJson(response, jobOf('train', '1'));
      if (rig.server.received.length === 2) response.writeHead(200).write('{');
      return undefined;
    });
    expect(await api.get(TRAIN)).toEqual(jobOf('train', '1'));
    expect(rig.server.received).toHaveLength(3);
  });

  test('but making something whose name the server chooses is not, unless the server turned it away', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => void response.destroy());
    await failureOf(api.create(JOBS, { metadata: { generateName: 'train-' } }));
    expect(rig.server.received).toHaveLength(1);
    rig.server.answer((_, response) =>
      rig.server.received.length === 2
        ? sendStatus(response, 429, { headers: { 'retry-after': '0' } })
        : sendJson(response, jobOf('train-x', '1')),
    );
    await api.create(JOBS, { metadata: { generateName: 'train-' } });
    expect(rig.server.received).toHaveLength(3);
  });

  test('a quota that is just being counted', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) =>
      rig.server.received.length === 1
        ? sendStatus(response, 409, { reason: 'Conflict', message: 'Operation cannot be fulfilled on resourcequotas' })
        : sendJson(response, jobOf('train', '1')),
    );
    expect(await api.create(JOBS, { metadata: { name: 'train' } })).toEqual(jobOf('train', '1'));
  });

  test('until patience ends', async () => {
    const api = await rig.open({ patienceMs: 1_000 });
    rig.server.answer((_, response) => sendStatus(response, 500, { message: 'failed calling webhook' }));
    expect(await failureOf(api.get(TRAIN))).toMatchObject({
      code: 'kubernetes-server-failing',
      message: 'cannot get jobs.batch "train" in namespace "ml" of context "test": failed calling webhook',
    });
    expect(rig.server.received.length).toBeGreaterThan(1);
    await rig.server.close();
    expect(await failureOf(api.get(TRAIN))).toMatchObject({
      code: 'kubernetes-unreachable',
      hint: expect.stringContaining('kubectl cluster-info'),
    });
  });
});

describe('what answers is not believed:', () => {
  test.each([
    ['a page', '<html>log in</html>'],
    ['JSON that is no object', '[1]'],
    ['an object without what every object has', '{"metadata": {"name": "x", "uid": 1}}'],
    ['JSON that is cut', '{"metadata": '],
  ])('%s', async (_, text) => {
    const api = await rig.open();
    rig.server.answer((__, response) => void response.writeHead(200).end(text));
    expect(await failureOf(api.get(TRAIN))).toMatchObject({ code: 'kubernetes-answer-invalid' });
  });

  test('an answer without end', async () => {
    const api = await rig.open();
    rig.server.answer((_, response) => {
      response.writeHead(200);
      const piece = Buffer.alloc(8 << 20, ' ');
      const more = (): void => void (response.destroyed || response.write(piece, more));
      more();
    });
    expect(await failureOf(api.list(JOBS))).toMatchObject({ code: 'kubernetes-answer-invalid' });
  });

  test('a refusal without end, or that is a page', async () => {
    const api = await rig.open({ patienceMs: 10 });
    rig.server.answer((_, response) => void response.writeHead(403).end('<html>'));
    expect(await failureOf(api.get(TRAIN))).toMatchObject({
      code: 'kubernetes-forbidden',
      message: 'you may not get jobs.batch "train" in namespace "ml" of context "test": it answered 403',
    });
    rig.server.answer((_, response) => void response.writeHead(403).end(Buffer.alloc(2 << 20, 'x')));
    expect(await failureOf(api.get(TRAIN))).toMatchObject({ code: 'kubernetes-server-failing' });
  });
});

test('whoever asks can stop asking', async () => {
  const api = await rig.open({ patienceMs: 60_000 });
  const stop = new AbortController();
  rig.server.answer(() => stop.abort(new Error('enough')));
  expect(await failureOf(api.get(TRAIN, { signal: stop.signal }))).toMatchObject({ message: 'enough' });
  expect(await failureOf(api.list(JOBS, { signal: stop.signal }))).toMatchObject({ message: 'enough' });
  const later = new AbortController();
  rig.server.answer((_, response) => {
    sendStatus(response, 503, { headers: { 'retry-after': '50' } });
    setTimeout(() => later.abort(new Error('enough of waiting')), 50);
  });
  expect(await failureOf(api.get(TRAIN, { signal: later.signal }))).toMatchObject({ message: 'enough of waiting' });
});
