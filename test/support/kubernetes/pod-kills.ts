/** A pod whose containers are killed at any moment, and run again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RepoPath } from '../../../src/domain/repo-path.ts';
import type { Random } from '../../harness/random.ts';
import { readFolder } from '../folders.ts';
import type { ContainerEnd, PodRig } from './pod-rig.ts';

const FILES = 200;

/** Runs a container until it ends by itself; the first `kills` times it is killed before that. */
async function runKilled(
  rig: PodRig,
  verb: 'fetch' | 'push',
  given: { readonly kills: number; readonly random: Random; readonly afterKill: () => Promise<void> },
): Promise<ContainerEnd> {
  const { kills, random, afterKill } = given;
  let longest = 800;
  for (let run = 0; run < kills; run++) {
    const began = performance.now();
    const { code } = await rig.run(verb, {
      onStart: (child) => {
        const timer = setTimeout(() => child.kill('SIGKILL'), 60 + random.next(longest));
        child.once('close', () => clearTimeout(timer));
      },
    });
    // What ended before it was killed tells how long it takes.
    if (code !== undefined) longest = Math.min(longest, Math.ceil(performance.now() - began));
    await afterKill();
  }
  return rig.run(verb);
}

/** One Job from its beginning to its end, each container killed so many times; at no moment is there a record without its data. */
export async function runKilledPod(rig: PodRig, kills: number, random: Random): Promise<void> {
  const many = Object.fromEntries(
    Array.from({ length: FILES }, (_, at) => [`part-${at % 7}/${at}.txt`, `input ${at}`]),
  );
  const large = Buffer.alloc(9 << 20, 'large');
  const data = await rig.publish({ ...many, 'large.bin': large });
  const outs = ['copies', 'large.bin'].map((path) => ({
    path: path as RepoPath,
    cache: true,
    persist: false,
    push: true,
  }));
  rig.give(rig.task({ inputs: [{ path: 'data' as RepoPath, ...data }], outs }));
  const nothing = (): Promise<void> => Promise.resolve();
  const requireWhole = async (): Promise<void> => {
    for (const version of (await rig.result())?.outs.values() ?? []) await rig.contentOf(version);
  };

  const fetched = await runKilled(rig, 'fetch', { kills, random, afterKill: nothing });
  expect(fetched.code).toBe(0);
  expect(Object.keys(readFolder(rig.project) ?? {}).sort()).toEqual(
    ['data/large.bin', ...Object.keys(many).map((path) => `data/${path}`)].sort(),
  );
  expect(readFileSync(join(rig.project, 'data/large.bin')).equals(large)).toBe(true);
  await rig.stage('cp -r data copies && rm copies/large.bin && sed s/l/L/ data/large.bin > large.bin');
  const pushed = await runKilled(rig, 'push', { kills, random, afterKill: requireWhole });
  expect(pushed.code).toBe(0);
  const copies = (await rig.result())?.outs.get('copies' as RepoPath);
  expect(copies && (await rig.contentOf(copies))).toEqual(many);
  await requireWhole();
}
