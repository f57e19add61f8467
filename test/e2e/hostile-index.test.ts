/** A remote whose index claims what cannot be: neither memory nor disk is filled, and what is wrong is told. */
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { digestToBytes } from '../../src/domain/digest.ts';
import { formatDescription, keyPath } from '../../src/domain/remote-layout.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { buildIndex } from '../../src/storage/build-index.ts';
import { createRowCollector } from '../../src/storage/row-collector.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import type { SharedProject } from '../support/shared-project.ts';
import { shareProject } from '../support/shared-project.ts';

let rig: MlvRig;
let project: SharedProject;
let root: Digest;
beforeAll(async () => {
  rig = makeMlvRig();
  project = await shareProject(rig, 'claims', { 'data/a': 'a' }, 'data');
  const [hash] = /(?<=b3:)[0-9a-f]{64}/.exec(readFileSync(join(project.root, 'data.mlv'), 'utf8')) ?? [];
  root = hash as Digest;
});
afterAll(() => rig.dispose());

/** Makes the remote anew: it says that the root of `data` is so long, in a pack of 5 GiB of nothing. */
function claim(kind: 'tree-pack' | 'pack', offset: number, length: number): void {
  rmSync(project.remote, { recursive: true, force: true });
  const key = { kind, hash: root };
  const pack = join(project.remote, keyPath(key));
  const rows = createRowCollector();
  rows.add(key, [{ digest: digestToBytes(root), offset, length }]);
  const index = buildIndex({ ...rows.take(), roots: [], asOf: Date.now(), hash: hashEngine().hash });
  mkdirSync(dirname(pack), { recursive: true });
  mkdirSync(join(project.remote, 'index'));
  writeFileSync(pack, '');
  truncateSync(pack, 5 * 2 ** 30);
  writeFileSync(join(project.remote, 'mlv.json'), formatDescription());
  writeFileSync(join(project.remote, 'index', index.name), Buffer.concat(index.chunks));
}

test.each([
  ['longer than any tree object', 0, 3 * 2 ** 30],
  ['longer than any file', 2 ** 47, 2 ** 47],
  ['beyond its pack', 2 ** 47, 1000],
])('a place %s is damage of the remote', async (name, offset, length) => {
  for (const kind of ['tree-pack', 'pack'] as const) {
    claim(kind, offset, length);
    const clone = project.clone(`${kind}-${length}-${name.length}`);
    const fetched = await rig.mlv(clone.root, ['--no-progress', 'fetch']);
    expect([fetched.code, fetched.stdout]).toEqual([1, expect.stringContaining('data (damaged on the remote)')]);
    const quick = await rig.mlv(clone.root, ['--no-progress', 'verify', '--quick']);
    expect([quick.stderr.includes('bug'), quick.code]).toEqual([false, kind === 'pack' ? 1 : 0]);
    const whole = await rig.mlv(clone.root, ['--no-progress', 'verify', '--remote']);
    expect([whole.stderr.includes('bug'), whole.code, whole.stdout]).toEqual([
      false,
      1,
      expect.stringContaining('not sound'),
    ]);
  }
});
