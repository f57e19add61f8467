/**
 * What a pipeline file says, as stages with everything filled in. Templates, `vars`, `foreach` and `matrix` mean what they mean to DVC. Imports
 * `yaml`, which is slow to load: reach this file through a dynamic import only.
 */
import { checkNode } from './pipeline-check.ts';
import { foreachVariants, matrixVariants, MAX_STAGES, type Variant } from './pipeline-expand.ts';
import { FOREACH, PIPELINE, STAGE } from './pipeline-schema.ts';
import type { PipelineSource, SourceMap, SourceNode } from './pipeline-source.ts';
import { pipelineError } from './pipeline-source.ts';
import { pathOf, readStage } from './pipeline-stage.ts';
import type { ReadVars, Vars } from './pipeline-vars.ts';
import { NO_VARS, withStandardParams, withVars } from './pipeline-vars.ts';
import type { Stage } from './pipeline.ts';
import type { RepoPath } from './repo-path.ts';
import { repoDirname } from './repo-path.ts';
import { nodeOfDocument } from './source-document.ts';
import { clip, MAX_RESOLVED, resolveNode, type Resolving, type Scope, spend, VALUE_COST } from './template.ts';
import { parseYamlFile } from './yaml-document.ts';

/** A larger one is refused unread. */
export const MAX_PIPELINE_BYTES = 4 << 20;

/** What one pipeline file says. */
export interface PipelineDocument {
  /** In the order of the file. */
  readonly stages: readonly Stage[];
  readonly metrics: readonly RepoPath[];
  readonly plots: readonly RepoPath[];
  readonly params: readonly RepoPath[];
}

const INVALID_HINT = 'Correct it in an editor; one that knows YAML shows what is wrong.';
const EMPTY_MAP: SourceMap = { type: 'map', at: 0, entries: new Map() };

interface Reading extends Resolving {
  readonly read: ReadVars;
  readonly folder: RepoPath;
  readonly lineOf: (offset: number) => number;
  readonly stages: Map<string, Stage>;
}

/**
 * Reads the pipeline file at `path`; `read` gives what files say that `vars` name. Throws `pipeline-invalid`, `pipeline-conflict`,
 * `pipeline-path`, `pipeline-too-large`, `output-twice`, `template-invalid`, `template-unknown`, `template-type`, `vars-invalid`,
 * `vars-missing`, `vars-twice`, each with file, line, column, the line itself and a hint; and what `read` throws.
 */
export function readPipelineFile(text: string, path: RepoPath, read: ReadVars): PipelineDocument {
  const source: PipelineSource = { path, text };
  const file = topOf(source);
  checkNode(file, PIPELINE, 'the file', { source, isRaw: true });
  const folder = repoDirname(path);
  const reading: Reading = {
    source,
    budget: { left: MAX_RESOLVED },
    read,
    folder,
    lineOf: lineFinder(text),
    stages: new Map(),
  };
  const place = { source, folder, read };
  const list = file.entries.get('vars')?.value;
  const standard = withStandardParams(NO_VARS, place);
  const vars = list === undefined ? standard : withVars(standard, list, place);

  const stages = file.entries.get('stages')?.value;
  if (stages?.type === 'map') {
    for (const [name, { at, value }] of stages.entries) {
      checkName(name, at, source);
      addStages(name, at, value, vars, reading);
    }
  }
  const paths = (key: string): RepoPath[] => topPaths(file, key, vars.scope, reading);
  return {
    stages: [...reading.stages.values()],
    metrics: paths('metrics'),
    plots: paths('plots'),
    params: paths('params'),
  };
}

function topOf(source: PipelineSource): SourceMap {
  // What holds nothing but comments is no map to YAML, and a pipeline without stages.
  if (source.text.split('\n').every((line) => /^\s*(?:#|$)/.test(line))) return EMPTY_MAP;
  const { document } = parseYamlFile(source.text, { path: source.path, kind: 'pipeline', hint: INVALID_HINT });
  const node = nodeOfDocument(document);
  if (node?.type === 'map') return node;
  throw pipelineError(source, 0, {
    code: 'pipeline-too-large',
    message: 'holds more values than any pipeline',
    hint: 'Keep large values in a file of their own that the command reads.',
  });
}

function addStages(name: string, at: number, definition: SourceNode, vars: Vars, reading: Reading): void {
  const { source, lineOf } = reading;
  const isForeach = definition.type === 'map' && (definition.entries.has('foreach') || definition.entries.has('do'));
  checkNode(definition, isForeach ? FOREACH : STAGE, `stage ${clip(name)}`, { source, isRaw: true });
  if (definition.type !== 'map') return;
  const line = lineOf(at);
  const body = isForeach ? definition.entries.get('do')?.value : definition;
  const variants = variantsOf(definition, vars.scope, reading);
  if (body?.type !== 'map') return;
  if (variants === undefined) {
    addStage(name, body, { vars, reserved: new Map(), line }, reading);
    return;
  }
  for (const { key, names } of variants) {
    addStage(`${name}@${key}`, body, { vars, reserved: names, line }, reading);
  }
}

function variantsOf(definition: SourceMap, scope: Scope, reading: Reading): Variant[] | undefined {
  const options = { scope, takesAny: true };
  const foreach = definition.entries.get('foreach')?.value;
  if (foreach !== undefined) return foreachVariants(resolveNode(foreach, options, reading), reading.source);
  const matrix = definition.entries.get('matrix')?.value;
  if (matrix?.type !== 'map') return undefined;
  const resolved = resolveNode(matrix, options, reading);
  return resolved.type === 'map' ? matrixVariants(resolved, reading) : undefined;
}

interface StageGiven {
  readonly vars: Vars;
  /** What `item` and `key` mean. */
  readonly reserved: ReadonlyMap<string, SourceNode>;
  readonly line: number;
}

function addStage(name: string, body: SourceMap, { vars, reserved, line }: StageGiven, reading: Reading): void {
  const { source, read, folder, stages } = reading;
  if (stages.size >= MAX_STAGES) {
    throw pipelineError(source, body.at, {
      code: 'pipeline-too-large',
      message: `this file makes more than ${MAX_STAGES} stages`,
      hint: 'Shorten the lists of "foreach" and "matrix", or let commands go through some of them.',
    });
  }
  let scope: Scope = overlay(vars.scope, reserved);
  const own = body.entries.get('vars')?.value;
  if (own !== undefined) {
    spend(reading, vars.scope.size * VALUE_COST, own.at);
    const wdirNode = body.entries.get('wdir')?.value;
    const wdir = wdirNode === undefined ? folder : wdirOf(wdirNode, scope, reading);
    const outer = new Map([...vars.scope, ...reserved]);
    const place = { source, folder: wdir, read, reserved: [...reserved.keys()] };
    scope = withVars({ ...vars, scope: outer }, own, place).scope;
  }
  const entries = new Map<string, { at: number; value: SourceNode }>();
  for (const [key, { at, value }] of body.entries) {
    if (key === 'vars' || key === 'matrix') continue;
    entries.set(key, { at, value: resolveNode(value, { scope, isCommand: key === 'cmd' }, reading) });
  }
  const resolved: SourceMap = { type: 'map', at: body.at, entries };
  checkNode(resolved, STAGE, `stage ${clip(name)}`, { source, isRaw: false });
  stages.set(name, readStage(resolved, { source, name, line }));
}

function wdirOf(node: SourceNode, scope: Scope, reading: Reading): RepoPath {
  return pathOf(reading.folder, resolveNode(node, { scope }, reading), node.at, reading.source);
}

function overlay(scope: Scope, names: ReadonlyMap<string, SourceNode>): Scope {
  return {
    get: (name) => names.get(name) ?? scope.get(name),
    keys: () => new Map([...names.keys(), ...scope.keys()].map((name) => [name, name])).keys(),
  };
}

/** The files that a list at the top names; of a plot by its name, those that its axes are of, or else what its name says. */
function topPaths(file: SourceMap, key: string, scope: Scope, reading: Reading): RepoPath[] {
  const node = file.entries.get(key)?.value;
  const list = node === undefined ? undefined : resolveNode(node, { scope }, reading);
  const paths = new Set<RepoPath>();
  for (const item of list?.type === 'list' ? list.items : []) {
    if (item.type !== 'map') paths.add(pathOf(reading.folder, item, item.at, reading.source));
    else
      for (const [name, { at, value }] of item.entries) {
        const files = plotFiles(value);
        for (const each of files.length === 0 ? [name] : files) {
          paths.add(pathOf(reading.folder, { type: 'scalar', at, value: each }, at, reading.source));
        }
      }
  }
  return [...paths].sort();
}

function plotFiles(plot: SourceNode): string[] {
  if (plot.type !== 'map') return [];
  return ['x', 'y'].flatMap((axis) => {
    const value = plot.entries.get(axis)?.value;
    return value?.type === 'map' ? [...value.entries.keys()] : [];
  });
}

/** Letters that a name on the command line, and in `file:name`, needs for something else. */
function checkName(name: string, at: number, source: PipelineSource): void {
  if (/^[^\s@:/\\*?[\]{}$'"\p{Cc}-][^@:/\\*?[\]{}$'"\p{Cc}]*$/u.test(name) && name.length <= 200) return;
  throw pipelineError(source, at, {
    message: `${JSON.stringify(clip(name))} cannot be the name of a stage`,
    hint: 'Letters, digits, "-", "_" and "." will do.',
  });
}

/** Gives the line of an offset, from 1. */
function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
