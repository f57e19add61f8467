/** Ten clones on one cache, ten on one remote, with collections beside them: what is referred to is there, and has its bytes. */
import { execFileSync } from 'node:child_process';
import { existsSync, lutimesSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { manyFiles, pathsNamed, writeFiles } from '../support/folders.ts';
import { repositoryAt } from '../support/git.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { makeStoreClock } from '../support/store-clock.ts';
import { told } from '../support/told.ts';
import type { Crowd } from './crowd/crowd.ts';
import { makeCrowd } from './crowd/crowd.ts';
import type { Member, Recorded } from './crowd/member.ts';
import { makeMember } from './crowd/member.ts';
import type { Random } from './random.ts';
import { seededRandom } from './random.ts';

/** Of both tests; `npm run test:crowd` sets more. A seed in the environment repeats what everybody chooses, but not the timing. */
const SECONDS = Number(process.env['MLV_CROWD_SECONDS'] ?? 12) / 2;
const seed = Number(process.env['MLV_CROWD_SEED'] ?? Date.now() % 1_000_000);
const DAY_MS = 24 * 60 * 60 * 1000;
const CLONES = 10;
const timeout = SECONDS * 1_000 + 600_000;

let rig: MlvRig;
beforeEach(() => {
  rig = makeMlvRig();
});
afterEach(() => rig.dispose(), 120_000);

/** A project with a first version, its Git server, and a way to have clones of that. */
async function makeScene(crowd: Crowd) {
  const random = seededRandom(seed);
  const recorded: Recorded = new Map();
  const project = await shareProject(rig, 'project', { ...manyFiles(60, 'data/'), 'data/large': 'first' }, 'data');
  const server = join(rig.folder, 'server.git');
  const clone = (name: string, from: string): Member => {
    const folder = join(rig.folder, name);
    execFileSync('git', ['clone', '--quiet', from, folder], { env: rig.env, stdio: 'pipe' });
    const own = seededRandom(seed + recorded.size + random.next(1_000_000));
    return makeMember({ name, repository: repositoryAt(folder), random: own, crowd, recorded });
  };
  execFileSync('git', ['clone', '--quiet', '--bare', project.root, server], { env: rig.env, stdio: 'pipe' });
  const first = clone('first', project.root);
  await told(rig, project.root, ['push']);
  await told(rig, first.root, ['pull']);
  recorded.set(first.head(), first.contents());
  /** What the branches of the server have. A new object whenever one is published. */
  const published = new Map<string, { readonly commit: string }>();
  published.set('main', { commit: first.head() });
  return { ...project, random, recorded, published, server, clone: (name: string) => clone(name, server) };
}

type Scene = Awaited<ReturnType<typeof makeScene>>;

/** Repeats something until the time is over, or somebody has failed. */
function createLoop(): (step: () => Promise<void>) => Promise<void> {
  const end = Date.now() + SECONDS * 1_000;
  const failures: unknown[] = [];
  return async (step) => {
    try {
      while (Date.now() < end && failures.length === 0) await step();
    } catch (error) {
      failures.push(error);
      throw error;
    }
  };
}

/** Runs all to their end, and then throws what the first one threw. */
async function together(work: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}

/** Every branch of the server, fetched by a clone that has nothing, has the bytes with which it was published. */
async function expectPublished({ published, recorded, clone }: Scene, crowd: Crowd): Promise<void> {
  const waiting = [...published.values()];
  const last = clone('last');
  const branches = last.git('for-each-ref', '--format=%(objectname) %(refname:lstrip=3)', 'refs/remotes/origin/*');
  expect(
    branches
      .split('\n')
      .filter((line) => !line.endsWith(' HEAD'))
      .sort(),
  ).toEqual([...published].map(([branch, { commit }]) => `${commit} ${branch}`).sort());
  await together(
    [clone('last-0'), clone('last-1'), clone('last-2')].map(async ({ root, git, contents }) => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        for (const name of ['.git/mlv', 'data']) rmSync(join(root, name), { recursive: true, force: true });
        git('checkout', '--quiet', '--force', next.commit);
        await crowd.done(root, ['pull']);
        expect(contents()).toEqual(recorded.get(next.commit));
        crowd.count('branches compared at the end');
      }
    }),
  );
  await crowd.done(last.root, ['verify', '--remote', '--all-commits']);
}

/** What is being written, and lies where it should not when nobody writes. */
function temporaryFiles(...folders: string[]): string[] {
  return folders.flatMap((folder) => [
    ...readdirSync(folder, { recursive: true })
      .map(String)
      .filter((name) => name.startsWith('tmp/')),
    ...pathsNamed(folder, '.mlv-tmp-'),
  ]);
}

function publish({ git, name, head }: Member, { published }: Scene): void {
  git('push', '--quiet', '--force', 'origin', `HEAD:refs/heads/${name}`);
  published.set(name, { commit: head() });
}

test('ten clones on one cache, two of which collect', { timeout }, async () => {
  const crowd = makeCrowd(rig);
  const scene = await makeScene(crowd);
  const { random, recorded, remote } = scene;
  const cache = join(rig.folder, 'cache');
  const members = Array.from({ length: CLONES }, (_, index) => scene.clone(`clone-${index}`));
  for (const { root } of members) writeFiles(root, { '.git/mlv/config.yaml': `cache:\n  dir: ${cache}\n` });

  async function step(member: Member): Promise<void> {
    const { root, git, head, contents } = member;
    switch (member.random.next(8)) {
      case 0:
      case 1:
        return member.change();
      case 2:
        await crowd.done(root, ['push']);
        return publish(member, scene);
      case 3: {
        // What another one has published.
        git('fetch', '--quiet', 'origin');
        git('reset', '--quiet', '--hard', member.random.pick([...scene.published.values()]).commit);
        git('reflog', 'expire', '--expire=now', '--all');
        await crowd.done(root, ['pull', '--force']);
        break;
      }
      case 4:
        // An earlier version.
        git('reset', '--quiet', '--hard', member.random.pick(git('log', '--format=%H').split('\n')));
        git('reflog', 'expire', '--expire=now', '--all');
        await crowd.done(root, ['pull', '--force']);
        break;
      case 5:
        rmSync(join(root, 'data'), { recursive: true, force: true });
        await crowd.done(root, ['checkout']);
        break;
      case 6:
        expect((await crowd.done(root, ['status'])).data).toMatchObject({ clean: true });
        break;
      default:
        await crowd.done(root, ['verify']);
    }
    expect(contents()).toEqual(recorded.get(head()));
    crowd.count('work trees compared');
  }

  const loop = createLoop();
  async function work(member: Member): Promise<void> {
    await crowd.done(member.root, ['pull']);
    await loop(() => step(member));
  }
  const collectors = members.slice(0, 2).map(({ root }) =>
    loop(async () => {
      // While another one collects; or a clone has pointers of which the pages are not here yet.
      const { data } = await crowd.run(root, ['gc', '--yes'], ['locked', 'trees-missing']);
      crowd.count('blobs thrown away', amount(data, 'garbage', 'blobs'));
      crowd.count('files deleted', amount(data, 'expired', 'blobs'));
      crowd.count('blobs brought back', Number(data['restored'] ?? 0));
      if (random.next(3) === 0) await crowd.run(root, ['gc', '--undo'], ['locked', 'trash-empty']);
      await sleep(random.next(500));
    }),
  );
  const ageing = loop(async () => {
    // What somebody who looks right now relies on may go to the trash, where it is found; it is not deleted under his eyes.
    for (const name of ['b3', 'packs', 'index']) makeOld(join(cache, name), random);
    if (random.next(4) === 0) await crowd.between(() => makeOld(join(cache, 'trash'), random));
    await sleep(random.next(1_000));
  });
  try {
    await together([...members.map(work), ...collectors, ageing]);
    await together(members.map(({ root }) => crowd.done(root, ['verify'])));
    for (const { head, contents } of members) expect(contents()).toEqual(recorded.get(head()));
    await expectPublished(scene, crowd);
    expect(temporaryFiles(cache, remote, ...members.map(({ root }) => join(root, 'data')))).toEqual([]);
  } finally {
    console.log(`MLV_CROWD_SEED=${seed}, ten clones on a cache\n${crowd.report()}`);
  }
});

function amount(data: Readonly<Record<string, unknown>>, name: string, what: string): number {
  return (data[name] as Record<string, number> | undefined)?.[what] ?? 0;
}

/** Makes some of the files in a folder look as if they were used long ago, or were thrown away long ago. */
function makeOld(folder: string, random: Random): void {
  const then = new Date(Date.now() - (10 + random.next(30)) * DAY_MS);
  try {
    for (const name of readdirSync(folder, { recursive: true })) {
      if (random.next(10) < 8) lutimesSync(join(folder, String(name)), then, then);
    }
  } catch {
    // moved meanwhile
  }
}

test('ten pushers on one remote, two who collect, two who read, while months go by', { timeout }, async () => {
  const store = join(rig.folder, 'project-store');
  const clock = makeStoreClock(join(rig.folder, 'clock'), store);
  const crowd = makeCrowd(rig, clock.env);
  const scene = await makeScene(crowd);
  const { random, recorded, published, remote } = scene;
  expect(remote).toBe(store);
  const pushers = Array.from({ length: CLONES }, (_, index) => scene.clone(`pusher-${index}`));
  const collectors = [scene.clone('collector-0'), scene.clone('collector-1')];
  const readers = [scene.clone('reader-0'), scene.clone('reader-1')];

  /** As the pre-push hook does: what was pushed over six days ago is pushed again before Git is. */
  async function push(pusher: Member): Promise<void> {
    for (;;) {
      let begun = 0;
      const { failure } = await crowd.run(pusher.root, ['push'], ['push-overtaken'], () => (begun = clock.days()));
      if (failure === undefined && clock.days() - begun < 6) return publish(pusher, scene);
      crowd.count('pushes that came too late for git push');
    }
  }

  /** What each had published and withdrawn. */
  const withdrawn = new Map<Member, string[]>();
  async function step(pusher: Member): Promise<void> {
    const { root, name, git, head } = pusher;
    const old = withdrawn.get(pusher) ?? [];
    withdrawn.set(pusher, old);
    const chance = pusher.random.next(10);
    if (chance < 3 && published.has(name)) {
      // Nothing is said of those who have it.
      git('push', '--quiet', '--delete', 'origin', name);
      published.delete(name);
      old.push(head());
      git('reset', '--quiet', '--hard', 'origin/main');
      await crowd.done(root, ['checkout', '--force']);
    } else if (chance < 5 && old.length > 0) {
      git('reset', '--quiet', '--hard', pusher.random.pick(old));
      await crowd.done(root, ['checkout', '--force']);
      await push(pusher);
      crowd.count('published again');
    } else {
      await pusher.change();
      if (chance < 9) await push(pusher);
    }
  }

  async function collect({ root, git }: Member): Promise<void> {
    const { data } = await crowd.run(
      root,
      ['gc', '--remote', 'store', '--yes'],
      ['clone-behind', 'gc-overtaken', 'gc-stale', 'gc-late'],
      () => git('fetch', '--quiet', '--prune', 'origin', '+refs/*:refs/mlv-gc/*'),
    );
    for (const name of ['garbage', 'expired', 'rescued', 'kept'])
      crowd.count(`blobs ${name}`, amount(data, name, 'blobs'));
    crowd.count('files dead', amount(data, 'garbage', 'files'));
    crowd.count('files deleted', amount(data, 'expired', 'files'));
    crowd.count('files stuck', Number(data['stuck'] ?? 0));
  }

  async function read({ root, git, contents, random: chance }: Member): Promise<void> {
    const [branch, state] = chance.pick([...published]);
    git('fetch', '--quiet', '--prune', 'origin');
    git('checkout', '--quiet', '--force', '--detach', state.commit);
    if (chance.next(3) === 0)
      for (const name of ['.git/mlv', 'data']) rmSync(join(root, name), { recursive: true, force: true });
    const args = chance.pick([
      ['pull', '--force'],
      ['verify', '--remote', '--quick'],
      ['verify', '--remote'],
    ]);
    const { failure, data } = await crowd.run(root, args, ['pull-incomplete', 'unsound']);
    const isPublished = published.get(branch) === state;
    // What was withdrawn meanwhile may be incomplete.
    if (isPublished && failure !== undefined) throw new Error(`mlv ${args.join(' ')}: ${JSON.stringify(data)}`);
    if (args[0] === 'pull' && failure === undefined) {
      expect(contents()).toEqual(recorded.get(state.commit));
      crowd.count('work trees compared');
    }
  }

  /** Time goes by, for the store and for the clocks by which clients remember that they have to note anew what they push. */
  function leap(): void {
    const days = random.pick([1, 2, 5, 7, 8, 15, 31, 95]);
    clock.advance(days);
    crowd.count('days', days);
    for (const { root } of pushers) {
      const remotes = join(root, '.git/mlv/remotes');
      for (const name of existsSync(remotes) ? readdirSync(remotes) : [])
        rmSync(join(remotes, name, 'pushed-commits'), { force: true });
    }
  }

  const loop = createLoop();
  try {
    await together([
      ...pushers.map(async (pusher) => {
        await crowd.done(pusher.root, ['pull']);
        await loop(() => step(pusher));
      }),
      ...collectors.map((collector) => loop(() => collect(collector))),
      ...readers.map((reader) => loop(() => read(reader))),
      loop(async () => {
        await sleep(random.next(10_000));
        leap();
      }),
    ]);
    // Whatever was left: two collections with graces between.
    for (const collector of [...collectors, ...collectors]) {
      clock.advance(95);
      await collect(collector);
    }
    await expectPublished(scene, crowd);
    expect(temporaryFiles(remote, ...pushers.map(({ root }) => join(root, 'data')))).toEqual([]);
  } finally {
    console.log(`MLV_CROWD_SEED=${seed}, ten pushers on a remote\n${crowd.report()}`);
  }
});
