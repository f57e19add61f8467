import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import type { Stage, StageId } from '../../src/domain/pipeline.ts';
import type { ScheduleOptions } from '../../src/execution/scheduler.ts';
import { schedule } from '../../src/execution/scheduler.ts';
import type { StageOutcome } from '../../src/execution/stage-event.ts';
import { stageOf } from './stages.ts';

const RAN: StageOutcome = { type: 'ran', seconds: 1 };

interface Planned extends Partial<Stage> {
  readonly needs?: readonly string[];
}

/** Stages by name, each after those it needs. */
function graphOf(plan: Readonly<Record<string, Planned>>): ScheduleOptions['graph'] {
  const order = Object.keys(plan) as StageId[];
  return {
    order,
    upstream: (id) => (plan[id]?.needs ?? []) as StageId[],
    stage: (id) => stageOf({ ...plan[id], id }),
  };
}

function failure(): MlvError {
  return new MlvError({ code: 'stage-failed', kind: 'io', message: 'no' });
}

/** A schedule whose stages end when the test says so. */
function begin(plan: Readonly<Record<string, Planned>>, options: Partial<ScheduleOptions> = {}) {
  const under = new Map<string, { end(outcome: StageOutcome): void; fail(error: unknown): void }>();
  const started: string[] = [];
  const told: string[] = [];
  const graph = graphOf(plan);
  const abort = new AbortController();
  const done = schedule({
    graph,
    selected: graph.order,
    jobs: 100,
    clusterJobs: 100,
    capacity: {},
    keepGoing: false,
    signal: abort.signal,
    run: (stage) => {
      started.push(stage.id);
      return new Promise((resolve, reject) => {
        const settle = (): boolean => under.delete(stage.id);
        under.set(stage.id, {
          end: (outcome) => settle() && resolve(outcome),
          fail: (error) => settle() && reject(error),
        });
      });
    },
    onEvent: (event) => event.type === 'ended' && told.push(`${event.stage} ${event.outcome.type}`),
    ...options,
  });
  const rest = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return {
    started,
    told,
    abort,
    rest,
    running: () => [...under.keys()],
    async end(id: string, outcome: StageOutcome = RAN) {
      under.get(id)?.end(outcome);
      await rest();
    },
    async fail(id: string, error: unknown = failure()) {
      under.get(id)?.fail(error);
      await rest();
    },
    async types() {
      return Object.fromEntries([...(await done)].map(([id, outcome]) => [id, outcome.type]));
    },
    done,
  };
}

describe('order and jobs', () => {
  test('a stage starts when all it needs have ended, without waiting for anything else', async () => {
    const run = begin({ a: {}, b: {}, c: { needs: ['a'] }, d: { needs: ['b', 'c'] } });
    expect(run.running()).toEqual(['a', 'b']);
    await run.end('a', { type: 'up-to-date' });
    expect(run.running()).toEqual(['b', 'c']);
    await run.end('c', { type: 'restored', record: undefined });
    expect(run.running()).toEqual(['b']);
    await run.end('b', { type: 'frozen' });
    expect(run.running()).toEqual(['d']);
    await run.end('d');
    expect(await run.types()).toEqual({ a: 'up-to-date', b: 'frozen', c: 'restored', d: 'ran' });
    expect(run.told).toEqual(['a up-to-date', 'c restored', 'b frozen', 'd ran']);
  });

  test('ready stages start in the order of the graph, as many as there are jobs', async () => {
    const run = begin({ a: {}, b: { needs: ['a'] }, c: {}, d: {} }, { jobs: 1 });
    for (const id of ['a', 'b', 'c', 'd']) await run.end(id);
    expect(run.started).toEqual(['a', 'b', 'c', 'd']);
    expect(await run.types()).toEqual({ a: 'ran', b: 'ran', c: 'ran', d: 'ran' });
  });

  test('stages that were not selected are taken as they are', async () => {
    const plan = { a: {}, b: { needs: ['a'] }, c: { needs: ['b'] } };
    const run = begin(plan, { selected: ['c', 'b'] as StageId[] });
    expect(run.running()).toEqual(['b']);
    await run.end('b');
    await run.end('c');
    expect(await run.types()).toEqual({ b: 'ran', c: 'ran' });
  });

  test('stages on clusters have a limit of their own', async () => {
    const plan = { a: {}, b: {}, c: { kubernetes: 'x' }, d: { kubernetes: 'x' }, e: { kubernetes: 'x' } };
    const run = begin(plan, { jobs: 1, clusterJobs: 2, capacity: { cpu: 1 } });
    expect(run.running()).toEqual(['a', 'c', 'd']);
    await run.end('d');
    expect(run.running()).toEqual(['a', 'c', 'e']);
    for (const id of ['a', 'b', 'c', 'e']) await run.end(id);
    await run.done;
  });

  test('nothing selected is done at once', async () => {
    expect(await schedule({ ...optionsFor({}), selected: [] })).toEqual(new Map());
  });
});

describe('mutex groups and resources', () => {
  test('stages of one group run one after another, in the order of the graph', async () => {
    const run = begin({ a: { mutex: ['x'] }, b: { mutex: ['x', 'y'] }, c: { mutex: ['y'] }, d: { mutex: ['z'] } });
    // c could start, but b would then wait longer for its second group.
    expect(run.running()).toEqual(['a', 'd']);
    await run.end('a');
    expect(run.running()).toEqual(['d', 'b']);
    await run.end('b');
    expect(run.running()).toEqual(['d', 'c']);
    await run.end('c');
    await run.end('d');
    await run.done;
  });

  test('what does not fit waits, and what asks for less passes it', async () => {
    const cpu = (count: number): Planned => ({ resources: { cpu: count } });
    const run = begin({ a: cpu(3), b: cpu(2), c: cpu(1) }, { capacity: { cpu: 4 } });
    expect(run.running()).toEqual(['a', 'c']);
    await run.end('a');
    expect(run.running()).toEqual(['c', 'b']);
    await run.end('b');
    await run.end('c');
    await run.done;
  });

  test('fractions that add up to what is there fit', async () => {
    const run = begin({ a: { resources: { cpu: 0.1 } }, b: { resources: { cpu: 0.2 } } }, { capacity: { cpu: 0.3 } });
    expect(run.running()).toEqual(['a', 'b']);
    await run.end('a');
    await run.end('b');
    await run.done;
  });

  test('what asks for more than there is runs alone', async () => {
    const run = begin({ a: {}, b: { resources: { memory: 10 } }, c: {} }, { capacity: { memory: 8 } });
    expect(run.running()).toEqual(['a', 'c']);
    await run.end('a');
    expect(run.running()).toEqual(['c']);
    await run.end('c');
    expect(run.running()).toEqual(['b']);
    await run.end('b');
    await run.done;
  });

  const small = (needs: readonly string[] = []): Planned => ({ needs, resources: { cpu: 1 } });
  const numbers = Array.from({ length: 40 }, (_, index) => index);

  test.each([
    ['after it', { a: small(), big: {}, ...Object.fromEntries(numbers.map((index) => [`s${index}`, small()])) }],
    [
      'before it',
      {
        ...Object.fromEntries(numbers.map((index) => [`s${index}`, small(index < 2 ? [] : [`s${index - 2}`])])),
        big: {},
      },
    ],
  ])('what waits for room is not passed over for ever by what the graph has %s', async (_, plan) => {
    const run = begin({ ...plan, big: { resources: { cpu: 2 } } }, { capacity: { cpu: 2 } });
    let ended = 0;
    while (!run.started.includes('big')) {
      await run.end(run.running()[0] ?? '');
      ended++;
    }
    expect(ended).toBeLessThan(8);
    while (run.running().length > 0) await run.end(run.running()[0] ?? '');
    await run.done;
  });
});

describe('failure and interruption', () => {
  const plan = {
    a: {},
    b: {},
    c: { needs: ['a'] },
    d: { needs: ['c'] },
    e: { needs: ['b'] },
    f: { needs: ['c', 'e'] },
  };

  test('after a failure nothing starts, and what runs ends', async () => {
    const run = begin(plan);
    await run.fail('a');
    expect(run.running()).toEqual(['b']);
    await run.end('b');
    expect(run.started).toEqual(['a', 'b']);
    expect(await run.types()).toEqual({
      a: 'failed',
      b: 'ran',
      c: 'blocked',
      d: 'blocked',
      e: 'cancelled',
      f: 'blocked',
    });
  });

  test('what is blocked names what failed first', async () => {
    const run = begin(plan, { jobs: 1 });
    await run.fail('a');
    expect([...(await run.done)].filter(([, { type }]) => type === 'blocked')).toEqual(
      ['c', 'd', 'f'].map((id) => [id, { type: 'blocked', by: 'a' }]),
    );
  });

  test('what needs something that fails later is blocked, not cancelled', async () => {
    const run = begin(plan);
    await run.fail('a');
    await run.end('b', { type: 'failed', error: failure() });
    expect((await run.types())['e']).toBe('blocked');
  });

  test('keep going: whatever does not need what failed runs', async () => {
    const run = begin(plan, { keepGoing: true });
    await run.fail('a');
    await run.end('b');
    expect(run.running()).toEqual(['e']);
    await run.end('e');
    expect(await run.types()).toEqual({ a: 'failed', b: 'ran', c: 'blocked', d: 'blocked', e: 'ran', f: 'blocked' });
  });

  test('after an interruption nothing starts; what was interrupted is cancelled, what failed by itself has failed', async () => {
    const run = begin({ ...plan, g: {} });
    run.abort.abort();
    await run.fail('a', new MlvError({ code: 'stage-interrupted', kind: 'interrupted', message: 'no' }));
    await run.fail('b');
    await run.end('g');
    expect(await run.types()).toEqual({
      a: 'cancelled',
      b: 'failed',
      c: 'cancelled',
      d: 'cancelled',
      e: 'blocked',
      f: 'blocked',
      g: 'ran',
    });
  });

  test('a bug is thrown once nothing runs any more', async () => {
    const run = begin(plan);
    const caught = run.done.catch((error: unknown) => error);
    await run.fail('a', new TypeError('oops'));
    await run.end('b');
    expect(await caught).toEqual(new TypeError('oops'));
    expect(run.started).toEqual(['a', 'b']);
  });
});

describe('any graph', () => {
  const LIMIT = { cpu: 4, memory: 3, gpu: 1 };
  const planned = fc.record({
    needs: fc.array(fc.nat(), { maxLength: 3 }),
    mutex: fc.uniqueArray(fc.constantFrom('x', 'y', 'z'), { maxLength: 2 }),
    resources: fc.record({ cpu: fc.nat(6), memory: fc.nat(4), gpu: fc.nat(1) }, { requiredKeys: [] }),
    isCluster: fc.boolean(),
    fails: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
    seconds: fc.integer({ min: 1, max: 9 }),
  });
  const plans = fc.array(planned, { maxLength: 14 });
  type Plan = readonly (typeof planned extends fc.Arbitrary<infer T> ? T : never)[];

  function planOf(plan: Plan): Record<string, Planned> {
    return Object.fromEntries(
      plan.map(({ needs, mutex, resources, isCluster }, index) => [
        `s${index}`,
        {
          needs: index === 0 ? [] : [...new Set(needs.map((need) => `s${need % index}`))],
          mutex,
          resources,
          ...(isCluster && { kubernetes: 'x' }),
        },
      ]),
    );
  }

  test('limits hold, nothing runs before what it needs, and each stage ends once', async () => {
    await fc.assert(
      fc.asyncProperty(
        plans,
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        fc.infiniteStream(fc.nat()),
        async (plan, jobs, keepGoing, dice) => {
          const stages = planOf(plan);
          const run = begin(stages, { jobs, clusterJobs: 2, keepGoing, capacity: LIMIT });
          const ended = new Set<string>();
          while (run.running().length > 0) {
            const running = run.running();
            const local = running.filter((id) => stages[id]?.kubernetes === undefined);
            expect(local.length).toBeLessThanOrEqual(jobs);
            expect(running.length - local.length).toBeLessThanOrEqual(2);
            const groups = running.flatMap((id) => stages[id]?.mutex ?? []);
            expect(groups.length).toBe(new Set(groups).size);
            for (const resource of ['cpu', 'memory', 'gpu'] as const) {
              const asked = local.reduce((sum, id) => sum + (stages[id]?.resources?.[resource] ?? 0), 0);
              if (local.length > 1) expect(asked).toBeLessThanOrEqual(LIMIT[resource]);
            }
            for (const id of running) for (const need of stages[id]?.needs ?? []) expect(ended).toContain(need);
            const next = running[(dice.next().value as number) % running.length] ?? '';
            if (plan[Number(next.slice(1))]?.fails) await run.fail(next);
            else {
              ended.add(next);
              await run.end(next);
            }
          }
          const outcomes = await run.done;
          expect([...outcomes.keys()]).toEqual(Object.keys(stages));
          expect(run.told.length).toBe(outcomes.size);
          expect(new Set(run.told.map((line) => line.split(' ')[0]))).toEqual(new Set(Object.keys(stages)));
          const failed = [...outcomes].filter(([, { type }]) => type === 'failed');
          const hasCancelled = [...outcomes.values()].some(({ type }) => type === 'cancelled');
          if (failed.length === 0 || keepGoing) expect(hasCancelled).toBe(false);
          for (const [id, outcome] of outcomes) {
            const doomed = (stages[id]?.needs ?? []).some((need) =>
              ['failed', 'blocked'].includes(outcomes.get(need as StageId)?.type ?? ''),
            );
            expect(outcome.type === 'blocked').toBe(doomed);
          }
        },
      ),
    );
  });

  test('with jobs enough, all is done in the time of the longest chain', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const stages = Object.fromEntries(
          Object.entries(planOf(plan)).map(([id, { needs }]) => [id, { needs: needs ?? [] }]),
        );
        const seconds = (id: string): number => plan[Number(id.slice(1))]?.seconds ?? 0;
        const chain = new Map<string, number>();
        for (const [id, { needs }] of Object.entries(stages))
          chain.set(id, seconds(id) + Math.max(0, ...needs.map((need) => chain.get(need) ?? 0)));
        // A clock that goes on to the next end.
        const run = begin(stages);
        const ends = new Map<string, number>();
        let now = 0;
        while (run.running().length > 0) {
          for (const id of run.running()) if (!ends.has(id)) ends.set(id, now + seconds(id));
          const [id, at] = run
            .running()
            .map((running) => [running, ends.get(running) ?? 0] as const)
            .reduce((first, other) => (other[1] < first[1] ? other : first));
          now = at;
          await run.end(id);
        }
        await run.done;
        expect(now).toBe(Math.max(0, ...chain.values()));
      }),
    );
  });
});

function optionsFor(plan: Readonly<Record<string, Planned>>): ScheduleOptions {
  const graph = graphOf(plan);
  return {
    graph,
    selected: graph.order,
    jobs: 1,
    clusterJobs: 1,
    capacity: {},
    keepGoing: false,
    signal: new AbortController().signal,
    run: async () => RAN,
    onEvent: () => undefined,
  };
}
