import fc from 'fast-check';
import { expect, test } from 'vitest';
import { amountOf, amountText } from '../../../src/execution/kubernetes/amounts.ts';
import { needsOf } from '../../../src/execution/kubernetes/draft.ts';
import { submissionOf } from '../../../src/execution/kubernetes/job.ts';
import type { SeenNode } from '../../../src/execution/kubernetes/node-fit.ts';
import { nodeFit } from '../../../src/execution/kubernetes/node-fit.ts';
import { quantity } from '../../../src/execution/kubernetes/pod-resources.ts';
import { amountOf as amountOfDouble } from '../../support/kubernetes/quantity.ts';
import { REQUESTS, requestOf } from './requests.ts';

const GI = 1024 ** 3;

interface NodeParts {
  readonly allocatable?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: NonNullable<SeenNode['spec']>['taints'];
}

function node(name: string, { allocatable = {}, labels = {}, taints = [] }: NodeParts = {}): SeenNode {
  return {
    metadata: { name, uid: name, resourceVersion: '1', labels },
    spec: { taints },
    status: { allocatable: { cpu: '8', memory: '32Gi', 'ephemeral-storage': '100Gi', ...allocatable } },
  };
}

function fit(request: keyof typeof REQUESTS, nodes: readonly SeenNode[]) {
  const { fitting, ...rest } = nodeFit(needsOf(submissionOf(REQUESTS[request] ?? requestOf()).job), nodes);
  return { fitting: fitting.map(({ metadata }) => metadata.name), ...rest };
}

test('amounts are read as Kubernetes writes them', () => {
  const given = [
    '1',
    '500m',
    '32780268Ki',
    '1.5Gi',
    '2e3',
    '.5',
    '100M',
    '1E',
    '',
    'x',
    '5 Gi',
    '1constructor',
    7,
    null,
    undefined,
  ];
  expect(given.map((each) => amountOf(each))).toEqual([
    1,
    0.5,
    32_780_268 * 1024,
    1.5 * GI,
    2000,
    0.5,
    1e8,
    1e18,
    undefined,
    undefined,
    undefined,
    undefined,
    7,
    undefined,
    undefined,
  ]);
  fc.assert(
    fc.property(fc.nat(2 ** 45), (bytes) => {
      expect(amountOf(quantity(bytes))).toBe(bytes);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const wanted = amountOfDouble(text);
      expect(amountOf(text)).toEqual(Number.isNaN(wanted) ? undefined : expect.closeTo(wanted));
    }),
  );
});

test('amounts are told short, and never as more than they are', () => {
  const told = [
    ['cpu', 7.91],
    ['memory', 32_780_268 * 1024],
    ['ephemeral-storage', 512 * 1024 ** 2],
    ['nvidia.com/gpu', 2],
  ] as const;
  expect(told.map(([name, amount]) => amountText(name, amount))).toEqual(['7.91', '31.2Gi', '512Mi', '2']);
});

test('a node fits by its labels, its lasting taints and what it has when it is empty', () => {
  const taints = [
    { key: 'nvidia.com/gpu', effect: 'NoSchedule' },
    { key: 'spot', value: 'true', effect: 'NoExecute' },
    { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' },
    { key: 'slow', effect: 'PreferNoSchedule' },
  ];
  const labels = { 'nvidia.com/gpu.product': 'A100', pool: '' };
  const allocatable = { memory: '80Gi', 'nvidia.com/gpu': '2' };
  const right = node('right', { allocatable, labels, taints });
  expect(fit('gpu-type', [node('plain'), right])).toEqual({
    fitting: ['right'],
    nearest: { node: 'right', lacks: [] },
    mayGrow: false,
  });
  const wrong = [
    node('plain'),
    node('other', {
      allocatable: { ...allocatable, 'nvidia.com/gpu': '1' },
      labels,
      taints: [{ key: 'spot', effect: 'NoExecute' }],
    }),
    node('one', { allocatable: { ...allocatable, 'nvidia.com/gpu': '1' }, labels }),
    node('none', { allocatable: { ...allocatable, 'nvidia.com/gpu': '0' }, labels }),
  ];
  expect(fit('gpu-type', wrong)).toEqual({
    fitting: [],
    nearest: { node: 'one', lacks: ['1 of 2 nvidia.com/gpu'] },
    mayGrow: false,
  });
  expect(fit('gpu-type', wrong.slice(1, 2)).nearest?.lacks).toEqual([
    'a taint spot:NoExecute that is not tolerated',
    '1 of 2 nvidia.com/gpu',
  ]);
  expect(fit('gpu-type', [])).toEqual({ fitting: [], nearest: undefined, mayGrow: false });
});

test('nodes of a pool may be joined by others', () => {
  const labels = { 'cloud.google.com/gke-nodepool': 'default' };
  expect(fit('any-gpu', [node('a', { labels })])).toEqual({
    fitting: [],
    nearest: { node: 'a', lacks: ['0 of 1 nvidia.com/gpu'] },
    mayGrow: true,
  });
});
