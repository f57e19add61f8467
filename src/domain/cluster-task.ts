/**
 * What a pod is told of the stage that it is to run: where the data is that it finds, and what it is to make. The digest of the text is in
 * the Job, so a pod knows that it reads what was meant; still nothing in it is trusted before it was looked at.
 */
import { canonicalJson } from './canonical-json.ts';
import type { Digest } from './digest.ts';
import { formatDigest } from './digest.ts';
import { MlvError } from './errors.ts';
import { otherVersion } from './format-version.ts';
import type { JsonFields } from './json-record.ts';
import { digestOf, fieldsOf, parseJson, versionFields, versionOf } from './json-record.ts';
import { checkPath } from './path-rules.ts';
import type { DataVersion, StageId } from './pipeline.ts';
import { parseRemoteUrl } from './remote-url.ts';
import type { RepoPath } from './repo-path.ts';
import { repoDirname } from './repo-path.ts';
import type { RemoteSettings } from './setting-table.ts';
import { REMOTE_SETTINGS } from './setting-table.ts';

/** Something that the stage reads. */
export interface ClusterInput extends DataVersion {
  readonly path: RepoPath;
}

/** Something that the stage makes. */
export interface ClusterOutput {
  readonly path: RepoPath;
  readonly cache: boolean;
  readonly persist: boolean;
  readonly push: boolean;
  /** Of what persists: what the stage finds there. */
  readonly previous?: DataVersion;
}

/** Where the data is. Who may read it is nobody's business but the pod's. */
export type ClusterRemote = Omit<RemoteSettings, 'profile'>;

export interface ClusterTask {
  readonly stage: StageId;
  /** Of what the result depends on. */
  readonly fingerprint: Digest;
  readonly commands: readonly string[];
  readonly wdir: RepoPath;
  /** Root of the tree of code, which is laid out first. */
  readonly code: Digest | undefined;
  /** Laid out over it; sorted by path. */
  readonly inputs: readonly ClusterInput[];
  /** Sorted by path. */
  readonly outs: readonly ClusterOutput[];
  readonly remote: ClusterRemote;
}

/** Not final yet. */
const CLUSTER_TASK_VERSION = 0;
/** A ConfigMap has room for 1 MiB. */
export const MAX_CLUSTER_TASK_BYTES = 1_000_000;

const CONTROL = /[\x00-\x1f\x7f]/;

/** The one text of a task: canonical JSON in a line. Throws `cluster-task-too-large`. */
export function formatClusterTask(task: ClusterTask): string {
  const { stage, fingerprint, commands, wdir, code, inputs, outs, remote } = task;
  const text = `${canonicalJson({
    version: CLUSTER_TASK_VERSION,
    stage,
    fingerprint: formatDigest(fingerprint),
    commands,
    wdir,
    ...(code !== undefined && { code: formatDigest(code) }),
    inputs: byPath(inputs).map((input) => ({ path: input.path, ...versionFields(input) })),
    outs: byPath(outs).map(({ path, cache, persist, push, previous }) => ({
      path,
      cache,
      persist,
      push,
      ...(previous && { previous: versionFields(previous) }),
    })),
    remote: { ...remote },
  })}\n`;
  if (Buffer.byteLength(text) <= MAX_CLUSTER_TASK_BYTES) return text;
  throw new MlvError({
    code: 'cluster-task-too-large',
    kind: 'refused',
    message: `stage ${stage} reads and makes so many paths (${inputs.length + outs.length}) that no pod can be told of them`,
    hint: 'Name the folders that hold them in "deps" and "outs", in place of single files.',
  });
}

/** The task that a text is, named `name` in messages. It has no other form than that. Throws `cluster-task-invalid`, `cluster-task-version`. */
export function parseClusterTask(text: string, name: string): ClusterTask {
  const invalid = (what: string): MlvError =>
    new MlvError({
      code: 'cluster-task-invalid',
      kind: 'corrupt',
      message: `${name}: ${what}`,
      hint: 'It was not written by mlv. Delete the Job, and run the stage again.',
    });
  if (text.length > MAX_CLUSTER_TASK_BYTES || Buffer.byteLength(text) > MAX_CLUSTER_TASK_BYTES)
    throw invalid(`it is larger than ${MAX_CLUSTER_TASK_BYTES} bytes`);
  const fields = fieldsOf(parseJson(text));
  const version = fields?.get('version');
  if (fields === undefined || typeof version !== 'number') throw invalid('this is no task of a stage');
  if (version !== CLUSTER_TASK_VERSION)
    throw otherVersion('cluster-task', name, { version, reads: CLUSTER_TASK_VERSION });

  const path = (value: unknown, mayBeRoot = false): RepoPath => {
    const given = typeof value === 'string' ? value : '';
    const reason = given === '' && mayBeRoot && value === '' ? undefined : checkPath(given);
    if (reason !== undefined) throw invalid(`no path in a project: ${JSON.stringify(given.slice(0, 300))}: ${reason}`);
    return given as RepoPath;
  };
  const list = (key: string): JsonFields[] => {
    const given = fields.get(key);
    const items = Array.isArray(given) ? given.map(fieldsOf) : [undefined];
    if (items.includes(undefined)) throw invalid(`"${key}" must be a list of maps`);
    return items.filter((each) => each !== undefined);
  };
  const dataVersion = (from: JsonFields, at: string): DataVersion => {
    const found = versionOf(from);
    if (found === undefined) throw invalid(`this is no version of data: ${JSON.stringify(at.slice(0, 300))}`);
    return found;
  };
  const output = (from: JsonFields): ClusterOutput => {
    const at = path(from.get('path'));
    const [cache, persist, push] = ['cache', 'persist', 'push'].map((key) => from.get(key));
    if (typeof cache !== 'boolean' || typeof persist !== 'boolean' || typeof push !== 'boolean')
      throw invalid(`this is no output: ${JSON.stringify(at.slice(0, 300))}`);
    if (!from.has('previous')) return { path: at, cache, persist, push };
    const previous = fieldsOf(from.get('previous')) ?? new Map<string, unknown>();
    if (!persist) throw invalid(`only what persists has a previous version: ${JSON.stringify(at.slice(0, 300))}`);
    return { path: at, cache, persist, push, previous: dataVersion(previous, at) };
  };

  const stage = fields.get('stage');
  if (typeof stage !== 'string' || stage === '' || CONTROL.test(stage))
    throw invalid('"stage" must be the id of a stage');
  const fingerprint = digestOf(fields.get('fingerprint'));
  const code = fields.has('code') ? digestOf(fields.get('code')) : 'none';
  if (fingerprint === undefined || code === undefined) throw invalid('a digest must be "b3:" and 64 hex digits');
  const commands = fields.get('commands');
  if (!Array.isArray(commands) || !commands.every((each) => typeof each === 'string' && !each.includes('\0')))
    throw invalid('"commands" must be a list of texts');
  const task: ClusterTask = {
    stage: stage as StageId,
    fingerprint,
    commands: commands as string[],
    wdir: path(fields.get('wdir'), true),
    code: code === 'none' ? undefined : code,
    inputs: list('inputs').map((from) => {
      const at = path(from.get('path'));
      return { path: at, ...dataVersion(from, at) };
    }),
    outs: list('outs').map(output),
    remote: remoteOf(fields.get('remote'), invalid),
  };
  const overlap = findOverlap(task);
  if (overlap !== undefined) throw invalid(overlap);
  // Nor are there fields that nobody knows.
  if (formatClusterTask(task) !== text) throw invalid('it is not in the one form that it has');
  return task;
}

function remoteOf(node: unknown, invalid: (what: string) => MlvError): ClusterRemote {
  const fields = fieldsOf(node);
  if (fields === undefined) throw invalid('"remote" must be a map');
  const remote: Record<string, unknown> = {};
  for (const [key, value] of fields) {
    if (key === 'profile' || !Object.hasOwn(REMOTE_SETTINGS, key))
      throw invalid(`no setting of a remote is called ${JSON.stringify(key.slice(0, 100))}`);
    const parsed = parsedSetting(key as keyof ClusterRemote, value);
    if (parsed === undefined || parsed !== value) throw invalid(`the remote's "${key}" is not what it may be`);
    remote[key] = parsed;
  }
  const { url } = remote;
  if (typeof url !== 'string') throw invalid('the remote has no URL');
  const place = parseRemoteUrl(url);
  if (place.kind === 'folder' && place.base !== 'absolute') throw invalid('the remote is a folder of another machine');
  return remote as unknown as ClusterRemote;
}

/** Undefined for what is not allowed. */
function parsedSetting(key: keyof ClusterRemote, value: unknown): unknown {
  if (typeof value !== 'string' && typeof value !== 'boolean') return undefined;
  try {
    return REMOTE_SETTINGS[key].parse(String(value), 'clone');
  } catch (error) {
    if (error instanceof MlvError) return undefined;
    throw error;
  }
}

/** Words for paths of which one could not be, or would take the other's place; undefined where all is well. */
function findOverlap({ inputs, outs }: ClusterTask): string | undefined {
  /** What may lie inside of what is there. */
  const taken = new Map<RepoPath, 'nothing' | 'anything'>();
  for (const { path, type } of inputs) {
    if (taken.has(path)) return `it names a path twice: ${JSON.stringify(path.slice(0, 300))}`;
    taken.set(path, type === 'dir' ? 'anything' : 'nothing');
  }
  for (const { path } of outs) {
    if (taken.has(path)) return `it names a path twice: ${JSON.stringify(path.slice(0, 300))}`;
    taken.set(path, 'nothing');
  }
  for (const path of taken.keys()) {
    for (let above = repoDirname(path); above !== ''; above = repoDirname(above))
      if (taken.get(above) === 'nothing') return `a path lies inside of another: ${JSON.stringify(path.slice(0, 300))}`;
  }
  return undefined;
}

function byPath<T extends { readonly path: RepoPath }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => (a.path < b.path ? -1 : 1));
}
