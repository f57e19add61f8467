import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose());

test('20,000 files of every kind come out of a clone as they went in', { timeout: 120_000 }, async () => {
  const { root, git, clone, version } = await shareProject(rig, 'real');
  const folder = join(root, 'data');
  makeRealisticFolder(folder, 20_000);
  const started = performance.now();
  await version({}, 'data');
  await told(rig, root, ['push']);
  const other = clone('real-clone').root;
  await told(rig, other, ['pull']);
  const seconds = (performance.now() - started) / 1000;
  // `diff` exits with 1, and this throws, when anything differs.
  expect(execFileSync('diff', ['-r', '--no-dereference', folder, join(other, 'data')]).toString()).toBe('');
  expect(Object.entries(modes(join(other, 'data')))).toEqual(Object.entries(modes(folder)));
  expect((await data<{ clean: boolean }>(rig, other, ['status'])).clean).toBe(true);
  expect(git('status', '--porcelain')).toBe('');
  console.log(`add, push, clone and pull of 20,000 files: ${seconds.toFixed(1)} s`);
  expect(seconds).toBeLessThan(100);
});

/** Files of 0 to 40 KB, mostly small, in folders of all depths, some with odd names, some executable, some large, and links. */
function makeRealisticFolder(folder: string, count: number): void {
  const names = [
    'plain.txt',
    'with space.csv',
    'ünïcode.json',
    '日本語.png',
    '-dash',
    '#hash',
    'tab\there',
    'new\nline',
    '100%',
    "it's",
    '$HOME',
    '*',
  ];
  // Incompressible, distinct, and the same every time.
  const noise = Buffer.concat(
    Array.from({ length: 4_096 }, (_, index) => createHash('sha512').update(String(index)).digest()),
  );
  let random = 1;
  const next = (below: number): number => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((random / 2 ** 32) * below);
  };
  const made = new Set<string>();
  for (let index = 0; index < count; index++) {
    const depth = next(4);
    const parents = Array.from(
      { length: depth },
      (_, level) => `${['train', 'test', 'raw data'][level] ?? ''}-${next(12)}`,
    );
    const parent = join(folder, ...parents);
    if (!made.has(parent)) mkdirSync(parent, { recursive: true });
    made.add(parent);
    const path = join(parent, `${index}-${names[next(names.length)] ?? ''}`);
    if (index % 400 === 0) {
      symlinkSync(`${'../'.repeat(next(depth + 1))}${index + 1}-elsewhere`, path);
      continue;
    }
    const large = index % 5_000 === 1 ? 9_000_000 + index : undefined;
    const size = large ?? (index % 50 === 2 ? 0 : Math.floor((next(1_000) / 1_000) ** 4 * 40_000));
    const bytes =
      large === undefined
        ? noise.subarray(next(noise.length - size), noise.length).subarray(0, size)
        : Buffer.alloc(large, noise);
    const content = Buffer.concat([Buffer.from(size === 0 ? '' : `${index}\n`), bytes]);
    writeFileSync(path, content, { mode: index % 100 === 3 ? 0o755 : 0o644 });
  }
  mkdirSync(join(folder, 'nothing/in/here'), { recursive: true });
}

function modes(folder: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    found[path.slice(folder.length)] = lstatSync(path).mode & 0o170_111;
  }
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}
