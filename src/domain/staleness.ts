/** Whether a stage has to run, and why: what it last used and made is compared with what is there now. */
import { canonicalJson } from './canonical-json.ts';
import type { Digest } from './digest.ts';
import { imageIdentity } from './image-reference.ts';
import type { DataVersion, LockedOutput, LockedStage, ParamValue, Stage, StageObservation } from './pipeline.ts';
import type { RepoPath } from './repo-path.ts';

export type StaleReason =
  /** There is no record of it. */
  | { readonly type: 'never-run' }
  | { readonly type: 'forced' }
  /** It says so itself. */
  | { readonly type: 'always-changed' }
  /** It declares nothing that could be compared, neither what it reads nor what it makes. */
  | { readonly type: 'nothing-declared' }
  | { readonly type: 'command'; readonly from: readonly string[]; readonly to: readonly string[] }
  | { readonly type: 'wdir'; readonly from: RepoPath; readonly to: RepoPath }
  | {
      readonly type: 'dependency-changed';
      readonly path: RepoPath;
      readonly from: DataVersion;
      readonly to: DataVersion;
    }
  /** Declared since it last ran. */
  | { readonly type: 'dependency-added'; readonly path: RepoPath; readonly to: DataVersion }
  /** No longer declared. */
  | { readonly type: 'dependency-removed'; readonly path: RepoPath; readonly from: DataVersion }
  /** Nothing is there, and nothing is known of what was: it cannot run. */
  | { readonly type: 'dependency-missing'; readonly path: RepoPath }
  /** Undefined on the side that does not have it. The key is '' for all that the file says. */
  | {
      readonly type: 'parameter';
      readonly file: RepoPath;
      readonly key: string;
      readonly from: ParamValue | undefined;
      readonly to: ParamValue | undefined;
    }
  /** Values are nobody's business. */
  | { readonly type: 'environment'; readonly name: string; readonly change: 'added' | 'removed' | 'changed' }
  | {
      readonly type: 'tool';
      readonly name: string;
      readonly from: string | undefined;
      readonly to: string | undefined;
    }
  | { readonly type: 'image'; readonly from: string | undefined; readonly to: string | undefined }
  /** Those with `changedOptions` are kept in another way: `cache` or `persist`. */
  | {
      readonly type: 'outputs-declared';
      readonly added: readonly RepoPath[];
      readonly removed: readonly RepoPath[];
      readonly changedOptions: readonly RepoPath[];
    }
  | { readonly type: 'output-changed'; readonly path: RepoPath; readonly from: DataVersion; readonly to: DataVersion }
  | { readonly type: 'output-deleted'; readonly path: RepoPath }
  /** Nobody touched it, and the lock file names another version by now. */
  | { readonly type: 'output-out-of-date'; readonly path: RepoPath };

type OutputAway = Extract<StaleReason, { type: 'output-deleted' | 'output-out-of-date' }>;

export type StageDecision =
  | { readonly type: 'up-to-date' }
  /** Not looked at: its outputs are taken as they are. */
  | { readonly type: 'frozen' }
  /** Nothing is wrong but that these outputs are not what was made: it has to run only where that is not at hand any more. */
  | { readonly type: 'outputs-missing'; readonly reasons: readonly OutputAway[] }
  /** `isRestorable`: a known result may be taken in place of a run. */
  | { readonly type: 'stale'; readonly reasons: readonly StaleReason[]; readonly isRestorable: boolean };

interface Given {
  readonly stage: Stage;
  readonly locked: LockedStage | undefined;
  readonly seen: StageObservation;
}

/** All reasons there are, what was asked for first, then inputs, then outputs, each by path or name. */
export function decide(given: Given & { readonly isForced: boolean }): StageDecision {
  const { stage, locked, seen, isForced } = given;
  if (stage.frozen) return { type: 'frozen' };
  const reasons: StaleReason[] = [];
  if (isForced) reasons.push({ type: 'forced' });
  if (stage.alwaysChanged) reasons.push({ type: 'always-changed' });
  else if (declaresNothing(stage)) reasons.push({ type: 'nothing-declared' });
  const mustRun = reasons.length > 0;
  if (locked === undefined) {
    reasons.push({ type: 'never-run' });
    for (const path of stage.deps) if (!seen.deps.get(path)) reasons.push({ type: 'dependency-missing', path });
  } else {
    if (canonicalJson(stage.commands) !== canonicalJson(locked.commands))
      reasons.push({ type: 'command', from: locked.commands, to: stage.commands });
    if (stage.wdir !== locked.wdir) reasons.push({ type: 'wdir', from: locked.wdir, to: stage.wdir });
    reasons.push(
      ...dependencyReasons(stage, locked, seen),
      ...parameterReasons(locked.params, seen.params),
      ...environmentReasons(locked.env, seen.env),
      ...toolReasons(locked.tools, seen.tools),
    );
    if (identityOf(stage.image) !== identityOf(locked.image))
      reasons.push({ type: 'image', from: locked.image, to: stage.image });
    reasons.push(...outputReasons(stage, locked, seen));
  }
  if (reasons.length === 0) return { type: 'up-to-date' };
  const away = reasons.filter(isAway);
  if (away.length === reasons.length) return { type: 'outputs-missing', reasons: away };
  const isRestorable = !mustRun && !reasons.some(({ type }) => type === 'dependency-missing');
  return { type: 'stale', reasons, isRestorable };
}

/**
 * What `mlv.lock` is to say of a stage that has run. Of `outs` the versions count: how they are kept is told by the stage. Throws an
 * `Error` where a dependency or output is not there, as such a run has failed.
 */
export function lockedStage(
  stage: Stage,
  seen: StageObservation,
  outs: ReadonlyMap<RepoPath, DataVersion>,
): LockedStage {
  const deps = stage.deps.map((path): [RepoPath, DataVersion] => [path, present(seen.deps.get(path), stage, path)]);
  const made = stage.outs.map(({ path, cache, persist, push, remote }): [RepoPath, LockedOutput] => {
    const version = versionOf(present(outs.get(path), stage, path));
    return [path, { ...version, cache, persist, push, ...(remote !== undefined && { remote }) }];
  });
  return {
    commands: stage.commands,
    wdir: stage.wdir,
    deps: new Map(deps),
    params: seen.params,
    env: seen.env,
    tools: seen.tools,
    ...(stage.image !== undefined && { image: stage.image }),
    outs: new Map(made),
  };
}

function identityOf(image: string | undefined): string | undefined {
  return image === undefined ? undefined : imageIdentity(image);
}

/** As for DVC: what could tell that it is done? */
function declaresNothing({ deps, params, outs, env, tools }: Stage): boolean {
  return [deps, params, outs, env, Object.keys(tools)].every(({ length }) => length === 0);
}

function dependencyReasons(stage: Stage, locked: LockedStage, seen: StageObservation): StaleReason[] {
  const reasons: StaleReason[] = [];
  const declared = new Set(stage.deps);
  for (const path of sortedUnion(declared, locked.deps.keys())) {
    const from = locked.deps.get(path);
    const to = seen.deps.get(path);
    if (!declared.has(path)) {
      if (from !== undefined) reasons.push({ type: 'dependency-removed', path, from });
    } else if (to === undefined) reasons.push({ type: 'dependency-missing', path });
    else if (from === undefined) reasons.push({ type: 'dependency-added', path, to });
    else if (!isSame(from, to)) reasons.push({ type: 'dependency-changed', path, from, to });
  }
  return reasons;
}

function parameterReasons(from: LockedStage['params'], to: LockedStage['params']): StaleReason[] {
  return sortedUnion(from.keys(), to.keys()).flatMap((file) => {
    const [old, now] = [from.get(file), to.get(file)];
    return sortedUnion(old?.keys() ?? [], now?.keys() ?? []).flatMap((key) =>
      differences(key, old?.get(key), now?.get(key)).map((each): StaleReason => ({ type: 'parameter', file, ...each })),
    );
  });
}

interface Difference {
  readonly key: string;
  readonly from: ParamValue | undefined;
  readonly to: ParamValue | undefined;
}

/** Of two maps the keys that differ, not the maps: which is what people look for. */
function differences(key: string, from: ParamValue | undefined, to: ParamValue | undefined): Difference[] {
  if (from !== undefined && to !== undefined) {
    if (canonicalJson(from) === canonicalJson(to)) return [];
    if (isMap(from) && isMap(to)) {
      return sortedUnion(Object.keys(from), Object.keys(to)).flatMap((name) =>
        differences(key === '' ? name : `${key}.${name}`, own(from, name), own(to, name)),
      );
    }
  }
  return [{ key, from, to }];
}

function isMap(value: ParamValue): value is { readonly [key: string]: ParamValue } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function own(map: { readonly [key: string]: ParamValue }, name: string): ParamValue | undefined {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}

function environmentReasons(from: LockedStage['env'], to: LockedStage['env']): StaleReason[] {
  return sortedUnion(from.keys(), to.keys()).flatMap((name): StaleReason[] => {
    const [old, now]: (Digest | null | undefined)[] = [from.get(name), to.get(name)];
    if (old === now) return [];
    const change = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed';
    return [{ type: 'environment', name, change }];
  });
}

function toolReasons(from: LockedStage['tools'], to: LockedStage['tools']): StaleReason[] {
  return sortedUnion(from.keys(), to.keys())
    .filter((name) => from.get(name) !== to.get(name))
    .map((name) => ({ type: 'tool', name, from: from.get(name), to: to.get(name) }));
}

function outputReasons(stage: Stage, locked: LockedStage, seen: StageObservation): StaleReason[] {
  const declared = new Map(stage.outs.map((output) => [output.path, output]));
  const added = [...declared.keys()].filter((path) => !locked.outs.has(path));
  const removed = [...locked.outs.keys()].filter((path) => !declared.has(path)).sort();
  const changedOptions: RepoPath[] = [];
  const states: StaleReason[] = [];
  for (const { path, cache, persist } of stage.outs) {
    const from = locked.outs.get(path);
    if (from === undefined) continue;
    if (from.cache !== cache || from.persist !== persist) changedOptions.push(path);
    const to = seen.outs.get(path) ?? 'not-checked-out';
    if (to === 'deleted' || to === 'out-of-date') states.push({ type: `output-${to}`, path });
    else if (to !== 'not-checked-out' && !isSame(from, to))
      states.push({ type: 'output-changed', path, from: versionOf(from), to: versionOf(to) });
  }
  if (added.length + removed.length + changedOptions.length > 0)
    states.unshift({ type: 'outputs-declared', added, removed, changedOptions });
  return states;
}

function isAway(reason: StaleReason): reason is OutputAway {
  return reason.type === 'output-deleted' || reason.type === 'output-out-of-date';
}

/** Sizes and counts follow from the hash. */
function isSame(a: DataVersion, b: DataVersion): boolean {
  return a.type === b.type && a.hash === b.hash && a.exec === b.exec;
}

function versionOf({ type, hash, size, files, exec }: DataVersion): DataVersion {
  return { type, hash, size, ...(files !== undefined && { files }), ...(exec === true && { exec }) };
}

function present(version: DataVersion | undefined, stage: Stage, path: RepoPath): DataVersion {
  if (version === undefined) throw new Error(`stage ${stage.id} is to be recorded without a version of ${path}`);
  return version;
}

function sortedUnion<T extends string>(a: Iterable<T>, b: Iterable<T>): T[] {
  return [...new Set([...a, ...b])].sort();
}
