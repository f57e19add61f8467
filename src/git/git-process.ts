import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Socket } from 'node:net';
import { devNull } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { MlvError } from '../domain/errors.ts';
import { discoverLayout, type GitLayout } from './layout.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface GitProgramOptions {
  /** The `git` executable. */
  readonly executable: string;
  /** The environment that children get, after what would change Git's answers has been taken out. */
  readonly env: Environment;
}

type PipedChild = ChildProcessByStdio<Writable, Readable, Readable>;

/** A started `git`: its output, and how it ended. */
export interface GitChild {
  readonly process: PipedChild;
  /** Resolves to the exit code once the output is complete; rejects where `git` could not be started or was killed. */
  readonly ended: Promise<number>;
  /** What it said on stderr so far, the first 64 KiB. */
  stderr(): string;
}

export interface GitRunner {
  /** Starts `git` with these arguments at the top of the work tree, without a shell. */
  start(args: readonly string[]): GitChild;
  /** Runs `git` to its end and returns its output. Throws for an exit code that is not among `accept` (default: 0 alone). */
  run(args: readonly string[], options?: RunOptions): Promise<Buffer>;
  /** The error for a `git` that failed. */
  failure(args: readonly string[], stderr: string): MlvError;
}

export interface RunOptions {
  readonly input?: string;
  readonly accept?: readonly number[];
}

/** Runs `git` for a repository. */
export function gitRunner(layout: GitLayout, options: GitProgramOptions): GitRunner {
  return runnerIn(layout.workTree, { ...options, env: childEnvironment(layout, options.env) });
}

/** Runs `git` in a folder, whatever repository that is in. */
export function gitRunnerIn(folder: string, options: GitProgramOptions): GitRunner {
  return runnerIn(folder, { ...options, env: plainEnvironment(options.env) });
}

function runnerIn(
  folder: string,
  options: { readonly executable: string; readonly env: NodeJS.ProcessEnv },
): GitRunner {
  const { env } = options;

  const start: GitRunner['start'] = (args) => {
    const child = spawn(options.executable, args, {
      cwd: folder,
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    });
    // Without files to open for its pipes there are none, whatever the types say.
    if ((child as Partial<PipedChild>).stderr === undefined) {
      child.on('error', () => undefined);
      throw tooManyFiles(options.executable);
    }
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < 65_536) stderr += text;
    });
    // A child that ends early breaks the pipe; its exit code and stderr tell why.
    child.stdin.on('error', () => undefined);
    const ended = new Promise<number>((resolve, reject) => {
      child.on('error', (error) => {
        reject(existsSync(folder) ? startFailure(options.executable, error) : error);
      });
      child.on('close', (code, signal) => {
        if (code === null) reject(new Error(`git ${args[0] ?? ''} was ended by ${signal ?? 'a signal'}`));
        else resolve(code);
      });
    });
    // Who waits for it gets the rejection; a child that nobody waits for any more must not end the program.
    ended.catch(() => undefined);
    return { process: child, ended, stderr: () => stderr };
  };

  const failure: GitRunner['failure'] = (args, stderr) => describeFailure(folder, args, stderr);

  const run: GitRunner['run'] = async (args, { input, accept = [0] } = {}) => {
    const child = start(args);
    child.process.stdin.end(input);
    const chunks: Buffer[] = [];
    child.process.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    if (!accept.includes(await child.ended)) throw failure(args, child.stderr());
    return Buffer.concat(chunks);
  };

  return { start, run, failure };
}

function tooManyFiles(executable: string): MlvError {
  return new MlvError({
    code: 'too-many-files',
    kind: 'io',
    message: `cannot start ${executable}: too many open files`,
    hint: 'Raise the limit: "ulimit -n 4096".',
  });
}

/** Lets the program end, or not, while this child lives. */
export function holdProgram(child: ChildProcess, hold: boolean): void {
  for (const part of [child, child.stdin, child.stdout, child.stderr]) {
    if (part !== child && !(part instanceof Socket)) continue;
    if (hold) part.ref();
    else part.unref();
  }
}

/** What ends a record of Git's output: a line, or a record of `-z`. */
export type RecordEnd = '\n' | '\0';

/** Splits output into its records; those that come together are given together, as waiting for each would take longer than it. */
export async function* recordsOf(output: AsyncIterable<Buffer>, end: RecordEnd): AsyncGenerator<string[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of output) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const last = bytes.lastIndexOf(end);
    rest = bytes.subarray(last + 1);
    if (last >= 0) yield bytes.toString('utf8', 0, last).split(end);
  }
  if (rest.length > 0) yield [rest.toString('utf8')];
}

/** What ties Git to a repository, or makes it read paths another way (most of `git rev-parse --local-env-vars`). */
const REMOVED = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_COMMON_DIR',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_PREFIX',
  'GIT_NAMESPACE',
  'GIT_GRAFT_FILE',
  'GIT_SHALLOW_FILE',
  'GIT_IMPLICIT_WORK_TREE',
  'GIT_LITERAL_PATHSPECS',
  'GIT_GLOB_PATHSPECS',
  'GIT_NOGLOB_PATHSPECS',
  'GIT_ICASE_PATHSPECS',
  'GIT_TRACE',
  'LANGUAGE',
];

function childEnvironment(layout: GitLayout, given: Environment): Record<string, string> {
  const env = plainEnvironment(given);
  // Naming the repository would switch off Git's check of who owns it, so that is left to Git wherever Git finds it itself.
  if (!isFoundByGit(layout)) Object.assign(env, { GIT_DIR: layout.gitDir, GIT_WORK_TREE: layout.workTree });
  return env;
}

function plainEnvironment(given: Environment): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !REMOVED.includes(name)) env[name] = value;
  }
  Object.assign(env, { LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0', GIT_TERMINAL_PROMPT: '0' });
  // A commit is what its id says, as for Git's own transfers and collections: replacements are this clone's alone, and data that
  // the others need would not be sent. isomorphic-git knows neither.
  Object.assign(env, { GIT_NO_REPLACE_OBJECTS: '1', GIT_GRAFT_FILE: devNull });
  return env;
}

function isFoundByGit(layout: GitLayout): boolean {
  try {
    const found = discoverLayout(layout.workTree);
    return found?.gitDir === layout.gitDir && found.workTree === layout.workTree;
  } catch {
    return false;
  }
}

function startFailure(executable: string, cause: Error): MlvError {
  return new MlvError({
    code: 'git-missing',
    kind: 'unsupported',
    message: `${executable} could not be started (${cause.message})`,
    hint: 'Install git, or correct PATH',
    cause,
  });
}

function describeFailure(folder: string, args: readonly string[], stderr: string): MlvError {
  if (/dubious ownership|unsafe repository/.test(stderr)) {
    // Not always this one: a remote may be in a folder.
    const named = /safe\.directory ('[^'\n]*'|\S+)/.exec(stderr)?.[1] ?? folder;
    return new MlvError({
      code: 'git-unsafe-repository',
      kind: 'refused',
      message: `Git does not trust the repository ${named.replaceAll("'", '')}, because somebody else owns it`,
      hint: `If you trust it: git config --global --add safe.directory ${named}`,
    });
  }
  const locked = /Unable to create '([^']*\.lock)': File exists/.exec(stderr)?.[1];
  if (locked !== undefined) return indexLocked(locked);
  const first = stderr.split('\n').find((line) => /^(fatal|error): /.test(line)) ?? stderr.trim();
  return new MlvError({
    code: 'git-failed',
    kind: 'io',
    message: `git ${args[0] ?? ''} failed in ${folder}: ${first === '' ? 'it gave no reason' : first}`,
    hint: 'Try the same with git itself: git status, git fsck',
  });
}

/** The error for a lock file that another Git process holds, or left behind. */
export function indexLocked(path: string): MlvError {
  return new MlvError({
    code: 'git-index-locked',
    kind: 'refused',
    message: `${path} exists: another program is changing Git's index`,
    hint: 'Wait for it to finish, or remove the file if no git is running',
  });
}
