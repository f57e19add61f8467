/**
 * `mlv.lock`: what each stage last used and made. This file knows the one form that mlv itself writes; what others make of it is read by
 * `lock-document.ts`, which needs the YAML parser, and which callers import only where `parsePlainLock` returns undefined.
 */
import { canonicalJson } from './canonical-json.ts';
import type { Digest } from './digest.ts';
import { formatDigest, isDigest } from './digest.ts';
import { MlvError } from './errors.ts';
import { otherVersion } from './format-version.ts';
import type { DataVersion, LockedOutput, LockedStage, ParamValue } from './pipeline.ts';
import { fromFolder, relativeTo } from './relative-path.ts';
import type { RepoPath } from './repo-path.ts';
import { repoDirname } from './repo-path.ts';
import { isPlainText } from './plain-text.ts';

/** Free to change until pipelines are proven. */
const LOCK_VERSION = 0;
/** A larger one is refused unread. */
export const MAX_LOCK_BYTES = 64 << 20;

/** By the stage's name in its file, sorted. */
export type LockedStages = ReadonlyMap<string, LockedStage>;

/** A YAML value as it was read: maps keep any key, `__proto__` too. */
export type LockNode = ParamValue | readonly LockNode[] | ReadonlyMap<string, LockNode>;

const HEAD = '# What each stage last used and made. Written by mlv; belongs into Git.\n';

/** Of stages as they were written last: a run writes the file anew for each of its stages, which leaves the others as they are. */
const written = new WeakMap<LockedStage, { readonly folder: RepoPath; readonly name: string; readonly text: string }>();

/** The text of the lock file at `path`, stages and paths sorted, which are relative to its folder. */
export function formatLock(stages: LockedStages, path: RepoPath): string {
  const folder = repoDirname(path);
  const texts = [...stages]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, stage]) => {
      const before = written.get(stage);
      if (before !== undefined && before.folder === folder && before.name === name) return before.text;
      const entry = { folder, name, text: formatStage(name, stage, folder) };
      written.set(stage, entry);
      return entry.text;
    });
  return `${HEAD}version: ${LOCK_VERSION}\n${texts.length === 0 ? 'stages: {}\n' : `stages:\n${texts.join('')}`}`;
}

function formatStage(name: string, stage: LockedStage, folder: RepoPath): string {
  const [first = ''] = stage.commands;
  const lines = [`  ${text(name)}:`];
  if (stage.commands.length === 1) lines.push(`    cmd: ${text(first)}`);
  else lines.push('    cmd:', ...stage.commands.map((command) => `      - ${text(command)}`));
  if (stage.wdir !== folder) lines.push(`    wdir: ${text(relativeTo(stage.wdir, folder))}`);
  lines.push(...section('deps', stage.deps, ([dep, version]) => [pathLine(dep, folder, formatVersion(version))]));
  lines.push(
    ...section('params', stage.params, ([file, values]) => {
      const keys = [...values].sort(([a], [b]) => (a < b ? -1 : 1));
      const entries = keys.map(([key, value]) => `        ${text(key)}: ${formatValue(value)}`);
      return entries.length === 0 ? [pathLine(file, folder, '{}')] : [pathLine(file, folder), ...entries];
    }),
  );
  lines.push(
    ...section('env', stage.env, ([variable, digest]) => [
      `      ${text(variable)}: ${digest === null ? 'null' : formatDigest(digest)}`,
    ]),
  );
  lines.push(...section('tools', stage.tools, ([tool, version]) => [`      ${text(tool)}: ${text(version)}`]));
  if (stage.image !== undefined) lines.push(`    image: ${text(stage.image)}`);
  lines.push(...section('outs', stage.outs, ([out, version]) => [pathLine(out, folder, formatVersion(version))]));
  return `${lines.join('\n')}\n`;
}

/** Parses a lock file that is written as `formatLock` writes it. Undefined for any other text. Throws `lock-invalid`, `lock-version`. */
export function parsePlainLock(content: string, path: RepoPath): LockedStages | undefined {
  const nodes = parsePlainNodes(content);
  return nodes === undefined ? undefined : readLockNodes(nodes, path);
}

/** What a lock file's YAML says. Unknown fields are passed over. Throws `lock-invalid`, `lock-version`. */
export function readLockNodes(nodes: ReadonlyMap<string, LockNode>, path: RepoPath): LockedStages {
  const version = nodes.get('version');
  if (typeof version !== 'number') throw invalidLock(path, 'version', 'must be a number');
  if (version !== LOCK_VERSION) throw otherVersion('lock', path, { version, reads: LOCK_VERSION });
  const folder = repoDirname(path);
  const stages = new Map<string, LockedStage>();
  for (const [name, node] of mapOf(nodes.get('stages'), path, 'stages')) {
    const at = `stages.${name}`;
    const fields = mapOf(node, path, at);
    const field = (key: string): ReadonlyMap<string, LockNode> => mapOf(fields.get(key) ?? null, path, `${at}.${key}`);
    const paths = <T>(key: string, read: (value: LockNode, where: string) => T): Map<RepoPath, T> =>
      new Map(
        [...field(key)].map(([name_, value]) => {
          const where = `${at}.${key}.${name_}`;
          return [pathFrom(folder, name_, path, where), read(value, where)];
        }),
      );
    const image = fields.get('image');
    const wdir = fields.get('wdir');
    const commands = fields.get('cmd');
    const listed = Array.isArray(commands) ? (commands as readonly LockNode[]) : [commands];
    stages.set(name, {
      commands: listed.map((command) => stringOf(command, path, `${at}.cmd`)),
      wdir: wdir === undefined ? folder : pathFrom(folder, stringOf(wdir, path, `${at}.wdir`), path, `${at}.wdir`),
      deps: paths('deps', (value, where) => versionOf(value, path, where)),
      params: paths('params', (value, where) => paramsOf(value, path, where)),
      env: new Map(
        [...field('env')].map(([variable, value]) => [
          variable,
          value === null ? null : digestOf(value, path, `${at}.env.${variable}`),
        ]),
      ),
      tools: new Map([...field('tools')].map(([tool, value]) => [tool, stringOf(value, path, `${at}.tools.${tool}`)])),
      ...(image !== undefined && { image: stringOf(image, path, `${at}.image`) }),
      outs: paths('outs', (value, where) => outputOf(value, path, where)),
    });
  }
  return stages;
}

function section<T>(
  key: string,
  entries: ReadonlyMap<string, T>,
  linesOf: (entry: [RepoPath, T]) => string[],
): string[] {
  if (entries.size === 0) return [];
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return [`    ${key}:`, ...sorted.flatMap(([name, value]) => linesOf([name as RepoPath, value]))];
}

function pathLine(path: RepoPath, folder: RepoPath, value?: string): string {
  return `      ${text(relativeTo(path, folder))}:${value === undefined ? '' : ` ${value}`}`;
}

function formatVersion(version: DataVersion | LockedOutput): string {
  const { type, hash, size, files, exec } = version;
  const fields = [`hash: ${formatDigest(hash)}`, `size: ${size}`];
  if (type === 'dir') fields.unshift('type: dir');
  if (files !== undefined) fields.push(`files: ${files}`);
  if (exec === true) fields.push('exec: true');
  if ('cache' in version) {
    if (!version.cache) fields.push('cache: false');
    if (version.persist) fields.push('persist: true');
    if (!version.push) fields.push('push: false');
    if (version.remote !== undefined) fields.push(`remote: ${text(version.remote)}`);
  }
  return `{${fields.join(', ')}}`;
}

function formatValue(value: ParamValue): string {
  return typeof value === 'string' ? text(value) : canonicalJson(value);
}

/** JSON is YAML; what every parser reads as this text needs no quotes. */
function text(value: string): string {
  return isPlainText(value)
    ? value
    : JSON.stringify(value).replace(/[\u2028\u2029]/g, (end) => (end === '\u2028' ? '\\u2028' : '\\u2029'));
}

const KEY = /^((?: {2})*)(?:("(?:[^"\\]|\\.)*")|([^\s"'#{}[\],&*!|>%@`?:-][^:]*)):(?: (.*))?$/;
const ITEM = /^((?: {2})*)- (.*)$/;
const DIGEST = /^b3:[0-9a-f]{64}$/;
const DATA_VERSION = /^\{((?:[a-z]+: [\w:.-]+)(?:, [a-z]+: [\w:.-]+)*)\}$/;

/** Undefined where a line is not written as `formatLock` does. */
function parsePlainNodes(content: string): ReadonlyMap<string, LockNode> | undefined {
  if (!content.startsWith(HEAD)) return undefined;
  const lines = content.slice(HEAD.length).split('\n');
  if (lines.pop() !== '') return undefined;
  const root = new Map<string, LockNode>();
  const open: (Map<string, LockNode> | LockNode[])[] = [root];
  /** The key of the last line, while nothing says what it holds. */
  let awaiting: string | undefined;

  /** What lines at this depth are put into. */
  function enter<T extends Map<string, LockNode> | LockNode[]>(depth: number, made: T): T | undefined {
    if (awaiting !== undefined) {
      const parent = open.at(-1);
      if (depth !== open.length || !(parent instanceof Map)) return undefined;
      parent.set(awaiting, made);
      open.push(made);
      awaiting = undefined;
      return made;
    }
    if (depth >= open.length) return undefined;
    open.length = depth + 1;
    const here = open.at(-1);
    return Array.isArray(here) === Array.isArray(made) ? (here as T) : undefined;
  }

  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item !== null) {
      const list = enter<LockNode[]>((item[1] ?? '').length / 2, []);
      const value = parseScalar(item[2] ?? '');
      if (list === undefined || value === undefined) return undefined;
      list.push(value);
      continue;
    }
    const match = KEY.exec(line);
    if (match === null) return undefined;
    const [, indent = '', quoted, bare = '', rest] = match;
    const map = enter<Map<string, LockNode>>(indent.length / 2, new Map());
    const key = quoted === undefined ? bare : parseJson(quoted);
    if (map === undefined || typeof key !== 'string' || (quoted === undefined && !isPlainText(bare)) || map.has(key))
      return undefined;
    if (rest === undefined) awaiting = key;
    else {
      const value = parseScalar(rest);
      if (value === undefined) return undefined;
      map.set(key, value);
    }
  }
  return awaiting === undefined ? root : undefined;
}

function parseScalar(source: string): LockNode | undefined {
  if (isPlainText(source) || DIGEST.test(source)) return source;
  const version = DATA_VERSION.exec(source);
  if (version === null) return parseJson(source);
  const fields = new Map<string, LockNode>();
  for (const field of (version[1] ?? '').split(', ')) {
    const colon = field.indexOf(': ');
    const value = field.slice(colon + 2);
    const read = value.startsWith('b3:') || isPlainText(value) ? value : parseJson(value);
    if (read === undefined || fields.has(field.slice(0, colon))) return undefined;
    fields.set(field.slice(0, colon), read);
  }
  return fields;
}

function parseJson(source: string): ParamValue | undefined {
  try {
    return JSON.parse(source) as ParamValue;
  } catch {
    return undefined;
  }
}

function versionOf(node: LockNode, path: RepoPath, at: string): DataVersion {
  const fields = mapOf(node, path, at);
  const type = fields.get('type') ?? 'file';
  const hash = digestOf(fields.get('hash'), path, `${at}.hash`);
  const [size, files, exec] = ['size', 'files', 'exec'].map((key) => fields.get(key));
  if (type !== 'file' && type !== 'dir') throw invalidLock(path, at, '"type" must be file or dir');
  if (!isCount(size)) throw invalidLock(path, at, '"size" must be a number of bytes');
  if (type === 'dir' ? !isCount(files) : files !== undefined)
    throw invalidLock(path, at, '"files" must be a number, and of a folder');
  if (exec !== undefined && (exec !== true || type === 'dir'))
    throw invalidLock(path, at, '"exec" must be true, and of a file');
  return { type, hash, size, ...(isCount(files) && { files }), ...(exec === true && { exec }) };
}

function digestOf(node: LockNode | undefined, path: RepoPath, at: string): Digest {
  const digest = typeof node === 'string' && node.startsWith('b3:') ? node.slice(3) : '';
  if (isDigest(digest)) return digest;
  throw invalidLock(path, at, 'must be "b3:" and 64 hex digits');
}

function outputOf(node: LockNode, path: RepoPath, at: string): LockedOutput {
  const fields = mapOf(node, path, at);
  const flag = (key: string, otherwise: boolean): boolean => {
    const value = fields.get(key) ?? otherwise;
    if (typeof value !== 'boolean') throw invalidLock(path, at, `"${key}" must be true or false`);
    return value;
  };
  const remote = fields.get('remote');
  return {
    ...versionOf(node, path, at),
    cache: flag('cache', true),
    persist: flag('persist', false),
    push: flag('push', true),
    ...(remote !== undefined && { remote: stringOf(remote, path, `${at}.remote`) }),
  };
}

function paramsOf(node: LockNode, path: RepoPath, at: string): ReadonlyMap<string, ParamValue> {
  const isEmpty = node !== null && typeof node === 'object' && !(node instanceof Map) && Object.keys(node).length === 0;
  return new Map([...mapOf(isEmpty ? null : node, path, at)].map(([key, value]) => [key, plainValue(value)]));
}

function plainValue(node: LockNode): ParamValue {
  if (node instanceof Map) return Object.fromEntries([...node].map(([key, value]) => [key, plainValue(value)]));
  if (Array.isArray(node)) return (node as readonly LockNode[]).map(plainValue);
  return node as ParamValue;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function mapOf(node: LockNode | undefined, path: RepoPath, at: string): ReadonlyMap<string, LockNode> {
  if (node instanceof Map) return node;
  const isEmpty = node === null || (typeof node === 'object' && !Array.isArray(node) && Object.keys(node).length === 0);
  if (isEmpty) return new Map();
  throw invalidLock(path, at, 'must be a map');
}

function stringOf(node: LockNode | undefined, path: RepoPath, at: string): string {
  if (typeof node === 'string') return node;
  throw invalidLock(path, at, 'must be a string');
}

function pathFrom(folder: RepoPath, name: string, path: RepoPath, at: string): RepoPath {
  const found = fromFolder(folder, name);
  if (found === undefined) throw invalidLock(path, at, `${JSON.stringify(name)} is no path in the project`);
  return found;
}

function invalidLock(path: RepoPath, at: string, what: string): MlvError {
  return new MlvError({
    code: 'lock-invalid',
    kind: 'corrupt',
    message: `${path}: ${at}: ${what}`,
    hint: 'Restore it with Git, or delete it: stages without a record run again, or come from the run cache.',
  });
}
