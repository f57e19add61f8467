/** What strace prints, read: the calls of a run that changed a file below a folder, or sent a change to a bucket. */
import { relative, resolve } from 'node:path';

/** One call, in the order in which they began. */
export interface Call {
  readonly thread: number;
  readonly name: string;
  /** The how-many-eth of this name it is in its thread: what `inject=NAME:when=N` counts. */
  readonly nth: number;
  /** What it changes, relative to the folder; of a rename, the new name. Undefined: no change, or nothing of ours. */
  path: string | undefined;
  /** True for what gives a name: a rename, or a request that changes a bucket. */
  readonly givesName: boolean;
  /** Made by Git, or by another program that was started. */
  readonly isChild: boolean;
  /** Whether it returned, and well. */
  isDone: boolean;
}

/** Those with `?` are not on every machine. */
const PATH_CALLS = ['?mkdir', 'mkdirat', '?rmdir', '?unlink', 'unlinkat', '?symlink', 'symlinkat', '?link', 'linkat'];
const RENAMES = ['?rename', '?renameat', 'renameat2'];
const FILE_CALLS = ['write', 'writev', 'pwrite64', 'pwritev', 'ftruncate', 'fsync', 'fdatasync', 'fchmod', 'sendfile'];

/** For strace's `trace=`. */
export const TRACED = [
  ...PATH_CALLS,
  ...RENAMES,
  ...FILE_CALLS,
  'openat',
  'copy_file_range',
  'utimensat',
  'execve',
].join(',');

const PATH_NAMES = new Set([...PATH_CALLS, ...RENAMES].map((name) => name.replace('?', '')));
const FILE_NAMES = new Set([...FILE_CALLS, 'copy_file_range', 'utimensat']);
const REQUEST = /^"(GET|HEAD|PUT|POST|DELETE) \/([^ ?]*)/;

export interface CallReader {
  readonly calls: readonly Call[];
  /** Takes the next line; returns a call that begins with it. */
  read(line: string): Call | undefined;
}

/** `folder` is absolute; relative paths are taken from `cwd`. */
export function readCalls(folder: string, cwd: string): CallReader {
  const calls: Call[] = [];
  const counts = new Map<string, number>();
  const unfinished = new Map<number, Call>();
  const children = new Set<number>();
  /** What is being sent over a socket: the key of a request that changes something. */
  const requests = new Map<string, string | undefined>();
  let first: number | undefined;

  function below(path: string): string | undefined {
    const found = relative(folder, resolve(cwd, path));
    return found.startsWith('..') ? undefined : found;
  }

  function changed(name: string, rest: string): { path: string | undefined; givesName?: boolean } {
    if (PATH_NAMES.has(name)) {
      const path = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)].at(-1)?.[1];
      return { path: path === undefined ? undefined : below(path), givesName: name.startsWith('rename') };
    }
    if (name === 'openat') {
      const path = /"((?:[^"\\]|\\.)*)", [A-Z_|]*O_(?:CREAT|TRUNC)/.exec(rest)?.[1];
      return { path: path === undefined ? undefined : below(path) };
    }
    if (!FILE_NAMES.has(name)) return { path: undefined };
    const target = name === 'copy_file_range' ? rest.replace(/^[^,]*, [^,]*, /, '') : rest;
    const socket = /^\d+<TCP(?:v6)?:\[([^\]]*)\]>(?:, \[\{iov_base=|, )(.*)$/.exec(target);
    if (socket === null) {
      const path = /^\d+<(\/[^>]*?)(?: \(deleted\))?>/.exec(target)?.[1];
      return { path: path === undefined ? undefined : below(path) };
    }
    const [, connection = '', data = ''] = socket;
    const request = REQUEST.exec(data);
    if (request !== null) requests.set(connection, /^[PD]/.test(request[1] ?? '') ? `bucket/${request[2]}` : undefined);
    return { path: requests.get(connection), givesName: request !== null && requests.get(connection) !== undefined };
  }

  return {
    calls,
    read(line) {
      const [, pid = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
      const thread = Number(pid);
      first ??= thread;
      const isDone = / = \d[^=]*$/.test(text);
      // What was refused (a folder that is there) changed nothing.
      const hasFailed = / = -1 E[A-Z]+ [^=]*$/.test(text);
      if (text.startsWith('<...')) {
        const call = unfinished.get(thread);
        if (call !== undefined) call.isDone = isDone;
        if (call !== undefined && hasFailed) call.path = undefined;
        unfinished.delete(thread);
        return undefined;
      }
      const [, name, rest = ''] = /^(\w+)\((.*)$/.exec(text) ?? [];
      if (name === undefined) return undefined;
      if (name === 'execve' && thread !== first) children.add(thread);
      const nth = (counts.get(`${thread} ${name}`) ?? 0) + 1;
      counts.set(`${thread} ${name}`, nth);
      const call: Call = {
        thread,
        name,
        nth,
        givesName: false,
        ...(hasFailed ? { path: undefined } : changed(name, rest)),
        isChild: children.has(thread),
        isDone,
      };
      calls.push(call);
      if (text.endsWith('<unfinished ...>')) unfinished.set(thread, call);
      return call;
    },
  };
}
