/** A stage of what its fields say, once they are checked and nothing in them is left to resolve. */
import type { MlvError } from './errors.ts';
import { PLOT_KEYS } from './pipeline-schema.ts';
import type { PipelineSource, SourceEntry, SourceMap, SourceNode } from './pipeline-source.ts';
import { pipelineError, valueOf } from './pipeline-source.ts';
import { STANDARD_PARAMS } from './pipeline-vars.ts';
import type { PodPatch, Stage, StageCluster, StageId, StageOutput, StageParams, StageResources } from './pipeline.ts';
import { PIPELINE_FILE } from './pipeline.ts';
import { parseCores, parseDuration, parseSize } from './quantity.ts';
import { fromFolder } from './relative-path.ts';
import type { RepoPath } from './repo-path.ts';
import { isInside, meet, repoDirname } from './repo-path.ts';
import { amountOf, entriesOf, entryOf, flagOf, listOf, optional, textOf } from './source-value.ts';
import { clip } from './template.ts';

interface StagePlace {
  readonly source: PipelineSource;
  readonly name: string;
  readonly line: number;
}

/** `name` of the project's own file, `sub/mlv.yaml:name` of another one. */
export function stageId(file: RepoPath, name: string): StageId {
  return (file === PIPELINE_FILE ? name : `${file}:${name}`) as StageId;
}

/** Throws `pipeline-invalid`, for paths that are none of the project, and outputs that are declared twice. */
export function readStage(map: SourceMap, { source, name, line }: StagePlace): Stage {
  const field = (key: string): SourceNode | undefined => map.entries.get(key)?.value;
  const texts = (key: string): string[] => listOf(field(key)).map(textOf);
  const text = (key: string): string | undefined => optional(field(key), textOf);
  const paths = (base: RepoPath, key: string): RepoPath[] =>
    listOf(field(key)).map((node) => pathOf(base, node, node.at, source));

  const wdirNode = field('wdir');
  const folder = repoDirname(source.path);
  const wdir = wdirNode === undefined ? folder : pathOf(folder, wdirNode, wdirNode.at, source);
  const { desc, image } = { desc: text('desc'), image: text('image') };
  const meta = optional(field('meta'), valueOf);
  const timeout = optional(field('timeout'), (node) => amountOf(node, parseDuration));
  const kubernetes = optional(entryOf(field('run_on'), 'kubernetes')?.value, textOf);
  const deps = sortedOnce(paths(wdir, 'deps'));
  const params = paramsOf(field('params'), wdir, source);
  const outs = outputsOf(map, wdir, source);
  const used = [...deps, ...params.map(({ file }) => file), ...outs.map(({ path }) => path)];
  const cluster = clusterOf(map, (node) => checkpointOf(node, { wdir, used, source }));
  const stage: Stage = {
    id: stageId(source.path, name),
    name,
    file: source.path,
    line,
    commands: commandsOf(map, source),
    wdir,
    deps,
    params,
    outs,
    env: sortedOnce(texts('env')),
    tools: Object.fromEntries(entriesOf(field('tools')).map(([tool, { value }]) => [tool, textOf(value)])),
    frozen: flagOf(field('frozen'), false),
    alwaysChanged: flagOf(field('always_changed'), false),
    mutex: sortedOnce(texts('mutex')),
    resources: resourcesOf(field('resources')),
    retries: optional(field('retries'), (node) => amountOf(node, Number)) ?? 0,
    ...(desc !== undefined && { desc }),
    ...(meta !== undefined && { meta }),
    ...(timeout !== undefined && { timeout }),
    ...(image !== undefined && { image }),
    ...(kubernetes !== undefined && { kubernetes }),
    ...(cluster !== undefined && { cluster }),
  };
  requireShortKeys(stage, map, source);
  return stage;
}

/** They are keys in the lock file: YAML has none of more than 1,024 characters, and those of its folder come before. */
const LONGEST_KEY = 900;

function requireShortKeys(stage: Stage, { at }: SourceMap, source: PipelineSource): void {
  const { deps, params, outs, env, tools } = stage;
  const keys = [...deps, ...outs.map(({ path }) => path), ...env, ...Object.keys(tools)];
  for (const each of params) keys.push(each.file, ...(each.keys ?? []));
  const long = keys.find((key) => key.length > LONGEST_KEY);
  if (long === undefined) return;
  throw pipelineError(source, at, {
    message: `${JSON.stringify(clip(long))} has ${long.length} characters: names and paths of stages have at most ${LONGEST_KEY}`,
    hint: 'Name a folder above it, or give it a shorter name.',
  });
}

/** A path as it is written, relative to a folder. Throws `pipeline-invalid`. */
export function pathOf(base: RepoPath, node: SourceNode, at: number, source: PipelineSource): RepoPath {
  const written = textOf(node);
  const path = fromFolder(base, written);
  if (path !== undefined) return path;
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(written);
  throw pipelineError(source, at, {
    code: 'pipeline-path',
    message: `${JSON.stringify(clip(written))} is no path in the project`,
    hint: isUrl
      ? 'Bring what is elsewhere into the project: "mlv get" copies from other repositories, a stage with "always_changed: true" can download.'
      : 'Paths are relative to "wdir", with "/" between names, and stay in the project.',
  });
}

function commandsOf(map: SourceMap, source: PipelineSource): string[] {
  const node = map.entries.get('cmd')?.value;
  // A command of several lines is several commands, unless a line goes on on the next, as for DVC.
  const commands = listOf(node).flatMap((each) => (node?.type === 'list' ? [textOf(each)] : linesOf(textOf(each))));
  if (commands.length > 0 && commands.every((command) => command.trim() !== '')) return commands;
  throw pipelineError(source, node?.at ?? map.at, {
    message: '"cmd" is empty',
    hint: 'Write what the stage runs.',
  });
}

function linesOf(text: string): string[] {
  if (!text.includes('\n')) return [text];
  const lines = text.match(/(?:[^\n\\]|\\[^])+\\?|\\$/g) ?? [];
  const kept = lines.map((line) => line.trim()).filter((line) => line !== '');
  return kept.length === 0 ? [text] : kept;
}

function paramsOf(node: SourceNode | undefined, wdir: RepoPath, source: PipelineSource): StageParams[] {
  const files = new Map<RepoPath, Set<string> | 'all'>();
  const add = (path: RepoPath, keys: readonly string[] | 'all'): void => {
    const before = files.get(path);
    files.set(path, keys === 'all' || before === 'all' ? 'all' : new Set([...(before ?? []), ...keys]));
  };
  for (const item of listOf(node)) {
    if (item.type !== 'map') {
      add(pathOf(wdir, { ...item, type: 'scalar', value: STANDARD_PARAMS }, item.at, source), [textOf(item)]);
      continue;
    }
    for (const [file, { at, value }] of item.entries) {
      const path = pathOf(wdir, { type: 'scalar', at, value: file }, at, source);
      add(path, value.type === 'list' && value.items.length > 0 ? value.items.map(textOf) : 'all');
    }
  }
  return [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([file, keys]) => (keys === 'all' ? { file } : { file, keys: sortedOnce([...keys]) }));
}

const KINDS = [
  ['outs', 'out'],
  ['metrics', 'metric'],
  ['plots', 'plot'],
] as const;

function outputsOf(map: SourceMap, wdir: RepoPath, source: PipelineSource): StageOutput[] {
  const outs = new Map<RepoPath, StageOutput>();
  for (const [key, kind] of KINDS) {
    for (const item of listOf(map.entries.get(key)?.value)) {
      const declared: readonly [string, SourceEntry][] =
        item.type === 'map' ? [...item.entries] : [[textOf(item), { at: item.at, value: NOTHING }]];
      for (const [written, { at, value }] of declared) {
        const path = pathOf(wdir, { type: 'scalar', at, value: written }, at, source);
        if (path === '' || outs.has(path)) throw badOutput(path, at, source);
        outs.set(path, outputOf(path, kind, value));
      }
    }
  }
  return [...outs.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

const NOTHING: SourceNode = { type: 'scalar', at: 0, value: null };

function outputOf(path: RepoPath, kind: StageOutput['kind'], options: SourceNode): StageOutput {
  const field = (key: string): SourceNode | undefined => entryOf(options, key)?.value;
  const [remote, desc, type] = ['remote', 'desc', 'type'].map((key) => optional(field(key), textOf));
  const labels = optional(field('labels'), (node) => listOf(node).map(textOf));
  const meta = optional(field('meta'), valueOf);
  const plot = entriesOf(options).filter(([key]) => kind === 'plot' && PLOT_KEYS.includes(key));
  return {
    path,
    kind,
    cache: flagOf(field('cache'), true),
    persist: flagOf(field('persist'), false),
    push: flagOf(field('push'), true),
    ...(remote !== undefined && { remote }),
    ...(desc !== undefined && { desc }),
    ...(type !== undefined && { type }),
    ...(labels !== undefined && { labels }),
    ...(meta !== undefined && { meta }),
    ...(plot.length > 0 && { plot: Object.fromEntries(plot.map(([key, { value }]) => [key, valueOf(value)])) }),
  };
}

function resourcesOf(node: SourceNode | undefined): StageResources {
  const amount = (key: string, parse: (text: string) => number): number | undefined =>
    optional(entryOf(node, key)?.value, (value) => amountOf(value, parse));
  const [memory, disk, shm] = ['memory', 'disk', 'shm'].map((key) => amount(key, parseSize));
  const [cpu, gpu] = [amount('cpu', parseCores), amount('gpu', Number)];
  const gpuType = optional(entryOf(node, 'gpu_type')?.value, textOf);
  return {
    ...(cpu !== undefined && { cpu }),
    ...(memory !== undefined && { memory }),
    ...(gpu !== undefined && { gpu }),
    ...(gpuType !== undefined && { gpuType }),
    ...(disk !== undefined && { disk }),
    ...(shm !== undefined && { shm }),
  };
}

/** Undefined where it says nothing for clusters. */
function clusterOf(map: SourceMap, readCheckpoint: (node: SourceNode) => RepoPath): StageCluster | undefined {
  const field = (key: string): SourceNode | undefined => map.entries.get(key)?.value;
  const secrets = optional(field('secrets'), (node) => [...new Set(listOf(node).map(textOf))]);
  const queue = optional(field('queue'), textOf);
  const pendingTimeout = optional(field('pending_timeout'), (node) => amountOf(node, parseDuration));
  const codes = optional(field('no_retry_exit_codes'), (node) => listOf(node).map((each) => amountOf(each, Number)));
  const noRetryExitCodes = codes && [...new Set(codes)].sort((a, b) => a - b);
  const checkpoint = optional(field('checkpoint'), readCheckpoint);
  const pod = optional(field('pod'), (node) => valueOf(node) as PodPatch);
  const cluster: StageCluster = {
    ...(secrets !== undefined && { secrets }),
    ...(queue !== undefined && { queue }),
    ...(pendingTimeout !== undefined && { pendingTimeout }),
    ...(noRetryExitCodes !== undefined && { noRetryExitCodes }),
    ...(checkpoint !== undefined && { checkpoint }),
    ...(pod !== undefined && { pod }),
  };
  return Object.keys(cluster).length === 0 ? undefined : cluster;
}

interface CheckpointPlace {
  readonly wdir: RepoPath;
  /** What the stage reads and makes. */
  readonly used: readonly RepoPath[];
  readonly source: PipelineSource;
}

/** What tries find there differs from one to the next: it can be neither what the result depends on, nor the result. */
function checkpointOf(node: SourceNode, { wdir, used, source }: CheckpointPlace): RepoPath {
  const path = pathOf(wdir, node, node.at, source);
  const runsInside = path === wdir || isInside(wdir, path);
  const other = used.find((each) => meet(each, path));
  if (!runsInside && other === undefined) return path;
  const reason = runsInside ? 'the stage runs in it' : `the stage reads or makes ${other || 'the whole project'}`;
  throw pipelineError(source, node.at, {
    code: 'pipeline-path',
    message: `not the place for a checkpoint: ${reason}`,
    hint: 'Name a folder of its own, in which the command keeps how far it got.',
  });
}

function badOutput(path: RepoPath, at: number, source: PipelineSource): MlvError {
  return path === ''
    ? pipelineError(source, at, {
        code: 'pipeline-path',
        message: 'the whole project cannot be an output',
        hint: 'Name the files and folders that the command makes.',
      })
    : pipelineError(source, at, {
        code: 'output-twice',
        message: `${path} is declared as an output twice`,
        hint: 'Take one of the two out: metrics and plots are outputs, too.',
      });
}

function sortedOnce<T extends string>(texts: readonly T[]): T[] {
  return [...new Set(texts)].sort();
}
