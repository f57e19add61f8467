/** What names mean in a pipeline file: from its `vars`, and the files that these name. */
import type { MlvError } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import type { PipelineSource, SourceEntry, SourceMap, SourceNode } from './pipeline-source.ts';
import { kindOf, pipelineError } from './pipeline-source.ts';
import { fromFolder } from './relative-path.ts';
import type { RepoPath } from './repo-path.ts';
import { clip, hasTemplate } from './template.ts';

/** The values of a file; undefined where there is none. Throws what reading and parsing it do. */
export type ReadVars = (path: RepoPath) => SourceNode | undefined;

export interface Vars {
  readonly scope: ReadonlyMap<string, SourceNode>;
  /** What was taken of each file: all of it, or these keys. */
  readonly files: ReadonlyMap<RepoPath, 'all' | ReadonlySet<string>>;
}

export const NO_VARS: Vars = { scope: new Map(), files: new Map() };
/** Taken where it is there. */
export const STANDARD_PARAMS = 'params.yaml';

interface VarsPlace {
  readonly source: PipelineSource;
  /** What paths are relative to. */
  readonly folder: RepoPath;
  readonly read: ReadVars;
}

/** With the values of the file `params.yaml` of the folder, where there is one. Throws `vars-invalid`. */
export function withStandardParams(vars: Vars, place: VarsPlace): Vars {
  const path = fromFolder(place.folder, STANDARD_PARAMS);
  const node = path === undefined ? undefined : place.read(path);
  if (path === undefined || node === undefined) return vars;
  const map = mapOf(node, STANDARD_PARAMS, 0, place.source);
  return { scope: merge(vars.scope, map, 0, place.source), files: new Map([...vars.files, [path, 'all']]) };
}

/** With what a list of `vars` adds. Throws `vars-missing`, `vars-invalid`, `vars-twice`. */
export function withVars(
  vars: Vars,
  list: SourceNode,
  place: VarsPlace & { readonly reserved?: readonly string[] },
): Vars {
  const { source, reserved = [] } = place;
  let { scope } = vars;
  const files = new Map(vars.files);
  for (const item of list.type === 'list' ? list.items : []) {
    refuseTemplates(item, source);
    const map = item.type === 'map' ? item : fileVars(item, files, place);
    if (map === undefined) continue;
    const taken = reserved.find((name) => map.entries.has(name));
    if (taken !== undefined) throw twice(taken, item.at, source);
    scope = merge(scope, map, item.at, source);
  }
  return { scope, files };
}

/** `file` or `file:key,key`; undefined for one that was taken already. */
function fileVars(
  item: SourceNode,
  files: Map<RepoPath, 'all' | ReadonlySet<string>>,
  { source, folder, read }: VarsPlace,
): SourceMap | undefined {
  const written = item.type === 'scalar' ? String(item.value) : '';
  const colon = written.indexOf(':');
  const name = colon === -1 ? written : written.slice(0, colon);
  const keys =
    colon === -1
      ? []
      : written
          .slice(colon + 1)
          .split(',')
          .filter((key) => key !== '');
  const path = fromFolder(folder, name);
  if (path === undefined || path === '') {
    throw pipelineError(source, item.at, {
      message: `${JSON.stringify(clip(name))} is not a file of the project`,
      hint: 'Paths are relative to the folder that the command runs in, and stay in the project.',
    });
  }
  const before = files.get(path);
  if (before !== undefined) {
    if (before === 'all' && keys.length === 0) return undefined;
    if (before === 'all' || keys.length === 0 || keys.some((key) => before.has(key)))
      throw twice(written, item.at, source);
  }
  const node = read(path);
  if (node === undefined) {
    throw pipelineError(source, item.at, {
      code: 'vars-missing',
      message: `${path} is not there`,
      hint: 'Write it, or take it out of "vars".',
    });
  }
  const map = mapOf(node, path, item.at, source);
  files.set(path, keys.length === 0 ? 'all' : new Set([...(before ?? []), ...keys]));
  if (keys.length === 0) return map;
  const entries = new Map<string, SourceEntry>();
  for (const key of keys) {
    const entry = map.entries.get(key);
    if (entry === undefined) throw keyMissing(key, path, map, { at: item.at, source });
    entries.set(key, entry);
  }
  return { ...map, entries };
}

function mapOf(node: SourceNode, path: string, at: number, source: PipelineSource): SourceMap {
  if (node.type === 'map') return node;
  if (node.type === 'scalar' && node.value === null) return { type: 'map', at, entries: new Map() };
  throw pipelineError(source, at, {
    code: 'vars-invalid',
    message: `${path} holds ${kindOf(node)} where values by name were expected`,
    hint: 'Give its values names: a map.',
  });
}

/** Maps are put together; anything else has one meaning only. */
function merge(into: Vars['scope'], from: SourceMap, at: number, source: PipelineSource): Vars['scope'] {
  const merged = new Map(into);
  for (const [key, { value }] of from.entries) {
    const before = merged.get(key);
    merged.set(key, before === undefined ? value : mergeNodes(key, before, value, { at, source }));
  }
  return merged;
}

function mergeNodes(
  name: string,
  into: SourceNode,
  from: SourceNode,
  place: { at: number; source: PipelineSource },
): SourceNode {
  if (into.type !== 'map' || from.type !== 'map') throw twice(name, place.at, place.source);
  const entries = new Map(into.entries);
  for (const [key, entry] of from.entries) {
    const before = entries.get(key);
    const value = before === undefined ? entry.value : mergeNodes(`${name}.${key}`, before.value, entry.value, place);
    entries.set(key, { at: entry.at, value });
  }
  return { ...into, entries };
}

function refuseTemplates(node: SourceNode, source: PipelineSource): void {
  if (node.type === 'scalar') {
    if (typeof node.value === 'string' && hasTemplate(node.value)) {
      throw pipelineError(source, node.at, {
        code: 'template-invalid',
        message: '"vars" say what names mean, and so cannot use them',
        hint: 'Write the value itself.',
      });
    }
  } else if (node.type === 'list') for (const item of node.items) refuseTemplates(item, source);
  else for (const { value } of node.entries.values()) refuseTemplates(value, source);
}

function twice(name: string, at: number, source: PipelineSource): MlvError {
  return pipelineError(source, at, {
    code: 'vars-twice',
    message: `${clip(name)} has a meaning already`,
    hint: 'A name means one thing in a file: rename one of the two, or take fewer names with "file:name,name". params.yaml is there without being named.',
  });
}

function keyMissing(
  key: string,
  path: string,
  map: SourceMap,
  { at, source }: { at: number; source: PipelineSource },
): MlvError {
  const guess = nearestName(key, [...map.entries.keys()]);
  return pipelineError(source, at, {
    code: 'vars-missing',
    message: `${path} has no ${clip(key)} at its top`,
    hint: guess === undefined ? 'Only names at the top of a file can be taken alone.' : `Did you mean ${guess}?`,
  });
}
