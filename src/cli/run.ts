import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { nearestName } from '../domain/nearest-name.ts';
import type { LockWaiting } from '../platform/lock.ts';
import { VERSION } from '../domain/version.ts';
import type { Environment, Workspace } from '../workspace/open.ts';
import type { CommandEntry, Context, Report } from './command.ts';
import { bareArguments } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { createStyle, visible } from './format.ts';
import { elsewhere, refuseGitOptions } from './git-habits.ts';
import type { Globals } from './globals.ts';
import { readGlobals } from './globals.ts';
import type { RunView, RunViewOptions } from './live/run-view.ts';
import type { Output, OutputStream, ResultStream } from './output.ts';
import { createOutput, hasColour } from './output.ts';
import { createProgress } from './progress.ts';
import { ReaderGone } from './row-stream.ts';

/** What the process gives to one run of mlv. */
export interface Surroundings {
  /** What follows `mlv`. */
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Environment;
  readonly stdout: ResultStream;
  readonly stderr: OutputStream;
  /** Aborted by the first interruption. */
  readonly signal: AbortSignal;
  /** Aborted by the second one; then the process exits. */
  readonly killed: AbortSignal;
  /** Asks for a yes or no; undefined where nobody is there to answer. */
  ask(question: string): Promise<boolean | undefined>;
  /** All that comes on standard input. */
  input(): Promise<string>;
  /** The program itself: Node, and the script that it runs. */
  readonly program: readonly [node: string, script: string];
}

/** Runs one command line and prints what comes of it. Returns the exit code; never rejects. */
export async function run(surroundings: Surroundings): Promise<number> {
  const { argv, environment, stdout, stderr, signal } = surroundings;
  const streams = { environment, stdout, stderr };
  // Until they are parsed, the words themselves tell how to print that they cannot be.
  let output = createOutput({ ...streams, isJson: argv.includes('--json'), isQuiet: false, isVerbose: false });
  try {
    const { globals, words } = readGlobals(argv);
    const { isJson, isQuiet, isVerbose } = globals;
    output = createOutput({ ...streams, isJson, isQuiet, isVerbose });
    return await execute(surroundings, globals, words, output);
  } catch (error) {
    if (error instanceof ReaderGone) return 0;
    const isInterrupted = signal.aborted && !(error instanceof MlvError);
    return await output.failure(isInterrupted ? signal.reason : error);
  }
}

async function execute(
  surroundings: Surroundings,
  globals: Globals,
  words: readonly string[],
  output: Output,
): Promise<number> {
  const print = async (report: Report, streams = false): Promise<number> => {
    await output.report(report, streams);
    return report.exitCode ?? 0;
  };
  const cwd = workingFolder(surroundings.cwd, globals.directories);
  const [first] = words;
  if (globals.wantsVersion && first === undefined) {
    return print({ data: { version: VERSION }, text: () => [VERSION], isAnswer: true });
  }
  if (first === 'help' || globals.wantsHelp || first === undefined) {
    return print({ ...(await help(surroundings, cwd, first === 'help' ? words.slice(1) : words)), isAnswer: true });
  }
  const { entry, rest } = findCommand(words);
  refuseGitOptions(entry.name, rest);
  const command = await entry.load();
  const bare = rest.length === 0 ? bareArguments(command) : undefined;
  const args = bare ?? (await import('./arguments.ts')).parseArguments(entry.name, command, rest);
  let workspace: Workspace | undefined;
  const progress = createProgress({
    stream: surroundings.stderr,
    kind: () => progressKind(surroundings, globals),
    now: () => performance.now(),
  });
  let view: RunView | undefined;
  const note = (text: string): void => {
    if (view === undefined) progress.interject(() => output.note(text));
    else view.above(text);
  };
  const locks: LockWaiting = {
    ...(globals.waitForLock === undefined ? {} : { waitMs: globals.waitForLock }),
    onWait: (held) => note(`waiting: ${visible(held)}`),
    signal: surroundings.signal,
  };
  const context: Context = {
    emit(row) {
      progress.stop();
      return output.emit(row);
    },
    write(bytes) {
      progress.stop();
      return output.write(bytes);
    },
    note: (text) => note(visible(text)),
    cwd,
    environment: surroundings.environment,
    isVerbose: globals.isVerbose,
    isJson: globals.isJson,
    get columns() {
      return surroundings.stdout.isTTY ? surroundings.stdout.columns : undefined;
    },
    async openRunView(options) {
      progress.stop();
      view = await runView(surroundings, globals, options);
      return view;
    },
    verb: { onProgress: progress.update, signal: surroundings.signal },
    killed: surroundings.killed,
    ask(question) {
      progress.stop();
      return globals.isJson ? Promise.resolve(undefined) : surroundings.ask(question);
    },
    input: surroundings.input,
    program: surroundings.program,
    locks,
    async open() {
      const { openWorkspace } = await import('../workspace/open.ts');
      workspace ??= await openWorkspace({ cwd, environment: surroundings.environment, locks });
      return workspace;
    },
  };
  try {
    const report = await command.run(args, context);
    progress.stop();
    return await print(report, command.streams);
  } finally {
    view?.close();
    progress.stop();
    await workspace?.close();
  }
}

/** Symbolic links are resolved, as for everything that is compared with a project's folder. */
function workingFolder(cwd: string, directories: readonly string[]): string {
  const folder = resolve(cwd, ...directories);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new MlvError({
      code: 'usage',
      kind: 'usage',
      message: `${folder} is not a folder`,
      hint: 'mlv -C path/to/project status',
    });
  }
  return realpathSync.native(folder);
}

function progressKind({ stderr, environment }: Surroundings, globals: Globals): 'line' | 'log' | 'off' {
  if (!globals.hasProgress || globals.isQuiet || globals.isJson) return 'off';
  return stderr.isTTY && !environment['CI'] && environment['TERM'] !== 'dumb' ? 'line' : 'log';
}

async function runView(
  { stderr, environment }: Surroundings,
  globals: Globals,
  options: RunViewOptions,
): Promise<RunView> {
  const { openRunView } = await import('./live/run-view.ts');
  const isColoured = hasColour(stderr, environment);
  const isTerminal = stderr.isTTY && !environment['CI'] && environment['TERM'] !== 'dumb';
  return openRunView(options, {
    stream: stderr,
    kind: globals.isQuiet || globals.isJson ? 'off' : isTerminal && globals.hasProgress ? 'live' : 'lines',
    style: createStyle(isColoured),
    isColoured,
    now: () => performance.now(),
  });
}

function findCommand(words: readonly string[]): { readonly entry: CommandEntry; readonly rest: readonly string[] } {
  const [first = '', second] = words;
  const whole = COMMANDS.find(({ name }) => name === first);
  if (whole !== undefined) return { entry: whole, rest: words.slice(1) };
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length === 0) throw unknownCommand(first);
  const member = group.find(({ name }) => name === `${first} ${second ?? ''}`);
  if (member !== undefined) return { entry: member, rest: words.slice(2) };
  const standard = group.find(({ isStandard }) => isStandard);
  if (standard !== undefined && (second === undefined || second.startsWith('-')))
    return { entry: standard, rest: words.slice(1) };
  const names = group.map(({ name }) => name.slice(first.length + 1));
  const guess = nearestName(second ?? '', names);
  throw new MlvError({
    code: 'command-unknown',
    kind: 'usage',
    message: `mlv ${first} has no command ${JSON.stringify(second)}`,
    hint: guess === undefined ? `It has ${names.join(', ')}` : `Did you mean mlv ${first} ${guess}?`,
  });
}

function unknownCommand(word: string): MlvError {
  const guess = nearestName(word, [...new Set(COMMANDS.map(({ name }) => name.split(' ')[0] ?? ''))]);
  return new MlvError({
    code: 'command-unknown',
    kind: 'usage',
    message: `mlv has no command ${JSON.stringify(word)}`,
    hint: elsewhere(word) ?? (guess === undefined ? 'mlv --help lists the commands' : `Did you mean mlv ${guess}?`),
  });
}

async function help(surroundings: Surroundings, cwd: string, words: readonly string[]): Promise<Report> {
  const { commandHelp, groupHelp, overviewHelp } = await import('./help.ts');
  const [first, second] = words;
  if (first === undefined) {
    const next = await nextSteps(surroundings, cwd);
    const data = { version: VERSION, commands: COMMANDS.map(({ name, summary }) => ({ name, summary })) };
    return { data, text: (style) => overviewHelp(COMMANDS, next, style) };
  }
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length > 0 && (second === undefined || second.startsWith('-'))) {
    const data = group.map(({ name, summary }) => ({ name, summary }));
    return { data, text: (style) => groupHelp(first, group, style) };
  }
  const { entry } = findCommand(words);
  const command = await entry.load();
  const { positionals, options, details, example } = command;
  const data = { name: entry.name, summary: entry.summary, details, positionals, options, example };
  return { data, text: (style) => commandHelp(entry, command, style) };
}

/** What to do from here, for somebody who typed nothing but `mlv`. */
async function nextSteps(surroundings: Surroundings, cwd: string): Promise<string[]> {
  const { findLayout, findProject } = await import('../workspace/open.ts');
  try {
    const { root } = findProject(cwd, surroundings.environment);
    return [`You are in the project ${root}. Next: mlv status`];
  } catch (error) {
    if (!(error instanceof MlvError) || error.code !== 'not-a-project') return [];
    const isGit = findLayout(cwd, surroundings.environment) !== undefined;
    return [
      isGit
        ? 'This Git repository is no project yet. Next: mlv init'
        : 'This is no Git repository. Next: git init, then mlv init',
    ];
  }
}
