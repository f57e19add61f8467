import { describe, expect, test } from 'vitest';
import { GPU_TYPE_SETTINGS, KUBERNETES_SETTINGS } from '../../src/domain/kubernetes-profile.ts';
import { editSettings, parseSettings } from '../../src/domain/settings-document.ts';
import { parsePlainSettings } from '../../src/domain/settings-file.ts';
import { parseSetting, resolveSettings } from '../../src/domain/settings.ts';

const PATH = '.mlv/config.yaml';
const TRACKED = `version: 1
kubernetes:
  gpu:
    namespace: ml
    image: node:20-slim@sha256:${'1'.repeat(64)}
    pullSecrets: [hub, registry.eu]
    cpuScale: 0.9
    ttl: 1d
    cpu: 500m
    memory: 8Gi
    gpuTypes:
      a100:
        nodeSelector: [nvidia.com/gpu.product=A100, tier=]
        tolerations: [nvidia.com/gpu:NoSchedule, spot=true:NoExecute, team=ml, any]
      tpu-v5:
        resource: google.com/tpu
  cpu:
    queue: batch
`;
const CLONE = 'version: 1\nkubernetes:\n  gpu:\n    context: prod\n    memory: 16Gi\n';

describe('profiles of clusters', () => {
  test('are laid over each other, setting by setting, with defaults for what nobody set', () => {
    const tracked = parseSettings(TRACKED, 'tracked', PATH);
    const clone = parseSettings(CLONE, 'clone', 'clone.yaml');
    const defaults = {
      image: 'node:20-slim',
      pullSecrets: [],
      interrupt: 'ask',
      imageGrace: 300,
      cpuScale: 1,
      runAsUser: 65_532,
      ttl: 604_800,
    };
    expect(resolveSettings([clone, tracked]).kubernetes).toEqual(
      new Map([
        [
          'gpu',
          {
            ...defaults,
            name: 'gpu',
            context: 'prod',
            namespace: 'ml',
            image: `node:20-slim@sha256:${'1'.repeat(64)}`,
            pullSecrets: ['hub', 'registry.eu'],
            cpuScale: 0.9,
            ttl: 86_400,
            cpu: 0.5,
            memory: 16 * 1024 ** 3,
            gpuTypes: new Map([
              [
                'a100',
                {
                  resource: 'nvidia.com/gpu',
                  nodeSelector: new Map([
                    ['nvidia.com/gpu.product', 'A100'],
                    ['tier', ''],
                  ]),
                  tolerations: [
                    { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
                    { key: 'spot', operator: 'Equal', value: 'true', effect: 'NoExecute' },
                    { key: 'team', operator: 'Equal', value: 'ml' },
                    { key: 'any', operator: 'Exists' },
                  ],
                },
              ],
              ['tpu-v5', { resource: 'google.com/tpu', nodeSelector: new Map(), tolerations: [] }],
            ]),
          },
        ],
        ['cpu', { ...defaults, name: 'cpu', queue: 'batch', gpuTypes: new Map() }],
      ]),
    );
  });

  test('may stand in tracked settings, but for the context', () => {
    const untracked = Object.entries({ ...KUBERNETES_SETTINGS, ...GPU_TYPE_SETTINGS })
      .filter(([, { tracked }]) => !tracked)
      .map(([field]) => field);
    expect(untracked).toEqual(['context']);
    expect(() => parseSettings(CLONE, 'tracked', PATH)).toThrow(expect.objectContaining({ code: 'config-not-here' }));
  });

  test.each([
    ['namespace', 'Team'],
    ['namespace', 'a.b'],
    ['serviceAccount', '-x'],
    ['image', 'https://example.org'],
    ['pullSecrets', 'a,,b'],
    ['queue', 'x'.repeat(64)],
    ['interrupt', 'stop'],
    ['imageGrace', '-1'],
    ['cpuScale', '0'],
    ['cpuScale', '1e-3'],
    ['runAsUser', '1.5'],
    ['runAsUser', '2147483648'],
    ['ttl', 'soon'],
    ['cpu', 'all'],
    ['memory', '8 GiB of it'],
    ['gpuTypes.a.resource', 'nvidia.com/'],
    ['gpuTypes.a.resource', 'gpu'],
    ['gpuTypes.a.nodeSelector', 'gpu'],
    ['gpuTypes.a.nodeSelector', 'a=b=c'],
    ['gpuTypes.a.tolerations', 'a:noschedule'],
    ['gpuTypes.a.tolerations', '=b:NoSchedule'],
  ])('have no %s of %j', (field, value) => {
    expect(() => parseSetting(`kubernetes.x.${field}`, value, { scope: 'clone', origin: PATH })).toThrow(
      expect.objectContaining({ code: 'config-value' }),
    );
  });

  test('are written as they are given, and taken out', () => {
    const place = { scope: 'clone', path: PATH } as const;
    const changes = [
      ['kubernetes.gpu.cpuScale', '0.95'],
      ['kubernetes.gpu.imageGrace', '10m'],
      ['kubernetes.gpu.gpuTypes.a100.tolerations', 'spot=true:NoExecute,any'],
    ] as const;
    const text = changes.reduce((before, [key, value]) => editSettings(before, key, value, place), '');
    expect(text).toBe(
      'version: 1\nkubernetes:\n  gpu:\n    cpuScale: 0.95\n    imageGrace: 10m\n    gpuTypes:\n      a100:\n        tolerations: [spot=true:NoExecute, any]\n',
    );
    expect(parsePlainSettings(text, 'clone', PATH)).toEqual(parseSettings(text, 'clone', PATH));
    for (const [key, value] of changes) expect(editSettings(text, key, value, place)).toBe(text);
    expect(editSettings(text, 'kubernetes.gpu.gpuTypes.a100.tolerations', undefined, place)).toBe(
      'version: 1\nkubernetes:\n  gpu:\n    cpuScale: 0.95\n    imageGrace: 10m\n',
    );
    expect(editSettings(text, 'kubernetes.gpu', undefined, place)).toBe('version: 1\n');
  });

  test('may be begun without a word in them', () => {
    for (const text of [
      'kubernetes:\n',
      'kubernetes:\n  gpu:\n',
      'kubernetes:\n  gpu:\n    gpuTypes:\n      a100:\n',
    ]) {
      expect(parsePlainSettings(text, 'tracked', PATH)).toEqual([]);
    }
  });
});
