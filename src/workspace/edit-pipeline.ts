import { dirname, join, relative, sep } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { formatLock, MAX_LOCK_BYTES } from '../domain/lock-file.ts';
import type { StageDefinition } from '../domain/pipeline-edit.ts';
import { pipelineJsonSchema, SCHEMA_FILE } from '../domain/pipeline-json-schema.ts';
import { stageId } from '../domain/pipeline-stage.ts';
import type { Stage, StageId } from '../domain/pipeline.ts';
import { LOCK_FILE, PIPELINE_FILE } from '../domain/pipeline.ts';
import { buildGraph } from '../domain/stage-graph.ts';
import { relativeTo } from '../domain/relative-path.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { joinRepoPath, parseRepoPath, repoDirname } from '../domain/repo-path.ts';
import { makeFolderDurably, readTextFile, removeFileDurably, writeFileDurably } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { Workspace } from './open.ts';
import { listPipelineFiles } from './pipeline-files.ts';
import { parsePipelineText, readPipeline } from './pipeline.ts';
import { nearestPipelineFile, selectStages } from './select-stages.ts';
import { withPointersLock } from './write-pointers.ts';

/** What was changed. */
export interface PipelineEdit {
  /** In the order of the pipeline. */
  readonly stages: readonly string[];
  /** Files that were written, or removed. */
  readonly files: readonly RepoPath[];
  /** Those of them that were staged in Git. */
  readonly staged: readonly string[];
}

export interface AddStageOptions {
  readonly cwd: string;
  readonly name: string;
  /** Paths in it are relative to its `wdir`. */
  readonly definition: StageDefinition;
  /** Where the command runs, relative to `cwd`. */
  readonly wdir: string;
  /** Replaces a stage of that name. */
  readonly force: boolean;
}

const MAX_TEXT_BYTES = 16 << 20;

/**
 * Adds a stage to the nearest pipeline file upwards from `cwd`, or makes one there. Throws `stage-exists`, and what reading the file does and the graph that
 * would come of it do: then nothing is written.
 */
export function addStageTo(workspace: Workspace, options: AddStageOptions): Promise<PipelineEdit> {
  const { cwd, name, definition, force } = options;
  const { root } = workspace;
  const here = parseRepoPath(inProject(root, cwd));
  const files = listPipelineFiles(workspace);
  const file = nearestPipelineFile(files, { root, cwd }) ?? joinRepoPath(here, PIPELINE_FILE);
  const folder = repoDirname(file);
  const runsIn = inProject(root, join(cwd, options.wdir));
  const wdir = runsIn === folder ? undefined : relativeTo(runsIn as RepoPath, folder);
  return withPointersLock(workspace, async (lock) => {
    const { addStage } = await import('../domain/pipeline-edit.ts');
    const before = readText(root, file);
    const { cmd, ...fields } = definition;
    const text = addStage(before, { path: file, name, definition: { cmd, wdir, ...fields }, force });
    const { stages } = await parsePipelineText(workspace, file, text);
    const others = (await readPipeline(workspace)).stages.filter((stage) => stage.file !== file);
    buildGraph([...others, ...stages]);
    const written = new Map<RepoPath, string>([[file, text]]);
    if (before === undefined || text.includes(SCHEMA_FILE)) keepSchema(root, written);
    lock.assertHeld();
    return finish(workspace, [stageId(file, name)], written);
  });
}

export interface EditStagesOptions {
  readonly cwd: string;
  readonly targets: readonly string[];
}

/** Takes stages out of their files, and what is recorded of them out of the lock files. Throws `stage-unknown`, `stage-generated`. */
export function removeStagesFrom(workspace: Workspace, options: EditStagesOptions): Promise<PipelineEdit> {
  return withPointersLock(workspace, async (lock) => {
    const { removeStages } = await import('../domain/pipeline-edit.ts');
    const { parseLock } = await import('../domain/lock-document.ts');
    const written = new Map<RepoPath, string | undefined>();
    const chosen = await chooseStages(workspace, options);
    for (const [file, names] of chosen.names) {
      written.set(file, removeStages(readText(workspace.root, file) ?? '', file, [...names]));
      const lockFile = joinRepoPath(repoDirname(file), LOCK_FILE);
      const locked = readText(workspace.root, lockFile, MAX_LOCK_BYTES);
      if (locked === undefined) continue;
      const before = parseLock(locked, lockFile);
      const kept = new Map([...before].filter(([name]) => !names.has(groupOf(name))));
      if (kept.size < before.size) written.set(lockFile, kept.size === 0 ? undefined : formatLock(kept, lockFile));
    }
    for (const file of chosen.names.keys()) await parsePipelineText(workspace, file, written.get(file) ?? '');
    lock.assertHeld();
    return finish(workspace, chosen.ids, written);
  });
}

/** Makes stages frozen, or no longer so. Throws `stage-unknown`, `stage-generated`. */
export function freezeStagesOf(
  workspace: Workspace,
  options: EditStagesOptions & { readonly frozen: boolean },
): Promise<PipelineEdit> {
  return withPointersLock(workspace, async (lock) => {
    const { freezeStages } = await import('../domain/pipeline-edit.ts');
    const written = new Map<RepoPath, string>();
    const chosen = await chooseStages(workspace, options);
    const changed = chosen.stages.filter((stage) => stage.frozen !== options.frozen);
    for (const file of new Set(changed.map((stage) => stage.file))) {
      const names = new Set(changed.filter((stage) => stage.file === file).map((stage) => groupOf(stage.name)));
      const text = freezeStages(readText(workspace.root, file) ?? '', file, [...names], options.frozen);
      await parsePipelineText(workspace, file, text);
      written.set(file, text);
    }
    lock.assertHeld();
    return finish(
      workspace,
      changed.map(({ id }) => id),
      written,
    );
  });
}

interface Chosen {
  readonly ids: readonly StageId[];
  readonly stages: readonly Stage[];
  /** As they stand in each file: without what `foreach` and `matrix` put behind. */
  readonly names: ReadonlyMap<RepoPath, ReadonlySet<string>>;
}

async function chooseStages(workspace: Workspace, { cwd, targets }: EditStagesOptions): Promise<Chosen> {
  const pipeline = await readPipeline(workspace);
  const ids = selectStages(pipeline, { root: workspace.root, cwd }, targets);
  const selected = new Set(ids);
  const stages = pipeline.stages.filter(({ id }) => selected.has(id));
  const names = new Map<RepoPath, Set<string>>();
  for (const { file, name } of stages) {
    const group = groupOf(name);
    const others = pipeline.stages.filter((stage) => stage.file === file && groupOf(stage.name) === group);
    const left = others.find(({ id }) => !selected.has(id));
    if (left !== undefined) throw generated(name, group, file);
    names.set(file, (names.get(file) ?? new Set()).add(group));
  }
  return { ids, stages, names };
}

/** The schema of this mlv, beside the settings, for editors. */
function keepSchema(root: string, written: Map<RepoPath, string>): void {
  const schema = pipelineJsonSchema();
  if (readText(root, SCHEMA_FILE) !== schema) written.set(SCHEMA_FILE, schema);
}

async function finish(
  workspace: Workspace,
  stages: readonly string[],
  written: ReadonlyMap<RepoPath, string | undefined>,
): Promise<PipelineEdit> {
  const { root, prefix, settings } = workspace;
  for (const [path, text] of written) {
    const absolute = join(root, path);
    if (statsAt(absolute)?.isSymbolicLink() === true) throw linked(path);
    if (text === undefined) removeFileDurably(absolute);
    else {
      makeFolderDurably(dirname(absolute));
      writeFileDurably(absolute, text);
    }
  }
  const files = [...written.keys()].sort();
  const git = settings.values['core.autostage'] && files.length > 0 ? await workspace.git() : undefined;
  if (git === undefined) return { stages, files, staged: [] };
  const full = (path: RepoPath): string => (prefix === '' ? path : `${prefix}/${path}`);
  const tracked = new Set(await git.tracked(files.map(full)));
  const staged = files.filter((path) => written.get(path) !== undefined || tracked.has(full(path)));
  if (staged.length > 0) await git.stage(staged.map(full));
  return { stages, files, staged };
}

function readText(root: string, path: RepoPath, maxBytes = MAX_TEXT_BYTES): string | undefined {
  return readTextFile(join(root, path), maxBytes);
}

/** The name in the file of what `foreach` and `matrix` made of it. */
function groupOf(name: string): string {
  const at = name.indexOf('@');
  return at === -1 ? name : name.slice(0, at);
}

function inProject(root: string, absolute: string): string {
  const path = relative(root, absolute).split(sep).join('/');
  if (path !== '..' && !path.startsWith('../')) return path;
  throw new MlvError({
    code: 'path-outside',
    kind: 'refused',
    message: `${absolute} is not in the project ${root}`,
    hint: 'Stages run in folders of the project.',
  });
}

function generated(name: string, group: string, file: RepoPath): MlvError {
  return new MlvError({
    code: 'stage-generated',
    kind: 'refused',
    message: `${name} is one of the stages that "foreach" or "matrix" make of ${group} in ${file}`,
    hint: `Name all of them, ${group}, or edit the list in ${file}.`,
  });
}

function linked(path: RepoPath): MlvError {
  return new MlvError({
    code: 'pipeline-linked',
    kind: 'refused',
    message: `${path} is a symlink, where mlv would have to write`,
    hint: 'Remove it, or replace it by what it leads to.',
  });
}
