import { posix, relative, resolve, sep } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { nearestName } from '../domain/nearest-name.ts';
import type { Stage, StageId } from '../domain/pipeline.ts';
import { PIPELINE_FILE } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { Pipeline } from './pipeline.ts';

/** Where a command was called, absolute. */
export interface CalledFrom {
  readonly root: string;
  readonly cwd: string;
}

const PREFIX = 'stage:';

/**
 * The stages that targets name, in the order of the pipeline; all of them where nothing is named. `train` is of the nearest pipeline file upwards
 * from `cwd`, and stands for all `train@…` too; `sub/mlv.yaml:train` is of that file, `sub/mlv.yaml` all that is in it; `stage:` may stand before
 * each. Throws `stage-unknown`.
 */
export function selectStages(pipeline: Pipeline, where: CalledFrom, targets: readonly string[]): StageId[] {
  if (targets.length === 0) return pipeline.stages.map(({ id }) => id);
  const selected = new Set(targets.flatMap((target) => stagesOf(pipeline, where, target)));
  return pipeline.stages.filter((stage) => selected.has(stage)).map(({ id }) => id);
}

function stagesOf(pipeline: Pipeline, where: CalledFrom, target: string): Stage[] {
  const written = target.startsWith(PREFIX) ? target.slice(PREFIX.length) : target;
  const { file, name } = splitTarget(pipeline, where, written);
  if (file === undefined) throw fileUnknown(pipeline, target);
  const inFile = pipeline.stages.filter((stage) => stage.file === file);
  if (name === undefined) return inFile;
  const found = inFile.filter((stage) => stage.name === name || stage.name.startsWith(`${name}@`));
  if (found.length === 0) throw stageUnknown(pipeline, { target, name, file });
  // "a@b" is not "a@b@c" where the former is there.
  const exact = found.filter((stage) => stage.name === name);
  return exact.length > 0 ? exact : found;
}

/** The file is undefined where there is none; the name where all of the file is meant. */
function splitTarget(
  pipeline: Pipeline,
  where: CalledFrom,
  written: string,
): { readonly file: string | undefined; readonly name: string | undefined } {
  const [, path, name] = /^((?:.*\/)?mlv\.yaml)(?::(.*))?$/s.exec(written) ?? [];
  if (path === undefined) return { file: nearestPipelineFile(pipeline.files, where), name: written };
  const file = relative(where.root, resolve(where.cwd, path)).split(sep).join('/');
  return { file: pipeline.files.find((each) => each === file), name };
}

/** Of these files that of the folder, or of the nearest above it. */
export function nearestPipelineFile(files: readonly RepoPath[], { root, cwd }: CalledFrom): RepoPath | undefined {
  const folder = relative(root, cwd).split(sep).join('/');
  const segments = folder === '' ? [] : folder.split('/');
  for (let depth = segments.length; depth >= 0; depth -= 1) {
    const file = posix.join(...segments.slice(0, depth), PIPELINE_FILE);
    const found = files.find((each) => each === file);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fileUnknown(pipeline: Pipeline, target: string): MlvError {
  const [first] = pipeline.files;
  return new MlvError({
    code: 'stage-unknown',
    kind: 'missing',
    message: `${target}: there is no such ${PIPELINE_FILE}`,
    hint:
      first === undefined
        ? `The project has no ${PIPELINE_FILE}: "mlv stage add" makes one.`
        : `Pipeline files are ${pipeline.files.slice(0, 5).join(', ')}; "mlv stage list" lists all stages.`,
  });
}

function stageUnknown(
  pipeline: Pipeline,
  { target, name, file }: { readonly target: string; readonly name: string; readonly file: string },
): MlvError {
  const named = pipeline.stages.filter((stage) => stage.file === file).flatMap((stage) => namesOf(stage.name));
  const elsewhere = pipeline.stages.find((stage) => stage.file !== file && namesOf(stage.name).includes(name));
  const guess = elsewhere?.id ?? nearestName(name, [...new Set(named)]);
  return new MlvError({
    code: 'stage-unknown',
    kind: 'missing',
    message: `${file} has no stage ${JSON.stringify(target)}`,
    hint: guess === undefined ? '"mlv stage list" lists all stages.' : `Did you mean ${guess}?`,
  });
}

/** `train@a` answers to `train`, too. */
function namesOf(name: string): string[] {
  const at = name.indexOf('@');
  return at === -1 ? [name] : [name, name.slice(0, at)];
}
