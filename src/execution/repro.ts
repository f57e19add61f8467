import { setMaxListeners } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { MlvError } from '../domain/errors.ts';
import type { StageId } from '../domain/pipeline.ts';
import { PIPELINE_FILE } from '../domain/pipeline.ts';
import type { StageGraph } from '../domain/stage-graph.ts';
import { buildGraph, selectWithUpstream } from '../domain/stage-graph.ts';
import type { StaleReason } from '../domain/staleness.ts';
import { checkOutputs } from '../workspace/check-outputs.ts';
import { readLocks } from '../workspace/locks.ts';
import { observeStages } from '../workspace/observe-stages.ts';
import type { Workspace } from '../workspace/open.ts';
import type { Pipeline } from '../workspace/pipeline.ts';
import { readPipeline } from '../workspace/pipeline.ts';
import type { VerbOptions } from '../workspace/progress.ts';
import { selectStages } from '../workspace/select-stages.ts';
import { openStaging } from '../workspace/staging.ts';
import { createStorageTasks } from '../workspace/task-runner.ts';
import type { BringStale, Run } from './bring-up-to-date.ts';
import { alreadyCurrent, bringUpToDate } from './bring-up-to-date.ts';
import { openClusters } from './kubernetes/open-cluster.ts';
import type { Capacity } from './scheduler.ts';
import { schedule } from './scheduler.ts';
import type { StageEvent, StageOutcome } from './stage-event.ts';

export interface ChosenStages {
  /** As they were typed; none for all there are. */
  readonly targets: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** The targets alone, without what they read from. */
  readonly single?: boolean | undefined;
  /** The targets, and all that read from them. */
  readonly downstream?: boolean | undefined;
}

export interface ReproOptions extends ChosenStages {
  /** Stages at once. */
  readonly jobs: number;
  readonly force?: boolean | undefined;
  readonly keepGoing?: boolean | undefined;
  readonly pull?: boolean | undefined;
  readonly useRunCache: boolean;
  readonly signal?: AbortSignal;
  /** Aborted by the second interruption. */
  readonly killed?: AbortSignal | undefined;
  readonly onProgress?: VerbOptions['onProgress'];
  /** Takes what the servers of clusters warn of, and what there is to say about images. */
  readonly onWarning: (text: string) => void;
  /** Told, before the first event, the stages of the run in their order, and how to learn why one runs that has started. */
  readonly onBegin?: (
    stages: readonly StageId[],
    reasonsOf: (stage: StageId) => readonly StaleReason[],
  ) => Promise<void>;
  readonly onEvent: (event: StageEvent) => void;
}

/** Brings stages up to date; resolves to what became of each, in the graph's order. Throws what keeps it from beginning. */
export async function repro(workspace: Workspace, options: ReproOptions): Promise<ReadonlyMap<StageId, StageOutcome>> {
  const { signal = new AbortController().signal, onEvent } = options;
  // Each stage that runs listens; Node would warn of a leak.
  setMaxListeners(0, signal, ...(options.killed === undefined ? [] : [options.killed]));
  const { pipeline, graph, selected } = await chooseStages(workspace, options);
  const stages = selected.map((id) => graph.stage(id));
  const locked = await readLocks(workspace);
  const tasks = createStorageTasks(workspace.cache(), signal);
  const staging = openStaging(workspace);
  const clusters = openClusters(workspace, { onWarning: options.onWarning });
  let bringing: Promise<BringStale> | undefined;
  try {
    const { onProgress } = options;
    const seen = await observeStages(workspace, {
      stages: stages.filter(({ frozen }) => !frozen),
      pipeline,
      locked,
      tasks,
      signal,
      ...(onProgress !== undefined && { onProgress }),
    });
    const reasons = new Map<StageId, readonly StaleReason[]>();
    const run: Run = {
      ...options,
      workspace,
      pipeline,
      graph,
      tasks,
      locked,
      seen,
      staging,
      bringStale: async (...given) => (await (bringing ??= loadBringing(run)))(...given),
      forced: new Set(options.force ? selected : []),
      pull: options.pull ?? false,
      clusters,
      reasons,
      made: new Map(),
    };
    // Mostly that is all: no turn has to be waited for.
    const current = alreadyCurrent(run, stages);
    const stale = stages.filter(({ id }) => !current.has(id));
    await checkOutputs(workspace, stale);
    const there = stale.filter(({ kubernetes }) => kubernetes !== undefined);
    if (there.length > 0) {
      const { preflight } = await import('./kubernetes/preflight.ts');
      for (const warning of await preflight(run, there, signal)) options.onWarning(warning);
    }
    await options.onBegin?.(selected, (id) => reasons.get(id) ?? []);
    for (const [stage, outcome] of current) onEvent({ type: 'ended', stage, outcome });
    const others = await schedule({
      graph,
      selected: stale.map(({ id }) => id),
      jobs: options.jobs,
      clusterJobs: CLUSTER_JOBS,
      capacity: capacityHere(),
      keepGoing: options.keepGoing ?? false,
      signal,
      run: (stage, aborted) => bringUpToDate(run, stage, aborted),
      onEvent,
    });
    return new Map(selected.map((id) => [id, current.get(id) ?? others.get(id) ?? { type: 'cancelled' }]));
  } finally {
    await clusters.close();
    await staging.flush();
    await tasks.close();
  }
}

async function loadBringing(run: Run): Promise<BringStale> {
  return (await import('./bring-stale.ts')).openBringStale(run);
}

/** The stages that a run of these targets looks at, in order. Throws `no-stages`, and what the pipeline's files and graph do. */
export async function chooseStages(
  workspace: Workspace,
  { targets, cwd, single, downstream }: ChosenStages,
): Promise<{ readonly pipeline: Pipeline; readonly graph: StageGraph; readonly selected: readonly StageId[] }> {
  const pipeline = await readPipeline(workspace);
  if (pipeline.stages.length === 0) {
    throw new MlvError({
      code: 'no-stages',
      kind: 'missing',
      message: `no ${PIPELINE_FILE} here declares a stage`,
      hint: 'mlv stage add NAME -d INPUT -o OUTPUT -- COMMAND declares one.',
    });
  }
  const graph = buildGraph(pipeline.stages);
  const named = targets.length === 0 ? graph.order : selectStages(pipeline, { root: workspace.root, cwd }, targets);
  const only = { ...(single !== undefined && { single }), ...(downstream !== undefined && { downstream }) };
  return { pipeline, graph, selected: selectWithUpstream(graph, named, only) };
}

/** A cluster has queues of its own; what bounds this is what is sent there from here at once. */
const CLUSTER_JOBS = 16;
const NVIDIA_GPUS = '/proc/driver/nvidia/gpus';

/** What stages may share: of GPUs as many as the driver tells of, if it tells. */
function capacityHere(): Capacity {
  const gpu = existsSync(NVIDIA_GPUS) ? readdirSync(NVIDIA_GPUS).length : 0;
  return { cpu: availableParallelism(), memory: totalmem(), ...(gpu > 0 && { gpu }) };
}
