/** What a command is: data that the help, the parser and the start read, and one function that does the work. */
import type { LockWaiting } from '../platform/lock.ts';
import type { Environment, Workspace } from '../workspace/open.ts';
import type { VerbOptions } from '../workspace/progress.ts';
import type { Style } from './format.ts';
import type { RunView, RunViewOptions } from './live/run-view.ts';

export interface Option {
  readonly type: 'boolean' | 'string' | 'number';
  /** One letter. */
  readonly short?: string;
  /** Of text: may be given again and again, and comes as a list. */
  readonly many?: true;
  /** What stands for the value in the help: `NAME`. */
  readonly value?: string;
  readonly about: string;
}

export interface Positional {
  /** At least one is needed. */
  readonly required?: boolean;
  /** Takes all that are left; only the last one may. */
  readonly many?: boolean;
  /** Takes what follows `--`, and nothing else; undefined where there is no `--`. */
  readonly afterDashes?: boolean;
  /** What stands for it in the help: `PATH`. */
  readonly value: string;
  readonly about: string;
}

export type Options = Readonly<Record<string, Option>>;
export type Positionals = Readonly<Record<string, Positional>>;

/** An option that was not given is not there. Keys are in camel case: `allTags` is `--all-tags`. */
type OptionValues<O extends Options> = {
  readonly [K in keyof O]?: O[K] extends { many: true }
    ? readonly string[]
    : O[K]['type'] extends 'boolean'
      ? boolean
      : O[K]['type'] extends 'number'
        ? number
        : string;
};

type PositionalValues<P extends Positionals> = {
  readonly [K in keyof P as P[K] extends { afterDashes: true } ? K : never]?: readonly string[];
} & {
  readonly [K in keyof P as P[K] extends { many: true } ? K : never]: readonly string[];
} & {
  readonly [K in keyof P as P[K] extends { many: true } ? never : P[K] extends { required: true } ? K : never]: string;
} & {
  readonly [
    K in keyof P as P[K] extends { many: true } | { required: true } | { afterDashes: true } ? never : K
  ]?: string;
};

/** What a command hands back; one place prints it. */
export interface Report {
  /** What `--json` prints. */
  readonly data: unknown;
  /** What people read, line by line. */
  readonly text: (style: Style) => readonly string[];
  /** True for what was asked for, which `--quiet` does not silence. */
  readonly isAnswer?: boolean;
  /** 0 unless told otherwise. */
  readonly exitCode?: number;
}

/** One of many results, printed as it is found. */
export interface Row {
  /** What `--json` prints, as one line. */
  readonly data: unknown;
  readonly text: (style: Style) => readonly string[];
}

export interface Context {
  /** Prints one result of a command that streams. Resolves when the reader keeps up; rejects when it has gone away. */
  emit(row: Row): Promise<void>;
  /** Prints bytes as they are, likewise. */
  write(bytes: Uint8Array): Promise<void>;
  /** Prints a line for people that is no result, on stderr. */
  note(text: string): void;
  /** Absolute. */
  readonly cwd: string;
  readonly environment: Environment;
  readonly isVerbose: boolean;
  readonly isJson: boolean;
  /** Columns of the terminal that results are printed on; undefined where they go elsewhere. */
  readonly columns: number | undefined;
  /** Shows a run of stages on stderr from now on, instead of progress, until it is closed. */
  openRunView(options: RunViewOptions): Promise<RunView>;
  /** Asks for a yes or no, on stderr; undefined where nobody is there to answer. */
  ask(question: string): Promise<boolean | undefined>;
  /** All that comes on standard input. */
  input(): Promise<string>;
  /** The program itself: Node, and the script that it runs. */
  readonly program: readonly [node: string, script: string];
  /** Progress and interruption, to be handed to the verb. */
  readonly verb: VerbOptions;
  /** Aborted by the second interruption, just before the process exits: whoever started processes kills them. */
  readonly killed: AbortSignal;
  /** For verbs that open no project: how to wait for locks. */
  readonly locks: LockWaiting;
  /** The project around `cwd`; closed when the command ends. Throws `not-a-project`. */
  open(): Promise<Workspace>;
}

export interface Example {
  /** A command line that works. */
  readonly command: string;
  readonly about: string;
}

interface CommandText {
  /** For the help of this command: paragraphs. */
  readonly details: readonly string[];
  readonly example: Example;
}

export interface Command extends CommandText {
  /** Prints results as they are found: with `--json` a line each, and what it returns last, as `{"result":…}`. */
  readonly streams?: boolean;
  readonly positionals: Positionals;
  readonly options: Options;
  run(args: Readonly<Record<string, unknown>>, context: Context): Promise<Report>;
}

/** A line of the list of commands; the command itself is loaded when it is asked for. */
export interface CommandEntry {
  /** One word, or two: `remote add`. */
  readonly name: string;
  /** Does for the first word of its name alone: `remote` lists. */
  readonly isStandard?: boolean;
  /** Run by Git, not by people: the overview leaves it out. */
  readonly isForGit?: boolean;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

interface CommandDefinition<P extends Positionals, O extends Options> extends CommandText {
  readonly streams?: boolean;
  readonly positionals: P;
  readonly options: O;
  readonly run: (args: PositionalValues<P> & OptionValues<O>, context: Context) => Promise<Report>;
}

/** A command whose arguments have the types that its description gives them. */
export function defineCommand<const P extends Positionals, const O extends Options>(
  definition: CommandDefinition<P, O>,
): Command {
  // The parser builds arguments from the same description, so they are what `run` expects.
  return {
    ...definition,
    run: (args, context) => definition.run(args as PositionalValues<P> & OptionValues<O>, context),
  };
}

/** How an option is written: `allTags` is `--all-tags`. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * The arguments when no word follows the command's name; undefined when the command needs some. There is nothing to parse
 * then, and what parses is slow to load. Equal to what `parseArguments` makes of no words.
 */
export function bareArguments(command: Command): Record<string, unknown> | undefined {
  const positionals = Object.entries(command.positionals);
  if (positionals.some(([, positional]) => positional.required)) return undefined;
  return Object.fromEntries(positionals.filter(([, positional]) => positional.many).map(([name]) => [name, []]));
}
