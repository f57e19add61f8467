import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CommitId } from '../../src/git/git.ts';
import { distinctFiles, parseTree, type TreeEntry, type TreeSource } from '../../src/git/trees.ts';

describe('parseTree', () => {
  it.each([20, 32])('reads back entries with ids of %i bytes', (idBytes) => {
    const entry = fc.record({
      name: fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !/[/\0]/.test(name)),
      mode: fc.constantFrom('040000', '100644', '100755', '120000', '160000'),
      id: fc.uint8Array({ minLength: idBytes, maxLength: idBytes }).map((id) => Buffer.from(id).toString('hex')),
    });
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const written = entries.map(({ name, mode, id }) =>
          Buffer.concat([Buffer.from(`${mode.replace(/^0/, '')} ${name}\0`), Buffer.from(id, 'hex')]),
        );
        expect(parseTree(Buffer.concat(written), idBytes)).toEqual(entries);
      }),
    );
  });
});

describe('distinctFiles', () => {
  const file = (name: string, id: string): TreeEntry => ({ name, mode: '100644', id });
  const folder = (name: string, id: string): TreeEntry => ({ name, mode: '040000', id });
  /** Commit N has tree N: a shared folder of 100 folders, and one that differs. */
  const trees = new Map<string, TreeEntry[]>([['leaf', [file('f', 'blob')]]]);
  trees.set(
    'shared',
    Array.from({ length: 100 }, (_, n) => folder(`${n}`, 'leaf')),
  );
  const commits = Array.from({ length: 50 }, (_, n) => `${n}` as CommitId);
  for (const n of commits) {
    trees.set(`own ${n}`, [file('f', `blob ${n}`)]);
    trees.set(n, [folder('own', `own ${n}`), folder('shared', 'shared')]);
  }

  it('reads a folder that commits share once for each path, and only a few before it is asked for more', async () => {
    const reads: string[] = [];
    let underWay = 0;
    let most = 0;
    const source: TreeSource = {
      commit: async (id) => ({ tree: id }),
      async tree(id) {
        reads.push(id);
        most = Math.max(most, ++underWay);
        await new Promise(setImmediate);
        underWay--;
        return trees.get(id) ?? [];
      },
    };
    const found: string[] = [];
    for await (const { path, blob } of distinctFiles(source, { commits, accept: () => true }))
      found.push(`${path} ${blob}`);
    const expected = [
      ...Array.from({ length: 100 }, (_, n) => `shared/${n}/f blob`),
      ...commits.map((n) => `own/f blob ${n}`),
    ];
    expect(found.sort()).toEqual(expected.sort());
    expect(reads.length).toBe(commits.length * 2 + 1 + 100);
    expect(most).toBeLessThanOrEqual(32);
  });
});
