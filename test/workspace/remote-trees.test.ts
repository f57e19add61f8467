import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { parseRepoPath } from '../../src/domain/repo-path.ts';
import { findIncomplete } from '../../src/workspace/remote-trees.ts';
import type { ScopedVersion } from '../../src/workspace/verify-scope.ts';
import type { Rig } from '../storage/transfer-rig.ts';
import { addTree, createRig, manyFiles, watch } from '../storage/transfer-rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.dispose());

function version(hash: Digest, name: string): ScopedVersion {
  return {
    path: parseRepoPath(name),
    pointer: { version: 1, type: 'dir', hash, size: 0, files: 1 },
    selection: 'all',
    revision: undefined,
    name,
    expected: 'all',
  };
}

test('whether a remote is complete costs requests that do not depend on the number of files', async () => {
  const requests: number[] = [];
  for (const count of [10, 20_000]) {
    const tree = await addTree(rig.cache(`a${count}`), manyFiles(count));
    const partial = await addTree(rig.cache(`a${count}`), { ...manyFiles(count), x: 'not pushed' });
    await rig.push(`a${count}`, [tree]);
    const { home, counts } = watch(rig.home);
    const remote = await rig.remote(`b${count}`, home);
    const incomplete = await findIncomplete(
      [version(tree.digest, 'whole'), version(partial.digest, 'partial')],
      (digests, as) => remote.find(digests, as),
      new Map(),
    );
    expect(incomplete.map(({ name }) => name)).toEqual(['partial']);
    requests.push(counts.lists + counts.reads);
    expect(counts.bytesRead).toBeLessThan(100_000);
  }
  // An index that is too large to be fetched whole is read by parts.
  expect(Math.max(...requests)).toBeLessThan(12);
});
