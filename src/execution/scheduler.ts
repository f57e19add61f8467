/**
 * When which stage runs. Stages whose needs are met start in the graph's order, as far as jobs, mutex groups and resources allow.
 * A stage that waits for a group is the next to have it. One that waits for room is passed by a bounded number of others; then
 * nothing starts before it. So none waits for ever, and none deadlocks: what waits for room holds nothing.
 */
import { MlvError } from '../domain/errors.ts';
import type { Stage, StageId, StageResources } from '../domain/pipeline.ts';
import type { StageEvent, StageOutcome } from './stage-event.ts';

/** The parts of a graph of stages that matter here. */
interface StageOrder {
  /** Every stage after those it needs. */
  readonly order: readonly StageId[];
  upstream(id: StageId): readonly StageId[];
  stage(id: StageId): Stage;
}

/** What this machine has to share out; what is not there is not counted. */
export type Capacity = Pick<StageResources, (typeof RESOURCES)[number]>;

export interface ScheduleOptions {
  readonly graph: StageOrder;
  /** The others are taken as they are. */
  readonly selected: readonly StageId[];
  /** Stages at once on this machine, at least 1. */
  readonly jobs: number;
  /** Stages at once on clusters. */
  readonly clusterJobs: number;
  readonly capacity: Capacity;
  /** Goes on, after a failure, with what does not need what failed. */
  readonly keepGoing: boolean;
  readonly signal: AbortSignal;
  /** Brings one stage up to date. What it throws is a failure, or, once the signal was given, an end for no reason of its own. */
  readonly run: (stage: Stage, signal: AbortSignal) => Promise<StageOutcome>;
  /** Told `ended` of each stage once; what else there is to tell, `run` knows. */
  readonly onEvent: (event: StageEvent) => void;
}

const RESOURCES = ['cpu', 'memory', 'gpu'] as const;
/** Stages that may start before one that was ready earlier and found no room. */
const PATIENCE = 4;
/** Sums of fractions are inexact. */
const TOLERANCE = 1 + 1e-9;

interface Waiting {
  readonly stage: Stage;
  /** Stages that started while this one found no room. */
  passed: number;
}

/**
 * Runs stages, and resolves to what became of each, in the graph's order, once none runs any more. Rejects with what `run` throws beside
 * `MlvError`, likewise.
 */
export async function schedule(options: ScheduleOptions): Promise<ReadonlyMap<StageId, StageOutcome>> {
  const { graph, signal, onEvent } = options;
  const selected = new Set(options.selected);
  const order = graph.order.filter((id) => selected.has(id));
  const waiting = new Map<StageId, Waiting>(order.map((id) => [id, { stage: graph.stage(id), passed: 0 }]));
  const running = new Map<StageId, Promise<void>>();
  const outcomes = new Map<StageId, StageOutcome>();
  const bugs: unknown[] = [];
  const needs = new Map(order.map((id) => [id, graph.upstream(id).filter((other) => selected.has(other))]));
  const isReady = (id: StageId): boolean => needs.get(id)?.every((need) => endedWell(outcomes.get(need))) ?? true;
  let hasFailed = false;

  const end = (id: StageId, outcome: StageOutcome): void => {
    waiting.delete(id);
    running.delete(id);
    outcomes.set(id, outcome);
    hasFailed ||= outcome.type === 'failed';
    onEvent({ type: 'ended', stage: id, outcome });
  };

  const start = async (stage: Stage): Promise<void> => {
    let outcome: StageOutcome;
    try {
      outcome = await (async () => options.run(stage, signal))();
    } catch (error) {
      if (!(error instanceof MlvError) && !signal.aborted) bugs.push(error);
      outcome =
        error instanceof MlvError && !(signal.aborted && error.kind === 'interrupted')
          ? { type: 'failed', error }
          : { type: 'cancelled' };
    }
    end(stage.id, outcome);
  };

  const hasStopped = (): boolean => signal.aborted || bugs.length > 0 || (hasFailed && !options.keepGoing);

  for (;;) {
    settleBlocked(waiting.keys(), outcomes, needs, end);
    if (!hasStopped()) {
      const ready = [...waiting.values()].filter(({ stage }) => isReady(stage.id));
      for (const stage of choose(
        ready,
        [...running.keys()].map((id) => graph.stage(id)),
        options,
      )) {
        waiting.delete(stage.id);
        running.set(stage.id, start(stage));
      }
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  // Only now is it known of each whether something it needs has failed.
  for (const id of waiting.keys()) end(id, { type: 'cancelled' });
  if (bugs.length > 0) throw bugs[0];
  return new Map(order.map((id) => [id, outcomes.get(id) ?? { type: 'cancelled' }]));
}

function endedWell(outcome: StageOutcome | undefined): boolean {
  return outcome !== undefined && !['failed', 'blocked', 'cancelled', 'detached'].includes(outcome.type);
}

/** Ends, in the graph's order, those that need what failed. */
function settleBlocked(
  waiting: Iterable<StageId>,
  outcomes: ReadonlyMap<StageId, StageOutcome>,
  needs: ReadonlyMap<StageId, readonly StageId[]>,
  end: (id: StageId, outcome: StageOutcome) => void,
): void {
  for (const id of waiting) {
    for (const need of needs.get(id) ?? []) {
      const outcome = outcomes.get(need);
      if (outcome?.type !== 'failed' && outcome?.type !== 'blocked') continue;
      end(id, { type: 'blocked', by: outcome.type === 'failed' ? need : outcome.by });
      break;
    }
  }
}

/** Which of those that are ready start now, beside those that run. */
function choose(ready: readonly Waiting[], running: readonly Stage[], options: ScheduleOptions): Stage[] {
  const chosen: Stage[] = [];
  /** Groups that are taken, or that an earlier one waits for. */
  const groups = new Set(running.flatMap(({ mutex }) => mutex));
  /** Ready, and passed by those that start from here on. */
  const passed: Waiting[] = [];
  let isLocalClosed = false;
  // The sort is stable: beside the impatient ones, the graph's order stays.
  for (const candidate of ready.toSorted((a, b) => Number(isImpatient(b)) - Number(isImpatient(a)))) {
    const { stage } = candidate;
    const isFree = stage.mutex.every((group) => !groups.has(group));
    for (const group of stage.mutex) groups.add(group);
    if (!isFree) continue;
    const beside = [...running, ...chosen].filter((other) => isLocal(other) === isLocal(stage));
    const jobs = isLocal(stage) ? options.jobs : options.clusterJobs;
    if (beside.length >= jobs || (isLocal(stage) && isLocalClosed)) continue;
    if (isLocal(stage) && !hasRoom(stage, beside, options.capacity)) {
      candidate.passed += chosen.filter(isLocal).length;
      passed.push(candidate);
      isLocalClosed ||= isImpatient(candidate);
      continue;
    }
    chosen.push(stage);
    if (!isLocal(stage)) continue;
    for (const other of passed) {
      other.passed++;
      isLocalClosed ||= isImpatient(other);
    }
  }
  return chosen;
}

function isImpatient({ passed }: Waiting): boolean {
  return passed >= PATIENCE;
}

function isLocal({ kubernetes }: Stage): boolean {
  return kubernetes === undefined;
}

/** What asks for more than there is runs alone. */
function hasRoom(stage: Stage, beside: readonly Stage[], capacity: Capacity): boolean {
  if (beside.length === 0) return true;
  return RESOURCES.every((resource) => {
    const there = capacity[resource];
    if (there === undefined) return true;
    const asked = [stage, ...beside].reduce((sum, { resources }) => sum + (resources[resource] ?? 0), 0);
    return asked <= there * TOLERANCE;
  });
}
