import type { Dag } from '../../domain/dag.ts';
import { dagOfOutputs, dagOfStages, stagesAround } from '../../domain/dag.ts';
import { dagDot } from '../../domain/dag-dot.ts';
import { dagMermaid } from '../../domain/dag-mermaid.ts';
import { dagText } from '../../domain/dag-text.ts';
import { MlvError } from '../../domain/errors.ts';
import { buildGraph } from '../../domain/stage-graph.ts';
import { readPipeline } from '../../workspace/pipeline.ts';
import { selectStages } from '../../workspace/select-stages.ts';
import { defineCommand } from '../command.ts';
import { visible } from '../format.ts';

const FORMATS: Readonly<Record<string, (dag: Dag) => readonly string[]>> = {
  text: (dag) => (dag.nodes.length === 0 ? ['There are no stages: mlv.yaml declares none'] : dagText(dag).map(visible)),
  mermaid: dagMermaid,
  dot: dagDot,
  json: (dag) => JSON.stringify(dataOf(dag), null, 2).split('\n'),
};

export const dag = defineCommand({
  details: [
    'Shows how stages hang together: each below those whose outputs it reads, with lines that lead from one to the other; a hollow mark where nothing leads to it. With targets, only those and what is before them.',
    'Mermaid is shown drawn in Markdown on GitHub and GitLab; dot is for Graphviz.',
  ],
  positionals: {
    targets: {
      many: true,
      value: 'STAGE',
      about: 'stages, or an mlv.yaml for all of its stages; all when none is given',
    },
  },
  options: {
    outs: { type: 'boolean', about: 'show outputs in place of stages' },
    format: { type: 'string', value: 'FORMAT', about: 'text (the default), mermaid, dot or json' },
  },
  example: { command: 'mlv dag --format mermaid', about: 'Prints the pipeline for a page of Markdown' },
  async run({ targets, outs, format = 'text' }, { cwd, open }) {
    const draw = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
    if (draw === undefined) {
      throw new MlvError({
        code: 'usage',
        kind: 'usage',
        message: `mlv dag does not know the format ${JSON.stringify(format)}`,
        hint: `Formats are ${Object.keys(FORMATS).join(', ')}.`,
      });
    }
    const workspace = await open();
    const pipeline = await readPipeline(workspace);
    const graph = buildGraph(pipeline.stages);
    const stages = stagesAround(graph, selectStages(pipeline, { root: workspace.root, cwd }, targets));
    const drawn = outs === true ? dagOfOutputs(graph, stages) : dagOfStages(graph, stages);
    return { data: dataOf(drawn), text: () => draw(drawn), isAnswer: true };
  },
});

function dataOf({ nodes, edges }: Dag): unknown {
  return {
    nodes: nodes.map(({ id, kind, isFrozen }) => ({ id, kind, ...(isFrozen && { frozen: true }) })),
    edges,
  };
}
