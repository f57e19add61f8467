/** Containers of a pod that are killed, that have no room, or very much to send. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { runKilledPod } from '../support/kubernetes/pod-kills.ts';
import { makePodRig, type PodRig } from '../support/kubernetes/pod-rig.ts';
import { mountSmallDisk, noDisks } from './disk/small-disk.ts';
import { seededRandom } from './random.ts';

const TIMEOUT = { timeout: 600_000 };
const ROUNDS = Number(process.env['MLV_POD_ROUNDS'] ?? 2);
const SEED = Number(process.env['MLV_POD_SEED'] ?? 1);
const MANY = 100_000;

const out = (path: string) => ({ path: path as RepoPath, cache: true, persist: false, push: true });

async function withRig(work: (rig: PodRig) => Promise<void>, options = {}): Promise<void> {
  const rig = await makePodRig(options);
  try {
    await work(rig);
  } finally {
    await rig.dispose();
  }
}

test.each(Array.from({ length: ROUNDS }, (_, at) => SEED + at))(
  'killed at any moment and run again, a pod ends as if nothing had been (seed %i)',
  TIMEOUT,
  async (seed) => {
    const sharedCache = seed % 2 === 0;
    const options = { latencyMs: 3, sharedCache };
    await withRig(async (rig) => {
      await runKilledPod(rig, 6, seededRandom(seed));
      expect((await rig.result())?.outs.size).toBe(2);
    }, options);
  },
);

test('a stage that makes 100,000 files has them sent', TIMEOUT, async () => {
  await withRig(async (rig) => {
    rig.give(rig.task({ outs: [out('many')] }));
    await rig.run('fetch');
    for (let folder = 0; folder < MANY / 1000; folder++) {
      const path = join(rig.project, 'many', String(folder));
      mkdirSync(path, { recursive: true });
      for (let file = 0; file < 1000; file++) writeFileSync(join(path, `${file}.txt`), `${folder} ${file}`);
    }
    const began = performance.now();
    const { code, stderr } = await rig.run('push', { env: { NODE_OPTIONS: '--max-old-space-size=300' } });
    console.log(`pushed in ${((performance.now() - began) / 1000).toFixed(1)} s: ${stderr.split('\n').at(-2)}`);
    expect(code).toBe(0);
    const many = (await rig.result())?.outs.get('many' as RepoPath);
    expect(many).toMatchObject({ type: 'dir', files: MANY });
  });
});

test.each([true, false])(
  'half a gigabyte goes through in bounded memory (shared cache: %s)',
  TIMEOUT,
  async (sharedCache) => {
    await withRig(
      async (rig) => {
        const parts = ['a', 'b', 'c'];
        const inputs = [];
        for (const name of parts)
          inputs.push({
            path: name as RepoPath,
            ...(await rig.publish({ x: randomBytes(80 << 20), y: randomBytes(80 << 20) })),
          });
        rig.give(rig.task({ inputs, outs: [out('all')] }));
        const env = { NODE_OPTIONS: `--require=${tellMemory(rig)}`, TELL_MEMORY: join(rig.folder, 'kilobytes') };
        const memory = (): number => Math.round(Number(readFileSync(env.TELL_MEMORY, 'utf8')) / 1024);
        const fetched = await rig.run('fetch', { env });
        expect(fetched.code).toBe(0);
        const ofFetch = memory();
        expect(await rig.stage('cat a/x a/y b/x b/y c/x c/y > all')).toBe(0);
        expect((await rig.run('push', { env })).code).toBe(0);
        console.log(`fetch took ${ofFetch} MB of memory, push ${memory()} MB: ${fetched.stderr.split('\n').at(-2)}`);
        expect((await rig.result())?.outs.get('all' as RepoPath)?.size).toBe(480 << 20);
        expect(Math.max(ofFetch, memory())).toBeLessThan(700);
      },
      { sharedCache },
    );
  },
);

/** A script that has the process tell, when it ends, how much memory it took at most. */
function tellMemory({ folder }: PodRig): string {
  const path = join(folder, 'tell.cjs');
  writeFileSync(
    path,
    `if (require('node:worker_threads').isMainThread) process.on('exit', () =>
      require('node:fs').writeFileSync(process.env.TELL_MEMORY, String(process.resourceUsage().maxRSS)));`,
  );
  return path;
}

describe.skipIf(noDisks !== undefined)(
  `a pod without room${noDisks === undefined ? '' : `: skipped, ${noDisks}`}`,
  () => {
    /** Data of 6 MB, and a pod of which one part is on a disk of its own that has room for less. */
    async function withSmall(part: 'work' | 'claim', sharedCache: boolean, work: (rig: PodRig) => Promise<void>) {
      await withRig(
        async (rig) => {
          const data = await rig.publish({ a: Buffer.alloc(3 << 20, 'a'), b: Buffer.alloc(3 << 20, 'b') });
          rig.give(rig.task({ inputs: [{ path: 'data' as RepoPath, ...data }], outs: [out('model')] }));
          const folder = part === 'work' ? rig.work : rig.cache;
          const disk = mountSmallDisk(folder);
          chmodSync(folder, 0o777);
          try {
            disk.leave({ bytes: 4 << 20 });
            await work(rig);
          } finally {
            disk.unmount();
          }
        },
        { sharedCache },
      );
    }

    test('on its own volume says so', TIMEOUT, async () => {
      await withSmall('work', true, async (rig) => {
        expect(await rig.run('fetch')).toMatchObject({ code: 68, termination: { code: 'work-full' } });
      });
      await withSmall('work', false, async (rig) => {
        expect(await rig.run('fetch')).toMatchObject({ code: 68, termination: { code: 'no-space' } });
      });
    });

    test('in the shared cache does without', TIMEOUT, async () => {
      await withSmall('claim', true, async (rig) => {
        const { code, stderr } = await rig.run('fetch');
        expect({ code, stderr }).toEqual({
          code: 0,
          stderr: expect.stringMatching(/^the shared cache is of no use: /),
        });
        await rig.stage('cat data/a data/b > model');
        expect((await rig.run('push')).code).toBe(0);
        expect((await rig.result())?.outs.get('model' as RepoPath)?.size).toBe(6 << 20);
      });
    });
  },
);
