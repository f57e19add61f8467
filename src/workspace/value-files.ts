import { MlvError } from '../domain/errors.ts';
import { paramAt } from '../domain/param-value.ts';
import type { ParamValue } from '../domain/pipeline.ts';
import type { PipelineDocument } from '../domain/pipeline-reader.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { isInside } from '../domain/repo-path.ts';
import type { Leaf, Leaves } from '../domain/value-diff.ts';
import { flattenValue } from '../domain/value-diff.ts';
import { decodeText, readSmallFile } from '../platform/durable-write.ts';
import type { DiffSide } from './diff-revisions.ts';
import { fileAt } from './file-at.ts';
import type { Workspace } from './open.ts';
import { MAX_PARAM_BYTES, parseParamFile } from './param-file.ts';
import { pipelineAt } from './pipeline-at.ts';
import { readPipeline } from './pipeline.ts';
import type { VerbOptions } from './progress.ts';
import { openVersion } from './read-version.ts';
import { resolveTarget } from './targets.ts';
import { requireGit } from './transfer-scope.ts';
import { inRepository, versionAround } from './version-at.ts';

/** Which declared values are meant. */
export type ValueKind = 'metrics' | 'params';

/** What one file says of values. */
export type FileValues =
  | { readonly path: RepoPath; readonly state: 'read'; readonly values: Leaves }
  /** Declared, and not there. */
  | { readonly path: RepoPath; readonly state: 'missing' }
  | { readonly path: RepoPath; readonly state: 'unreadable'; readonly error: MlvError };

export interface ValueQuestion extends VerbOptions {
  readonly kind: ValueKind;
  /** Files and folders; none: everything. */
  readonly paths: readonly RepoPath[];
}

/** By file; the keys that count, undefined for all. */
type Declared = ReadonlyMap<RepoPath, ReadonlySet<string> | undefined>;

/**
 * What a side declares as metrics or parameters, by file, sorted: of its pipelines' stages, and at the top of their files. What is not in
 * the workspace, or not kept by Git, comes from the cache, or a remote. Throws what reading pipelines does.
 */
export async function readValues(
  workspace: Workspace,
  side: DiffSide,
  { kind, paths, ...options }: ValueQuestion,
): Promise<FileValues[]> {
  const declared = [...(await declaredAt(workspace, side, kind))].sort(([a], [b]) => (a < b ? -1 : 1));
  const wanted = declared.filter(
    ([path]) => paths.length === 0 || paths.some((each) => each === path || isInside(path, each)),
  );
  const files: FileValues[] = [];
  for (const [path, keys] of wanted) files.push(await readFileValues(workspace, side, { path, keys, options }));
  return files;
}

/** Paths of the project that a person means. Throws as `resolveTarget`. */
export function valuePaths(workspace: Workspace, cwd: string, typed: readonly string[]): RepoPath[] {
  return typed.map((path) => resolveTarget(workspace, cwd, path));
}

/** Throws `metrics-unknown` or `params-unknown` for a path that names none of the files. */
export function requireDeclared(kind: ValueKind, paths: readonly RepoPath[], files: readonly RepoPath[]): void {
  for (const path of paths) {
    if (files.some((file) => file === path || isInside(file, path))) continue;
    throw new MlvError({
      code: `${kind}-unknown`,
      kind: 'missing',
      message: `no stage declares ${kind} in ${path === '' ? 'this project' : path}`,
      hint: `Name it below "${kind}:" of a stage, or at the top of mlv.yaml; "mlv ${kind} diff --all" lists what is declared.`,
    });
  }
}

async function declaredAt(workspace: Workspace, side: DiffSide, kind: ValueKind): Promise<Declared> {
  if (side.kind === 'nothing') return new Map();
  const documents: readonly Pick<PipelineDocument, 'stages' | ValueKind>[] =
    side.kind === 'workspace' ? [await readPipeline(workspace)] : await pipelineAt(workspace, side);
  const declared = new Map<RepoPath, Set<string> | undefined>();
  const add = (path: RepoPath, keys?: readonly string[]): void => {
    const known = declared.get(path);
    const isWhole = keys === undefined || (declared.has(path) && known === undefined);
    declared.set(path, isWhole ? undefined : new Set([...(known ?? []), ...keys]));
  };
  for (const document of documents) {
    for (const path of document[kind]) add(path);
    for (const { outs, params } of document.stages) {
      if (kind === 'params') for (const { file, keys } of params) add(file, keys);
      else for (const out of outs) if (out.kind === 'metric') add(out.path);
    }
  }
  return declared;
}

interface Asked {
  readonly path: RepoPath;
  readonly keys: ReadonlySet<string> | undefined;
  readonly options: VerbOptions;
}

async function readFileValues(workspace: Workspace, side: DiffSide, asked: Asked): Promise<FileValues> {
  const { path, keys } = asked;
  try {
    const bytes = await bytesAt(workspace, side, asked);
    if (bytes === undefined) return { path, state: 'missing' };
    const value = await parseParamFile(decodeText(bytes, path), path);
    return { path, state: 'read', values: keys === undefined ? flattenValue(value) : pick(value, keys) };
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
    return { path, state: 'unreadable', error };
  }
}

/** Undefined where nothing is known of such a file. */
async function bytesAt(workspace: Workspace, side: DiffSide, { path, options }: Asked): Promise<Buffer | undefined> {
  const commit = side.kind === 'commit' ? side.commit : undefined;
  const rev = side.kind === 'commit' ? side.name : undefined;
  const kept =
    commit === undefined
      ? readSmallFile(`${workspace.root}/${path}`, MAX_PARAM_BYTES)
      : await (await requireGit(workspace)).readFile(commit, inRepository(workspace, path));
  if (kept !== undefined) return kept;
  const around = await versionAround(workspace, commit, path);
  if (around === undefined) return undefined;
  const reader = openVersion(workspace, around.version, options);
  try {
    const file = await fileAt({ workspace, commit, path, rev, repo: undefined }, around, reader);
    if (file === 'folder') throw isFolder(path);
    if (file.size > MAX_PARAM_BYTES) throw tooLarge(path);
    return reader.cache.read(file.digest);
  } finally {
    reader.close();
  }
}

/** What the keys name; one that the file does not have is not there. */
function pick(value: ParamValue, keys: ReadonlySet<string>): Leaves {
  const leaves = [...keys].flatMap((key): (readonly [string, Leaf])[] => {
    const at = paramAt(value, key);
    return at === undefined ? [] : [...flattenValue(at, key)];
  });
  return new Map(leaves.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isFolder(path: RepoPath): MlvError {
  return new MlvError({
    code: 'is-a-folder',
    kind: 'refused',
    message: `${path} is a folder, and values are read from files`,
    hint: 'Declare the files in it one by one.',
  });
}

function tooLarge(path: RepoPath): MlvError {
  return new MlvError({
    code: 'file-too-large',
    kind: 'refused',
    message: `${path} is larger than ${MAX_PARAM_BYTES} bytes, which no file of values is`,
    hint: 'Declare large results as "outs" or "plots".',
  });
}
