import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import type { EntryKind, TreeEntry } from '../../src/domain/tree.ts';
import { entryCursor } from '../../src/domain/tree-cursors.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import { modesOf } from '../../src/workspace/file-modes.ts';
import type { Workspace } from '../../src/workspace/open.ts';

const entry = (kind: EntryKind, path = 'run'): TreeEntry => ({
  path: treePathFromText(path),
  kind,
  size: 1,
  digest: kind.repeat(64) as Digest,
});
const workspace = (keepsModes: boolean): Workspace => ({ keepsModes: () => keepsModes }) as Workspace;

test.each([
  { found: 'f', base: 'x', kind: 'x' },
  { found: 'f', base: 'f', kind: 'f' },
  { found: 'f', base: 'l', kind: 'f' },
  { found: 'l', base: 'x', kind: 'l' },
  { found: 'd', base: 'x', kind: 'd' },
] as const)('without executable bits, $found that was $base is $kind', ({ found, base, kind }) => {
  const withMode = modesOf(workspace(false), () => entryCursor(entry(base)));
  expect(withMode(entry('f', 'a'))).toEqual(entry('f', 'a'));
  expect(withMode(entry(found))).toEqual({ ...entry(found), kind });
});

test('a disk that keeps executable bits is believed, and the base not looked at', () => {
  const withMode = modesOf(workspace(true), () => {
    throw new Error('nobody needs the base');
  });
  for (const kind of ['f', 'x', 'l', 'd'] as const) expect(withMode(entry(kind))).toEqual(entry(kind));
});
