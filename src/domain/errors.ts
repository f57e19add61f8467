/**
 * Expected failures. A `MlvError` is told to the user in three parts: what happened (message, naming the path),
 * what to do next (hint), and, where several things failed together, one line for each (items).
 * Anything else that is thrown is a bug and shows a stack.
 */
export type ErrorKind =
  | 'usage' // the command line is wrong: exit 2
  | 'refused' // doing it would lose or damage something, or is not allowed
  | 'conflict' // both sides changed
  | 'missing' // something that was named does not exist
  | 'corrupt' // bytes do not match their hash, or a file breaks its format
  | 'io' // the disk, the network or another program said no
  | 'unsupported' // made by a later mlv, or not possible on this machine
  | 'interrupted'; // signal: exit 130

export interface MlvErrorOptions {
  /** Stable identifier for programs, kebab-case: `pointer-invalid`. */
  readonly code: string;
  readonly kind: ErrorKind;
  /** What happened, to which path. No trailing full stop. */
  readonly message: string;
  /** What to do next, a sentence or a command. */
  readonly hint?: string;
  /** One line for each thing concerned, all of them (the screen may shorten the list, `--json` does not). */
  readonly items?: readonly string[];
  readonly cause?: unknown;
}

export class MlvError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly items: readonly string[];

  constructor(options: MlvErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MlvError';
    this.code = options.code;
    this.kind = options.kind;
    this.hint = options.hint;
    this.items = options.items ?? [];
  }
}

/** True for errors of Node's file system and process calls that carry this code (`ENOENT`, …). */
export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
