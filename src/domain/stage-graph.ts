/** How stages hang together: one reads what another makes. */
import { MlvError } from './errors.ts';
import type { Stage, StageId, StageOutput } from './pipeline.ts';
import type { RepoPath } from './repo-path.ts';
import { repoDirname } from './repo-path.ts';

/** Why one stage comes after another. */
export interface StageLink {
  /** The stage that makes the output. */
  readonly from: StageId;
  readonly output: RepoPath;
  /** The stage that reads it, all or a part of it, or a folder around it. */
  readonly to: StageId;
  readonly dependency: RepoPath;
}

export interface StageGraph {
  /** All stages, each after those that it reads from; otherwise in the order they were given. */
  readonly order: readonly StageId[];
  /** The stages that this one reads from, directly, in `order`. Those behind them are theirs to tell. */
  upstream(id: StageId): readonly StageId[];
  /** The stages that read from this one, directly, in `order`. */
  downstream(id: StageId): readonly StageId[];
  /** Throws an `Error` for an id that is not in the graph. */
  stage(id: StageId): Stage;
  /** The stage with an output that is this path, or the folder around it. Undefined for a folder around outputs. */
  producerOf(path: RepoPath): Stage | undefined;
  /** What this stage reads of others, by dependency, then by output. */
  links(id: StageId): readonly StageLink[];
}

/** Of a cycle in a message; all of its edges are listed below. */
const DRAWN_STAGES = 10;

interface Made {
  readonly stage: Stage;
  readonly output: StageOutput;
}

/**
 * The graph of stages: an edge where a dependency, or a file with parameters, is an output of another stage, lies inside one, or holds one.
 * Takes time for stages and edges, not for pairs of stages. Throws `output-twice`, `output-inside-output`, `stage-depends-on-itself`,
 * `pipeline-cycle`.
 */
export function buildGraph(stages: readonly Stage[]): StageGraph {
  const made = outputsOf(stages);
  const sorted = [...made.keys()].sort();
  const linksOf = new Map(stages.map((stage) => [stage.id, findLinks(stage, made, sorted)]));
  const byId = new Map(stages.map((stage) => [stage.id, stage]));
  const declared = new Map(stages.map(({ id }, index) => [id, index]));
  const before = new Map<StageId, StageId[]>();
  for (const [id, links] of linksOf) {
    const ids = [...new Set(links.map(({ from }) => from))];
    before.set(
      id,
      ids.sort((a, b) => (declared.get(a) ?? 0) - (declared.get(b) ?? 0)),
    );
  }
  const order = topologicalOrder(stages, before, linksOf);
  const after = new Map<StageId, StageId[]>(order.map((id) => [id, []]));
  const upstream = new Map<StageId, StageId[]>(order.map((id) => [id, []]));
  for (const id of order) for (const from of before.get(id) ?? []) after.get(from)?.push(id);
  for (const id of order) for (const to of after.get(id) ?? []) upstream.get(to)?.push(id);
  return {
    order,
    upstream: (id) => known(upstream, id),
    downstream: (id) => known(after, id),
    stage: (id) => known(byId, id),
    producerOf: (path) => outputAround(path, made)?.stage,
    links: (id) => known(linksOf, id),
  };
}

/**
 * The stages that a run of `targets` looks at, in the graph's order: they and all that they read from, directly or not. With `single`
 * they alone; with `downstream` they and all that read from them. A frozen stage is taken as it is: what is before it is not looked at for
 * its sake, nor does it pass a change on.
 */
export function selectWithUpstream(
  graph: StageGraph,
  targets: readonly StageId[],
  { single = false, downstream = false }: { readonly single?: boolean; readonly downstream?: boolean } = {},
): StageId[] {
  const selected = new Set(targets);
  if (!single) {
    // What is added on the way is visited, too.
    for (const id of selected) {
      if (downstream) {
        for (const next of graph.downstream(id)) if (!graph.stage(next).frozen) selected.add(next);
      } else if (!graph.stage(id).frozen) for (const next of graph.upstream(id)) selected.add(next);
    }
  }
  return graph.order.filter((id) => selected.has(id));
}

function known<T>(map: ReadonlyMap<StageId, T>, id: StageId): T {
  const found = map.get(id);
  if (found === undefined) throw new Error(`no stage of this graph: ${id}`);
  return found;
}

/** Every output by its path; none is in another. */
function outputsOf(stages: readonly Stage[]): ReadonlyMap<RepoPath, Made> {
  const made = new Map<RepoPath, Made>();
  for (const stage of stages) {
    for (const output of stage.outs) {
      const other = made.get(output.path);
      if (other !== undefined) throw madeTwice(other.stage, stage, output.path);
      made.set(output.path, { stage, output });
    }
  }
  for (const inner of made.values()) {
    const outer = inner.output.path === '' ? undefined : outputAround(repoDirname(inner.output.path), made);
    if (outer !== undefined) throw madeInside(inner, outer);
  }
  return made;
}

/** The output that is this path or a folder around it. */
function outputAround(path: RepoPath, made: ReadonlyMap<RepoPath, Made>): Made | undefined {
  for (let at = path; ; at = repoDirname(at)) {
    const found = made.get(at);
    if (found !== undefined || at === '') return found;
  }
}

/** `sorted` are the paths of all outputs, by code unit, so that those in a folder stand together. */
function findLinks(stage: Stage, made: ReadonlyMap<RepoPath, Made>, sorted: readonly RepoPath[]): StageLink[] {
  const links: StageLink[] = [];
  const link = (dependency: RepoPath, { stage: { id }, output }: Made): void => {
    if (id === stage.id) throw dependsOnItself(stage, dependency, output.path);
    links.push({ from: id, output: output.path, to: stage.id, dependency });
  };
  const read = new Set([...stage.deps, ...stage.params.map(({ file }) => file)]);
  for (const dependency of [...read].sort()) {
    const around = outputAround(dependency, made);
    if (around !== undefined) {
      link(dependency, around);
      continue;
    }
    const prefix = dependency === '' ? '' : `${dependency}/`;
    for (let index = firstFrom(sorted, prefix); index < sorted.length; index++) {
      const path = sorted[index];
      const inside = path?.startsWith(prefix) ? made.get(path) : undefined;
      if (inside === undefined) break;
      link(dependency, inside);
    }
  }
  return links;
}

/** Where the first text is that does not come before `text`. */
function firstFrom(sorted: readonly string[], text: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Depth first, without recursion: a chain of ten thousand stages is deeper than the stack. */
function topologicalOrder(
  stages: readonly Stage[],
  before: ReadonlyMap<StageId, readonly StageId[]>,
  linksOf: ReadonlyMap<StageId, readonly StageLink[]>,
): StageId[] {
  const order: StageId[] = [];
  const state = new Map<StageId, 'open' | 'done'>();
  for (const { id: start } of stages) {
    const open = state.has(start) ? [] : [{ id: start, next: 0 }];
    state.set(start, state.get(start) ?? 'open');
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const next = before.get(top.id)?.[top.next++];
      if (next === undefined) {
        state.set(top.id, 'done');
        order.push(top.id);
        open.pop();
      } else if (state.get(next) === 'open') {
        // On the stack each reads from the one above it; told is the way of the data.
        const ids = open.slice(open.findIndex(({ id }) => id === next)).map(({ id }) => id);
        throw cycle(ids.toReversed(), stages, linksOf);
      } else if (!state.has(next)) {
        state.set(next, 'open');
        open.push({ id: next, next: 0 });
      }
    }
  }
  return order;
}

function cycle(
  found: readonly StageId[],
  stages: readonly Stage[],
  linksOf: ReadonlyMap<StageId, readonly StageLink[]>,
): MlvError {
  // It begins with the stage that was declared first.
  const members = new Set(found);
  const first = stages.find(({ id }) => members.has(id))?.id;
  const start = found.findIndex((id) => id === first);
  const ids = [...found.slice(start), ...found.slice(0, start)];
  const items = ids.map((from, index) => {
    const to = ids[(index + 1) % ids.length];
    const link = linksOf.get(to as StageId)?.find((each) => each.from === from);
    return `${from} makes ${link?.output}, ${to} depends on ${link?.dependency}`;
  });
  const drawn = ids.length > DRAWN_STAGES ? [...ids.slice(0, DRAWN_STAGES - 1), '…'] : ids;
  return new MlvError({
    code: 'pipeline-cycle',
    kind: 'refused',
    message: `stages wait for each other: ${[...drawn, ids[0]].join(' → ')}`,
    hint: 'Take one of these dependencies away, or split a stage so that the data goes one way.',
    items,
  });
}

function madeTwice(first: Stage, second: Stage, path: RepoPath): MlvError {
  return new MlvError({
    code: 'output-twice',
    kind: 'refused',
    message:
      first.id === second.id
        ? `stage ${first.id} declares the output ${path} twice (${placeOf(first)})`
        : `two stages make ${path}: ${first.id} (${placeOf(first)}) and ${second.id} (${placeOf(second)})`,
    hint: 'Give each stage outputs of its own.',
  });
}

function madeInside(inner: Made, outer: Made): MlvError {
  const of = ({ stage, output }: Made): string => `${shown(output.path)} of ${stage.id} (${placeOf(stage)})`;
  return new MlvError({
    code: 'output-inside-output',
    kind: 'refused',
    message: `an output lies inside another one: ${of(inner)} inside ${of(outer)}`,
    hint:
      inner.stage.id === outer.stage.id
        ? 'Declare the folder alone, or all that is made in it but not the folder.'
        : 'Let one of the stages write to another place.',
  });
}

function dependsOnItself(stage: Stage, dependency: RepoPath, output: RepoPath): MlvError {
  const what =
    dependency === output
      ? `both depends on ${shown(output)} and makes it`
      : `depends on ${shown(dependency)} and makes ${output}, and one lies inside the other`;
  return new MlvError({
    code: 'stage-depends-on-itself',
    kind: 'refused',
    message: `${placeOf(stage)}: stage ${stage.id} ${what}: it would be out of date whenever it has run`,
    hint: 'Write to another place. For what the command goes on with from run to run, drop the dependency and set "persist: true" on the output.',
  });
}

function placeOf({ file, line }: Stage): string {
  return `${file}:${line}`;
}

function shown(path: RepoPath): string {
  return path === '' ? 'the whole project' : path;
}
