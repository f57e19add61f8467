/**
 * A graph as lanes of characters, a line for each node, data flowing down. A lane is what one node, or several, still lead to; nodes that
 * lead to the same ones share it, so that a hundred stages between two take three lanes, not a hundred. A node that nothing leads to is
 * hollow: what is above it has nothing to do with it.
 *
 *     ○    prepare
 *     ├─●  train@1
 *     ● │  train@2
 *     ├─┘
 *     ●    report
 */
import type { Dag, DagNode } from './dag.ts';

interface Lane {
  readonly column: number;
  /** Nodes that it leads to, in the order of the drawing, those that were drawn taken away from the front. */
  readonly ahead: readonly number[];
}

/** Two characters each: room is left for names. */
const MAX_LANES = 20;
const NAMED = 3;

/** Lines without a line feed. A graph of more than 20 lanes becomes a list in which each node names what leads to it. */
export function dagText(dag: Dag): string[] {
  const nodes = drawingOrder(dag);
  const index = new Map(nodes.map(({ id }, position) => [id, position]));
  const ahead = nodes.map((): number[] => []);
  for (const { from, to } of dag.edges) ahead[index.get(from) ?? 0]?.push(index.get(to) ?? 0);
  for (const each of ahead) each.sort((a, b) => a - b);
  return drawLanes(nodes, ahead) ?? drawList(nodes, ahead);
}

/** Undefined where it would be too wide. */
function drawLanes(nodes: readonly DagNode[], ahead: readonly (readonly number[])[]): string[] | undefined {
  const rows: { readonly graph: string; readonly label: string }[] = [];
  let lanes: readonly Lane[] = [];
  /** Nodes since no lane was open. */
  let together = 0;
  let last = -1;
  for (const [position, node] of nodes.entries()) {
    const outgoing = ahead[position] ?? [];
    if (lanes.length === 0) {
      if (position > 0 && (together > 1 || outgoing.length > 0)) rows.push({ graph: '', label: '' });
      together = 0;
    }
    together += 1;
    const incoming = lanes.filter((lane) => lane.ahead[0] === position);
    const passed = lanes.map((lane) => (incoming.includes(lane) ? { ...lane, ahead: lane.ahead.slice(1) } : lane));
    const open = passed.filter((lane) => lane.ahead.length > 0);
    const ended = incoming.find((lane) => lane.ahead.length === 1);
    // Right below a node that leads nowhere it would look as if it came from that.
    const shunned = incoming.length > 0 ? [last] : [];
    const column = ended?.column ?? firstFree([...lanes.map((lane) => lane.column), ...shunned]);
    last = column;
    rows.push({
      graph: drawRow({
        column,
        mark: incoming.length > 0 ? '●' : '○',
        joined: incoming.map((lane) => lane.column).filter((each) => each !== column),
        before: new Set(lanes.map((lane) => lane.column)),
        after: new Set(open.map((lane) => lane.column)),
      }),
      label: labelOf(node),
    });
    lanes = outgoing.length === 0 ? open : [...open, { column, ahead: outgoing }];
    lanes = lanes.toSorted((a, b) => a.column - b.column);
    if (lanes.length > MAX_LANES) return undefined;
    for (let twins = findTwins(lanes); twins !== undefined; twins = findTwins(lanes)) {
      const [kept, gone] = twins;
      const left = lanes.filter((lane) => lane !== gone);
      rows.push({
        graph: drawRow({
          column: kept.column,
          mark: '├',
          joined: [gone.column],
          before: new Set(lanes.map((lane) => lane.column)),
          after: new Set(left.map((lane) => lane.column)),
        }),
        label: '',
      });
      lanes = left;
      last = -1;
    }
  }
  const width = Math.max(0, ...rows.map(({ graph }) => graph.length));
  return rows.map(({ graph, label }) => (label === '' ? graph : `${graph.padEnd(width)}  ${label}`));
}

/** A line with a mark in one column, `joined` to others. */
function drawRow(row: {
  readonly column: number;
  readonly mark: string;
  readonly joined: readonly number[];
  /** Columns with a lane that comes from above, and those with one that goes on below. */
  readonly before: ReadonlySet<number>;
  readonly after: ReadonlySet<number>;
}): string {
  const { column, mark, joined, before, after } = row;
  const first = Math.min(column, ...joined);
  const last = Math.max(column, ...joined);
  const cells: string[] = [];
  for (let each = 0; each <= Math.max(last, ...before); each++) {
    const isWithin = each >= first && each <= last;
    let cell = before.has(each) ? '│' : isWithin ? '─' : ' ';
    if (each === column) cell = mark;
    else if (joined.includes(each)) {
      const isEnd = each === first || each === last;
      if (!isEnd) cell = after.has(each) ? '┼' : '┴';
      else if (each === first) cell = after.has(each) ? '├' : '└';
      else cell = after.has(each) ? '┤' : '┘';
    }
    cells.push(cell + (each >= first && each < last ? '─' : ' '));
  }
  return cells.join('').trimEnd();
}

/** Two lanes that lead to the same nodes; the first is further left. */
function findTwins(lanes: readonly Lane[]): [Lane, Lane] | undefined {
  for (const [index, lane] of lanes.entries()) {
    const twin = lanes.slice(index + 1).find((other) => isSame(lane.ahead, other.ahead));
    if (twin !== undefined) return [lane, twin];
  }
  return undefined;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index]);
}

function firstFree(columns: readonly number[]): number {
  const taken = new Set(columns);
  let column = 0;
  while (taken.has(column)) column += 1;
  return column;
}

function drawList(nodes: readonly DagNode[], ahead: readonly (readonly number[])[]): string[] {
  const sources = nodes.map((): string[] => []);
  for (const [from, each] of ahead.entries()) for (const to of each) sources[to]?.push(nodes[from]?.id ?? '');
  return nodes.map((node, index) => {
    const named = sources[index] ?? [];
    const more = named.length > NAMED ? [`${named.length - NAMED} more`] : [];
    return named.length === 0 ? labelOf(node) : `${labelOf(node)} ← ${[...named.slice(0, NAMED), ...more].join(', ')}`;
  });
}

function labelOf({ id, isFrozen }: DagNode): string {
  return isFrozen ? `${id} (frozen)` : id;
}

/** What hangs together stands together, and what a node leads to comes right after it where nothing else has to come first. */
function drawingOrder({ nodes, edges }: Dag): DagNode[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const rank = new Map(nodes.map(({ id }, index) => [id, index]));
  const after = new Map(nodes.map(({ id }): [string, string[]] => [id, []]));
  const before = new Map(nodes.map(({ id }): [string, string[]] => [id, []]));
  for (const { from, to } of edges) {
    after.get(from)?.push(to);
    before.get(to)?.push(from);
  }
  const waiting = new Map([...before].map(([id, each]) => [id, each.length]));
  const order: DagNode[] = [];
  const seen = new Set<string>();
  for (const { id: start } of nodes) {
    if (seen.has(start)) continue;
    const component = new Set([start]);
    for (const id of component)
      for (const next of [...(before.get(id) ?? []), ...(after.get(id) ?? [])]) component.add(next);
    for (const id of component) seen.add(id);
    // The last one is next.
    const ready = [...component].filter((id) => waiting.get(id) === 0);
    ready.sort((a, b) => (rank.get(b) ?? 0) - (rank.get(a) ?? 0));
    for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
      const node = byId.get(id);
      if (node !== undefined) order.push(node);
      for (const next of after.get(id)?.toReversed() ?? []) {
        const left = (waiting.get(next) ?? 0) - 1;
        waiting.set(next, left);
        if (left === 0) ready.push(next);
      }
    }
  }
  return order;
}
