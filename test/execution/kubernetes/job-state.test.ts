import { describe, expect, test } from 'vitest';
import { jobState, newestOf, podFailure } from '../../../src/execution/kubernetes/job-state.ts';
import type { SeenContainer, SeenEvent, SeenJob, SeenPod } from '../../../src/execution/kubernetes/seen-objects.ts';

const meta = (name: string, at = '2026-01-01T00:00:00Z') => ({
  name,
  uid: `uid-of-${name}`,
  resourceVersion: '1',
  creationTimestamp: at,
});
const job = (...conditions: readonly (readonly [string, string?, string?])[]): SeenJob => ({
  metadata: meta('mlv-train'),
  status: {
    conditions: conditions.map(([type, reason, message]) => ({
      type,
      status: 'True',
      ...(reason !== undefined && { reason }),
      ...(message !== undefined && { message }),
    })),
  },
});
const pod = (status: SeenPod['status'] = {}, name = 'pod', at?: string): SeenPod => ({
  metadata: meta(name, at),
  status,
});
const ended = (name: string, exitCode: number, more: { reason?: string; message?: string } = {}): SeenContainer => ({
  name,
  state: { terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', ...more } },
});
const waiting = (name: string, reason: string, message?: string): SeenContainer => ({
  name,
  state: { waiting: { reason, ...(message !== undefined && { message }) } },
});
const running = (name: string): SeenContainer => ({ name, state: { running: {} } });
const event = (kind: string, reason: string, message: string, uid = 'uid-of-pod'): SeenEvent => ({
  metadata: meta(`${kind}-${reason}`),
  involvedObject: { kind, uid },
  type: 'Warning',
  reason,
  message,
});
const FAILED = job(['Failed', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit']);
const failedPod = (containers: readonly SeenContainer[], more: SeenPod['status'] = {}): SeenPod =>
  pod({
    phase: 'Failed',
    initContainerStatuses: containers.slice(0, 2),
    containerStatuses: containers.slice(2),
    ...more,
  });

describe('a job that goes on', () => {
  test.each<[string, SeenJob, SeenPod[], SeenEvent[], object]>([
    ['nothing is there yet', job(), [], [], { wait: 'starting', message: 'the pod is being made' }],
    ['a queue holds it', { ...job(), spec: { suspend: true } }, [], [], { wait: 'queued' }],
    ['a queue took it back', job(['Suspended', 'JobSuspended']), [pod({ phase: 'Failed' })], [], { wait: 'queued' }],
    [
      'its service account is not there',
      job(),
      [],
      [event('Job', 'FailedCreate', 'error looking up service account ml/train', 'uid-of-mlv-train')],
      { wait: 'no-pod', message: 'error looking up service account ml/train' },
    ],
    [
      'no node takes it',
      job(),
      [
        pod({
          phase: 'Pending',
          conditions: [
            { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/2 nodes are available' },
          ],
        }),
      ],
      [],
      { wait: 'unschedulable', message: '0/2 nodes are available' },
    ],
    [
      'an image does not come',
      job(),
      [
        pod({
          initContainerStatuses: [ended('fetch', 0), waiting('stage', 'ImagePullBackOff', 'Back-off pulling "x"')],
        }),
      ],
      [],
      { wait: 'image', message: 'stage: Back-off pulling "x"' },
    ],
    [
      'a secret is not there',
      job(),
      [pod({ initContainerStatuses: [waiting('fetch', 'CreateContainerConfigError', 'secret "s3" not found')] })],
      [],
      { wait: 'config', message: 'fetch: secret "s3" not found' },
    ],
    [
      'a volume does not come',
      job(),
      [pod({ initContainerStatuses: [waiting('fetch', 'PodInitializing')] })],
      [event('Pod', 'FailedMount', 'MountVolume.SetUp failed')],
      { wait: 'starting', message: 'MountVolume.SetUp failed' },
    ],
  ])('waits: %s', (_, seen, pods, events, state) => {
    expect(jobState({ job: seen, pods, events })).toMatchObject({ type: 'waiting', ...state });
  });

  test.each(['fetch', 'stage', 'push'] as const)('is in its step %s', (step) => {
    const names = ['fetch', 'stage', 'push'];
    const statuses = names.map((name, at) =>
      at < names.indexOf(step) ? ended(name, 0) : name === step ? running(name) : waiting(name, 'PodInitializing'),
    );
    const seen = pod({ initContainerStatuses: statuses.slice(0, 2), containerStatuses: statuses.slice(2) });
    expect(jobState({ job: job(), pods: [seen], events: [] })).toEqual({ type: 'active', step, pod: seen });
  });

  test('is told by its newest pod, and by none that has ended', () => {
    const [old, young] = [
      failedPod([ended('fetch', 67)]),
      pod({ phase: 'Running', initContainerStatuses: [running('stage')] }, 'b', '2026-01-02T00:00:00Z'),
    ];
    expect(newestOf([young, old])).toBe(young);
    expect(jobState({ job: job(), pods: [young, old], events: [] })).toMatchObject({ type: 'active' });
    const late = event('Job', 'FailedCreate', 'of the first try');
    expect(jobState({ job: job(), pods: [old], events: [late] })).toMatchObject({ wait: 'starting' });
    const later = { ...late, metadata: { ...late.metadata, creationTimestamp: '2026-01-03T00:00:00Z' } };
    expect(jobState({ job: job(), pods: [old], events: [late, later] })).toMatchObject({ wait: 'no-pod' });
  });
});

test('a job is complete once it says so, not when that is decided', () => {
  expect(jobState({ job: job(['SuccessCriteriaMet']), pods: [], events: [] }).type).toBe('waiting');
  expect(jobState({ job: job(['SuccessCriteriaMet'], ['Complete']), pods: [], events: [] })).toEqual({
    type: 'complete',
  });
});

describe('a job that failed', () => {
  const words = (code: string, message: string): string =>
    `fetched 1 GB\n${JSON.stringify({ code, message, hint: 'x' })}\n`;
  test.each<[string, SeenPod[], object, SeenJob?]>([
    [
      'its command',
      [failedPod([ended('fetch', 0), ended('stage', 3)])],
      { kind: 'command', step: 'stage', exitCode: 3, message: 'its command ended with code 3' },
    ],
    [
      'its command, killed',
      [failedPod([ended('fetch', 0), ended('stage', 137)])],
      { kind: 'command', message: 'its command was killed (code 137)' },
    ],
    [
      'memory',
      [failedPod([ended('fetch', 0), ended('stage', 137, { reason: 'OOMKilled' })])],
      { kind: 'out-of-memory', step: 'stage' },
    ],
    [
      'memory, of a pod that was disrupted by it',
      [
        failedPod([ended('fetch', 0), ended('stage', 137, { reason: 'OOMKilled' })], {
          conditions: [{ type: 'DisruptionTarget', status: 'True' }],
        }),
      ],
      { kind: 'out-of-memory' },
    ],
    [
      'disk',
      [
        failedPod([ended('fetch', 0), ended('stage', 0)], {
          reason: 'Evicted',
          message: 'Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.',
        }),
      ],
      { kind: 'out-of-disk' },
    ],
    [
      'a node that was short of memory',
      [
        failedPod([ended('fetch', 0), ended('stage', 143)], {
          reason: 'Evicted',
          message: 'The node was low on resource: memory.',
        }),
      ],
      { kind: 'preempted', message: 'The node was low on resource: memory.' },
    ],
    [
      'a preemption',
      [
        failedPod([ended('fetch', 143)], {
          conditions: [
            {
              type: 'DisruptionTarget',
              status: 'True',
              reason: 'PreemptionByScheduler',
              message: 'preempted by a greater one',
            },
          ],
        }),
      ],
      { kind: 'preempted', message: 'preempted by a greater one' },
    ],
    [
      'time, of a try',
      [
        failedPod([], {
          reason: 'DeadlineExceeded',
          message: 'Pod was active on the node longer than the specified deadline',
        }),
      ],
      { kind: 'timeout' },
    ],
    [
      'time, of all',
      [],
      { kind: 'timeout', message: 'Job was active longer than specified deadline' },
      job(['Failed', 'DeadlineExceeded', 'Job was active longer than specified deadline']),
    ],
    [
      'an image without a shell',
      [
        failedPod([
          ended('fetch', 0),
          ended('stage', 128, { reason: 'StartError', message: 'exec: "/bin/sh": no such file' }),
        ]),
      ],
      { kind: 'config', message: 'exec: "/bin/sh": no such file' },
    ],
    [
      'data',
      [failedPod([ended('fetch', 65, { message: words('data-unavailable', 'data/a is not on the remote') })])],
      { kind: 'data', step: 'fetch', message: 'data/a is not on the remote' },
    ],
    [
      'credentials',
      [failedPod([ended('fetch', 66, { message: words('remote-denied', 'AccessDenied') })])],
      { kind: 'credentials', message: 'AccessDenied' },
    ],
    [
      'the way there',
      [failedPod([ended('fetch', 67, { message: 'no JSON' })])],
      { kind: 'remote', message: 'no JSON' },
    ],
    [
      'room for the inputs',
      [failedPod([ended('fetch', 68)])],
      { kind: 'out-of-disk', message: 'fetch ended with code 68' },
    ],
    [
      'an output',
      [
        failedPod([
          ended('fetch', 0),
          ended('stage', 0),
          ended('push', 69, { message: words('output-not-made', 'model was not made') }),
        ]),
      ],
      { kind: 'output', step: 'push', message: 'model was not made' },
    ],
    ['what nobody can tell', [], { kind: 'unknown', message: 'Job has reached the specified backoff limit' }],
  ])('for %s', (_, pods, failure, seen = FAILED) => {
    expect(jobState({ job: seen, pods, events: [] })).toMatchObject({ type: 'failed', failure });
  });

  test('is told by its last pod', () => {
    const first = { ...failedPod([ended('fetch', 65)]), metadata: meta('a') };
    const last = { ...failedPod([ended('fetch', 0), ended('stage', 1)]), metadata: meta('b', '2026-01-01T00:00:09Z') };
    expect(jobState({ job: FAILED, pods: [last, first], events: [] })).toMatchObject({
      failure: { kind: 'command', pod: 'b' },
    });
    expect(podFailure(first)).toMatchObject({ kind: 'data', pod: 'a' });
    expect(podFailure(pod({ phase: 'Running' }))).toBeUndefined();
  });
});
