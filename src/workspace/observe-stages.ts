import { canonicalJson } from '../domain/canonical-json.ts';
import { MlvError } from '../domain/errors.ts';
import type { DataVersion, LockedStage, OutputState, Stage, StageId, StageObservation } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { digestOfBytes } from '../platform/hash.ts';
import type { Content } from './checkout-record.ts';
import { readCheckoutRecord, sameContent } from './checkout-record.ts';
import { createVersionFinder } from './find-versions.ts';
import type { VersionFinder } from './find-versions.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { markedStages } from './run-marks.ts';
import type { StorageTasks } from './task-runner.ts';
import type { AskedTools } from './tool-versions.ts';
import { toolVersions } from './tool-versions.ts';

export interface ObserveOptions extends VerbOptions {
  /** Those to be looked at. */
  readonly stages: readonly Stage[];
  /** All there are, and the present values of parameters. */
  readonly pipeline: {
    readonly stages: readonly Stage[];
    readonly paramsOf: (stage: Stage) => LockedStage['params'];
  };
  /** What `readLocks` gives. */
  readonly locked: ReadonlyMap<StageId, LockedStage>;
  /** Versions that a run has just made: nobody looks there again. */
  readonly known?: ReadonlyMap<RepoPath, DataVersion>;
  readonly tasks: StorageTasks;
  /** Of tools that are not asked what is recorded holds. All are unless told otherwise. */
  readonly tools?: AskedTools;
  /** False where no remote is to be asked: then throws `blob-missing` where it would have to be. */
  readonly mayFetch?: boolean;
}

const NOTHING_KNOWN: ReadonlyMap<RepoPath, DataVersion> = new Map();

/**
 * What stages find before they run. Single files that did not change since the last look cost one `lstat` each, folders what a status of
 * them costs; what changed is hashed. Throws `path-unreadable`, `tool-failed`, `tree-unavailable`, and what `paramsOf` does.
 */
export async function observeStages(
  workspace: Workspace,
  options: ObserveOptions,
): Promise<ReadonlyMap<StageId, StageObservation>> {
  const { stages, pipeline, locked, known = NOTHING_KNOWN, mayFetch = true } = options;
  const isWhole = stages.length === pipeline.stages.length && known.size === 0;
  const finder = createVersionFinder(workspace, { ...options, stages: pipeline.stages, isWhole, known, mayFetch });
  const paths = new Set<RepoPath>();
  for (const { deps, outs } of stages) {
    for (const path of deps) if (!known.has(path)) paths.add(path);
    for (const { path } of outs) if (!known.has(path)) paths.add(path);
  }
  await finder.look(paths);
  const tools = await toolVersions(workspace, stages, { ...options, asked: options.tools ?? 'all' });
  const isMarked = markedStages(workspace);
  const seen = new Map<StageId, StageObservation>();
  for (const stage of stages) {
    const deps = new Map<RepoPath, DataVersion | undefined>();
    for (const path of stage.deps) deps.set(path, await finder.dependency(path, stage));
    const recorded = locked.get(stage.id);
    const versionOf = (tool: string, command: string): string => tools.get(command) ?? recorded?.tools.get(tool) ?? '';
    seen.set(stage.id, {
      deps,
      params: pipeline.paramsOf(stage),
      env: new Map(stage.env.map((name) => [name, digestOfText(workspace.environment[name])])),
      tools: new Map(Object.entries(stage.tools).map(([tool, command]) => [tool, versionOf(tool, command)])),
      outs: await outputStates(workspace, finder, { stage, recorded, isMarked: isMarked(stage.id) }),
    });
  }
  return seen;
}

/** The dependencies, and files of parameters, that differ between two looks at a stage; sorted. */
export function changedDependencies(before: StageObservation, after: StageObservation): RepoPath[] {
  const paths = [before, after].flatMap(({ deps, params }) => [...deps.keys(), ...params.keys()]);
  return [...new Set(paths)].sort().filter((path) => {
    const [a, b] = [before.deps.get(path), after.deps.get(path)];
    if (a?.hash !== b?.hash || a?.type !== b?.type || a?.exec !== b?.exec) return true;
    const [old, now] = [before.params.get(path), after.params.get(path)];
    return canonicalJson(old ?? null) !== canonicalJson(now ?? null);
  });
}

/** The error for a stage whose dependencies are not what they were when it began. */
export function dependencyRewritten({ id }: Pick<Stage, 'id'>, paths: readonly RepoPath[]): MlvError {
  return new MlvError({
    code: 'dependency-rewritten',
    kind: 'refused',
    message: `${paths.join(', ')} changed while stage ${id} ran, which reads ${paths.length === 1 ? 'it' : 'them'}: what the outputs were made from is not known`,
    hint: 'A stage must not change what it depends on; let it write an output of its own. If it was you, run it again.',
  });
}

async function outputStates(
  workspace: Workspace,
  finder: VersionFinder,
  given: {
    readonly stage: Stage;
    readonly recorded: LockedStage | undefined;
    /** What was brought as a whole may still have to be cleared up after, where that was ended. */
    readonly isMarked: boolean;
  },
): Promise<ReadonlyMap<RepoPath, OutputState>> {
  const { stage, recorded, isMarked } = given;
  const states = new Map<RepoPath, OutputState>();
  for (const { path, cache } of stage.outs) {
    const output = recorded?.outs.get(path);
    const version = await finder.output(path, output, stage);
    const isAsRecorded = version !== undefined && output !== undefined && isSameVersion(version, output);
    const isUnfinished = (): boolean =>
      isMarked && cache && readCheckoutRecord(workspace, path, output && contentOfVersion(output)).target !== undefined;
    if (isAsRecorded && isUnfinished()) states.set(path, 'out-of-date');
    else if (isAsRecorded || (version !== undefined && !cache)) states.set(path, version);
    // What Git keeps it brings, too: nobody but a person takes it away.
    else if (!cache) states.set(path, 'deleted');
    else {
      const { base, selected, target } = readCheckoutRecord(workspace, path, output && contentOfVersion(output));
      if (version !== undefined) {
        // Half of it is there, and the rest to come: it was being brought when somebody ended that.
        const isOnItsWay = output !== undefined && sameContent(target?.content, contentOfVersion(output));
        const isLeftAsBrought = output !== undefined && sameContent(base, contentOfVersion(version));
        states.set(path, isOnItsWay || isLeftAsBrought ? 'out-of-date' : version);
      } else states.set(path, base === undefined || selected.length === 0 ? 'not-checked-out' : 'deleted');
    }
  }
  return states;
}

function isSameVersion(a: DataVersion, b: DataVersion): boolean {
  return sameContent(contentOfVersion(a), contentOfVersion(b));
}

function contentOfVersion({ type, hash, exec }: DataVersion): Content {
  return { type, hash, exec: exec === true };
}

function digestOfText(value: string | undefined) {
  return value === undefined ? null : digestOfBytes(Buffer.from(value, 'utf8'));
}
