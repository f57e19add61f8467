import { existsSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { probeDisk } from '../../src/platform/disk-probe.ts';
import type { DoctorResult } from '../../src/workspace/doctor.ts';
import { doctor } from '../../src/workspace/doctor.ts';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';

let rig: MlvRig;

beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

const LINKS = { reflink: expect.any(Boolean), copy: true, symlink: true };

test('tells what a project has to work with, and leaves no trace', async () => {
  const { root } = await rig.project('project');
  const before = readdirSync(join(root, '.git/mlv/cache/tmp'));
  const result = await doctor({ cwd: root, environment: rig.env });
  expect(result).toEqual({
    versions: { mlv: '0.1.0', node: process.versions.node, platform: `${process.platform} ${process.arch}` },
    hashing: 'native',
    git: { engine: 'git', version: expect.stringMatching(/^\d+\.\d+/) },
    project: {
      root,
      gitDir: join(root, '.git'),
      isLinkedWorktree: false,
      settings: [
        { scope: 'user', file: join(rig.folder, 'home/.config/mlv/config.yaml'), exists: false },
        { scope: 'tracked', file: join(root, '.mlv/config.yaml'), exists: true },
        { scope: 'clone', file: join(root, '.git/mlv/config.yaml'), exists: false },
      ],
      cache: {
        folder: join(root, '.git/mlv/cache'),
        packBelow: expect.any(Number),
        isOnProjectDisk: true,
        disk: {
          freeBytes: expect.any(Number),
          totalBytes: expect.any(Number),
          writable: {
            links: LINKS,
            ignoresCase: existsSync(join(root, '.GIT')),
            ignoresNormalisation: expect.any(Boolean),
            timeGrain: expect.any(Number),
          },
        },
      },
    },
    problems: [],
  } satisfies DoctorResult);
  expect(readdirSync(join(root, '.git/mlv/cache/tmp'))).toEqual(before);
});

test('without a git program it says which Git answers instead', async () => {
  const { root } = await rig.project('without');
  const environment = { ...rig.env, PATH: rig.folder };
  expect((await doctor({ cwd: root, environment })).git).toEqual({
    engine: 'isomorphic-git',
    version: expect.stringMatching(/^\d+\.\d+/),
  });
});

test('problems are told beside what is known, not instead of it', async () => {
  const { root } = await rig.project('problem');
  writeFileSync(join(root, '.mlv/config.yaml'), 'nonsense: 1\n');
  const { code, stdout, stderr } = await rig.mlv(root, ['doctor']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.split('\n');
  expect(lines[0]).toBe('mlv               0.1.0');
  expect(lines).toContain('problem: .mlv/config.yaml:1:1: no setting is called "nonsense"');
});

test('outside a project it tells what is there', async () => {
  const { stdout } = await rig.mlv(rig.folder, ['doctor']);
  expect(stdout.replaceAll(rig.folder, '/tmp').split('\n').slice(4)).toEqual([
    '',
    'problem: /tmp is not in an mlv project: no folder above it has .mlv/config.yaml',
    'hint: git init, then mlv init (or mlv init --no-git to do without Git)',
    '',
  ]);
});

test('a folder that does not exist yet is tried and not left behind', () => {
  expect(probeDisk(join(rig.folder, 'a/b/c')).writable?.links).toEqual(LINKS);
  expect(existsSync(join(rig.folder, 'a'))).toBe(false);
});

test('where nothing can be written only the space is known', () => {
  symlinkSync('nowhere', join(rig.folder, 'dangling'));
  const { writable, totalBytes } = probeDisk(join(rig.folder, 'dangling'));
  expect(writable).toBeUndefined();
  expect(totalBytes).toBeGreaterThan(0);
});
