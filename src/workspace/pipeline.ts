import { MlvError } from '../domain/errors.ts';
import { paramAt } from '../domain/param-value.ts';
import type { PipelineDocument } from '../domain/pipeline-reader.ts';
import type { SourceNode } from '../domain/pipeline-source.ts';
import type { LockedStage, ParamValue, Stage } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { decodeText, readSmallFile } from '../platform/durable-write.ts';
import type { Workspace } from './open.ts';
import { MAX_PARAM_BYTES, parseParamFile } from './param-file.ts';
import { digestOfBytes } from '../platform/hash.ts';
import type { InputDigest, PipelineMemory, RememberedPipeline } from './pipeline-memory.ts';
import { readPipelineMemory, writePipelineMemory } from './pipeline-memory.ts';
import { listPipelineFiles } from './pipeline-files.ts';

/** What all pipeline files of a project say. */
export interface Pipeline {
  /** Of all files, sorted by file, then in the order of the file. */
  readonly stages: readonly Stage[];
  /** Declared at the top of files, beside the outputs of stages; likewise plots and params. Sorted, each once. */
  readonly metrics: readonly RepoPath[];
  readonly plots: readonly RepoPath[];
  readonly params: readonly RepoPath[];
  /** The files themselves, sorted. */
  readonly files: readonly RepoPath[];
  /**
   * The values of what a stage declares as parameters, as they were when the pipeline was read, or `reloadParams` called. Throws
   * `param-file-missing`, `param-file-invalid`.
   */
  paramsOf(stage: Stage): LockedStage['params'];
  /** Reads again what changed of the files of parameters: a stage may have made one. */
  reloadParams(): Promise<void>;
}

/**
 * Reads every `mlv.yaml` of the project; of what is the same as last time nothing is parsed. Throws what `readPipelineFile` does, at the first
 * file that is wrong.
 */
export async function readPipeline(workspace: Workspace): Promise<Pipeline> {
  const files = listPipelineFiles(workspace);
  if (files.length === 0) return emptyPipeline();
  const before = readPipelineMemory(workspace);
  const inputs = createInputs(workspace.root);
  const documents = new Map<RepoPath, RememberedPipeline>();
  for (const file of files) {
    const known = before.files.get(file);
    const isSame = known?.inputs.every(([path, digest]) => inputs.digest(path) === digest) === true;
    documents.set(file, isSame ? known : await parsePipeline(file, inputs));
  }
  const stages = [...documents.values()].flatMap(({ document }) => document.stages);
  const params = createParams(stages, before.params);
  await params.load(inputs);
  const memory: PipelineMemory = { files: documents, params: params.known };
  if (!isSameMemory(memory, before)) writePipelineMemory(workspace, memory);
  const paths = (key: 'metrics' | 'plots' | 'params'): RepoPath[] =>
    [...new Set([...documents.values()].flatMap(({ document }) => document[key]))].sort();
  return {
    stages,
    files,
    metrics: paths('metrics'),
    plots: paths('plots'),
    params: paths('params'),
    paramsOf: params.of,
    reloadParams: () => params.load(createInputs(workspace.root)),
  };
}

/** What a pipeline file would say with this text. Throws what `readPipelineFile` does. */
export async function parsePipelineText(workspace: Workspace, file: RepoPath, text: string): Promise<PipelineDocument> {
  return (await parsePipeline(file, createInputs(workspace.root), text)).document;
}

function emptyPipeline(): Pipeline {
  const none: readonly never[] = [];
  return {
    stages: none,
    files: none,
    metrics: none,
    plots: none,
    params: none,
    paramsOf: () => new Map(),
    reloadParams: () => Promise.resolve(),
  };
}

/** Files as they are now, each read once. */
interface Inputs {
  text(path: RepoPath): string | undefined;
  digest(path: RepoPath): InputDigest;
}

function createInputs(root: string): Inputs {
  const read = new Map<RepoPath, { readonly digest: InputDigest; readonly bytes: Buffer | undefined }>();
  const at = (path: RepoPath): { readonly digest: InputDigest; readonly bytes: Buffer | undefined } => {
    let input = read.get(path);
    if (input === undefined) {
      const bytes = readSmallFile(`${root}/${path}`, MAX_PARAM_BYTES);
      input = { bytes, digest: bytes === undefined ? null : digestOfBytes(bytes) };
      read.set(path, input);
    }
    return input;
  };
  return {
    digest: (path) => at(path).digest,
    text(path) {
      const { bytes } = at(path);
      return bytes === undefined ? undefined : decodeText(bytes, path);
    },
  };
}

async function parsePipeline(file: RepoPath, inputs: Inputs, text?: string): Promise<RememberedPipeline> {
  const [{ readPipelineFile }, { parseParamNode }] = await Promise.all([
    import('../domain/pipeline-reader.ts'),
    import('../domain/param-document.ts'),
  ]);
  const used = new Map<RepoPath, InputDigest>();
  if (text === undefined) used.set(file, inputs.digest(file));
  const nodes = new Map<RepoPath, SourceNode>();
  const read = (path: RepoPath): SourceNode | undefined => {
    used.set(path, inputs.digest(path));
    const found = inputs.text(path);
    if (found === undefined) return undefined;
    const node = nodes.get(path) ?? parseParamNode(found, path);
    nodes.set(path, node);
    return node;
  };
  const document: PipelineDocument = readPipelineFile(text ?? inputs.text(file) ?? '', file, read);
  return { inputs: [...used], document };
}

interface Params {
  /** What was parsed, by path. */
  readonly known: PipelineMemory['params'];
  load(inputs: Inputs): Promise<void>;
  of(stage: Stage): LockedStage['params'];
}

function createParams(stages: readonly Stage[], before: PipelineMemory['params']): Params {
  const files = new Set(stages.flatMap(({ params }) => params.map(({ file }) => file)));
  const known: PipelineMemory['params'] = new Map();
  const errors = new Map<RepoPath, MlvError>();

  function valueOf(file: RepoPath, stage: Stage): ParamValue {
    const error = errors.get(file);
    if (error !== undefined) throw error;
    const params = known.get(file);
    if (params !== undefined) return params.value;
    throw new MlvError({
      code: 'param-file-missing',
      kind: 'missing',
      message: `${file} is not there, where stage ${stage.id} has its parameters`,
      hint: `Write it, or correct "params" in ${stage.file}, line ${stage.line}.`,
    });
  }

  return {
    known,
    async load(inputs) {
      errors.clear();
      for (const file of files) {
        try {
          const digest = inputs.digest(file);
          const last = known.get(file) ?? before.get(file);
          if (digest === null) known.delete(file);
          else if (last?.digest === digest) known.set(file, last);
          else known.set(file, { digest, value: await parseParamFile(inputs.text(file) ?? '', file) });
        } catch (error) {
          if (!(error instanceof MlvError)) throw error;
          known.delete(file);
          errors.set(file, error);
        }
      }
    },
    of(stage) {
      const values = stage.params.map(({ file, keys }) => {
        const value = valueOf(file, stage);
        if (keys === undefined) return [file, new Map([['', value]])] as const;
        const found = keys.flatMap((key) => {
          const at = paramAt(value, key);
          return at === undefined ? [] : [[key, at] as const];
        });
        return [file, new Map(found)] as const;
      });
      return new Map(values);
    },
  };
}

function isSameMemory(memory: PipelineMemory, before: PipelineMemory): boolean {
  return (
    memory.files.size === before.files.size &&
    memory.params.size === before.params.size &&
    [...memory.files].every(([path, each]) => before.files.get(path) === each) &&
    [...memory.params].every(([path, each]) => before.params.get(path) === each)
  );
}
