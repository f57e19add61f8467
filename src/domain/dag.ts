/** What `mlv dag` draws: stages, or outputs, and what leads from one to another. */
import type { StageId } from './pipeline.ts';
import type { StageGraph } from './stage-graph.ts';

export interface DagNode {
  /** Of its own, whatever else is in the graph: the stage's id, or the path of the output. */
  readonly id: string;
  readonly kind: 'stage' | 'output';
  readonly isFrozen: boolean;
}

export interface Dag {
  /** Each after those that lead to it. */
  readonly nodes: readonly DagNode[];
  /** Each once, in the order of the nodes. */
  readonly edges: readonly { readonly from: string; readonly to: string }[];
}

/** Stages, and those that they read from, directly or not, in the graph's order; frozen ones are no end. */
export function stagesAround(graph: StageGraph, targets: readonly StageId[]): StageId[] {
  const found = new Set(targets);
  // What is added on the way is visited, too.
  for (const id of found) for (const from of graph.upstream(id)) found.add(from);
  return graph.order.filter((id) => found.has(id));
}

export function dagOfStages(graph: StageGraph, stages: readonly StageId[]): Dag {
  const shown = new Set(stages);
  return {
    nodes: stages.map((id) => ({ id, kind: 'stage', isFrozen: graph.stage(id).frozen })),
    edges: stages.flatMap((from) => graph.downstream(from).flatMap((to) => (shown.has(to) ? [{ from, to }] : []))),
  };
}

/** Outputs of these stages, each with edges from the outputs that its stage reads. A stage without outputs stands for itself. */
export function dagOfOutputs(graph: StageGraph, stages: readonly StageId[]): Dag {
  const nodes: DagNode[] = [];
  const edges: { from: string; to: string }[] = [];
  const shown = new Set(stages);
  for (const id of stages) {
    const { outs, frozen: isFrozen } = graph.stage(id);
    const own: DagNode[] = outs.map(({ path }) => ({ id: path, kind: 'output', isFrozen }));
    if (own.length === 0) own.push({ id, kind: 'stage', isFrozen });
    nodes.push(...own);
    const read = new Set(graph.links(id).flatMap(({ from, output }) => (shown.has(from) ? [output] : [])));
    for (const from of read) for (const { id: to } of own) edges.push({ from, to });
  }
  return { nodes, edges };
}
