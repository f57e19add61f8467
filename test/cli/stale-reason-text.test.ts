import { expect, test } from 'vitest';
import { staleReasonText } from '../../src/cli/stale-reason-text.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import type { StaleReason } from '../../src/domain/staleness.ts';
import { fileOf } from '../support/stages.ts';

const path = 'src/train.py' as RepoPath;
const file = 'params.yaml' as RepoPath;
const [from, to] = [fileOf('a'), fileOf('b')];
const long = `python train.py --data some/very/long/path/to/data`;
const paths = (...names: string[]): RepoPath[] => names as RepoPath[];

test.each<[StaleReason, string]>([
  [{ type: 'never-run' }, 'never ran'],
  [{ type: 'forced' }, 'forced'],
  [{ type: 'always-changed' }, 'always_changed is set'],
  [{ type: 'nothing-declared' }, 'declares nothing that could be compared'],
  [{ type: 'command', from: ['a', 'b'], to: ['a'] }, 'changed command (a ; b → a)'],
  [{ type: 'command', from: [`${long} --lr 0.1`], to: [`${long} --lr 0.2`] }, 'changed command (… 0.1 → … 0.2)'],
  [
    { type: 'command', from: [`a${long}`], to: [`b${long}`] },
    'changed command (apython train.py --data some/very/long/… → bpython train.py --data some/very/long/…)',
  ],
  [
    { type: 'command', from: [long], to: [`${long} -v`] },
    'changed command (… some/very/long/path/to/data → … some/very/long/path/to/data -v)',
  ],
  [{ type: 'command', from: ['a\n  b'], to: ['a\u001b[31m'] }, 'changed command (a b → a\\x1b[31m)'],
  [{ type: 'wdir', from: '' as RepoPath, to: 'sub' as RepoPath }, 'changed wdir (. → sub)'],
  [
    { type: 'dependency-changed', path, from, to },
    `changed dependency src/train.py (b3:${from.hash.slice(0, 4)}… → b3:${to.hash.slice(0, 4)}…)`,
  ],
  [
    { type: 'dependency-changed', path, from, to: { ...from, exec: true } },
    'changed dependency src/train.py (executable now)',
  ],
  [
    { type: 'dependency-changed', path, from: { ...from, exec: true }, to: from },
    'changed dependency src/train.py (no longer executable)',
  ],
  [
    { type: 'dependency-changed', path, from, to: { ...to, type: 'dir', files: 1 } },
    'changed dependency src/train.py (a file → a folder)',
  ],
  [{ type: 'dependency-added', path, to }, 'new dependency src/train.py'],
  [{ type: 'dependency-removed', path, from }, 'dependency src/train.py is no longer declared'],
  [{ type: 'dependency-missing', path }, 'missing dependency src/train.py'],
  [{ type: 'parameter', file, key: 'lr', from: 0.1, to: '0.1' }, 'changed parameter lr of params.yaml (0.1 → "0.1")'],
  [{ type: 'parameter', file, key: 'lr', from: undefined, to: null }, 'new parameter lr of params.yaml (null)'],
  [{ type: 'parameter', file, key: 'lr', from: [1], to: undefined }, 'parameter lr of params.yaml is gone (was [1])'],
  [{ type: 'parameter', file, key: '', from: undefined, to: {} }, 'new parameters: all of params.yaml'],
  [{ type: 'parameter', file, key: '', from: {}, to: undefined }, 'params.yaml as a whole is no longer a parameter'],
  [{ type: 'parameter', file, key: '', from: [], to: {} }, 'changed parameters params.yaml'],
  [{ type: 'environment', name: 'SEED', change: 'changed' }, 'changed environment variable SEED'],
  [{ type: 'environment', name: 'SEED', change: 'added' }, 'new environment variable SEED'],
  [{ type: 'environment', name: 'SEED', change: 'removed' }, 'environment variable SEED is no longer declared'],
  [
    { type: 'tool', name: 'python', from: 'Python 3.12', to: 'Python 3.13' },
    'changed tool python (Python 3.12 → Python 3.13)',
  ],
  [{ type: 'tool', name: 'python', from: undefined, to: 'Python 3.13' }, 'new tool python (Python 3.13)'],
  [{ type: 'tool', name: 'python', from: 'Python 3.12', to: undefined }, 'tool python is no longer declared'],
  [{ type: 'image', from: undefined, to: 'python:3.12' }, 'changed image (none → python:3.12)'],
  [
    {
      type: 'outputs-declared',
      added: paths('a', 'b', 'c', 'd', 'e'),
      removed: paths('f'),
      changedOptions: paths('g'),
    },
    'changed declaration of outputs (new: a, b, c, 2 more; no longer declared: f; kept otherwise: g)',
  ],
  [
    { type: 'output-changed', path, from, to },
    `changed output src/train.py (b3:${from.hash.slice(0, 4)}… → b3:${to.hash.slice(0, 4)}…)`,
  ],
  [{ type: 'output-deleted', path }, 'deleted output src/train.py'],
])('of %j people read "%s"', (reason, text) => {
  expect(staleReasonText(reason)).toBe(text);
});
