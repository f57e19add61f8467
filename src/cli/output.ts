/** The only place that writes to stdout and stderr, progress aside. */
import { MlvError } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import type { Report, Row } from './command.ts';
import { createStyle, shorten, type Style, visible } from './format.ts';
import { createRowStream } from './row-stream.ts';

export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly isVerbose: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdout: ResultStream;
  readonly stderr: OutputStream;
}

/** What is asked of `process.stdout` and `process.stderr`. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** What is asked of `process.stdout` beside. */
export interface ResultStream extends OutputStream {
  /** Resolves when it was handed over; to false where nobody reads any more. */
  send(bytes: Uint8Array | string): Promise<boolean>;
}

export interface Output {
  /** Prints what a command found or did; of one that streams, after its rows. Rejects with `ReaderGone` as these do. */
  report(report: Report, streams: boolean): Promise<void>;
  /** Prints one of many results. */
  emit(row: Row): Promise<void>;
  /** Prints bytes as they are. */
  write(bytes: Uint8Array): Promise<void>;
  /** Prints why a command failed, and returns the exit code. */
  failure(error: unknown): Promise<number>;
  /** A line for people that is no result. */
  note(text: string): void;
}

const MAX_ITEMS = 20;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

export function createOutput(options: OutputOptions): Output {
  const { isJson, isQuiet, isVerbose, environment, stdout, stderr } = options;

  function print(stream: OutputStream, lines: readonly string[]): void {
    if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
  }

  const rows = createRowStream(stdout);
  let style: Style | undefined;
  const styleOfRows = (): Style => (style ??= createStyle(hasColour(stdout, environment)));

  return {
    async report(report, streams) {
      await rows.flush();
      if (isJson && streams) print(stdout, [JSON.stringify({ result: report.data })]);
      else if (isJson) print(stdout, [JSON.stringify(report.data, undefined, stdout.isTTY ? 2 : undefined)]);
      else if (!isQuiet || report.isAnswer) print(stdout, report.text(styleOfRows()));
    },
    emit: (row) =>
      rows.write(
        isJson
          ? `${JSON.stringify(row.data)}\n`
          : row
              .text(styleOfRows())
              .map((line) => `${line}\n`)
              .join(''),
      ),
    write: rows.write,
    async failure(thrown) {
      // What was found before is told before; that nobody reads it any more is no other failure.
      await Promise.allSettled([rows.flush()]);
      const expected = asExpected(thrown);
      if (isJson) {
        print(stdout, [JSON.stringify({ error: errorData(expected ?? thrown) })]);
      } else {
        const colours = createStyle(hasColour(stderr, environment));
        print(stderr, expected ? describe(expected, colours, isVerbose) : describeBug(thrown, colours));
      }
      if (expected?.kind === 'usage') return EXIT_USAGE;
      return expected?.kind === 'interrupted' ? EXIT_INTERRUPTED : EXIT_FAILED;
    },
    note(text) {
      if (!isJson && !isQuiet) print(stderr, [text]);
    },
  };
}

/** NO_COLOR and FORCE_COLOR decide, then whether somebody is looking (no-color.org, force-color.org). */
export function hasColour(stream: OutputStream, environment: OutputOptions['environment']): boolean {
  if (environment['NO_COLOR']) return false;
  const forced = environment['FORCE_COLOR'];
  if (forced) return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

function describe(error: MlvError, style: Style, isVerbose: boolean): string[] {
  const [first = '', ...more] = error.message.split('\n').map(visible);
  const lines = [`${style.bad('error:')} ${first}`, ...more.map((line) => `  ${line}`)];
  const items = error.items.map((item) => `  ${visible(item)}`);
  for (const line of shorten(items, isVerbose ? Infinity : MAX_ITEMS, style, '  ')) lines.push(line);
  if (error.hint !== undefined) lines.push(`${style.command('hint:')} ${visible(error.hint)}`);
  if (isVerbose && error.cause instanceof Error) lines.push(style.faint(error.cause.stack ?? error.cause.message));
  return lines;
}

function describeBug(error: unknown, style: Style): string[] {
  return [
    `${style.bad('error:')} this is a bug in mlv ${VERSION}`,
    error instanceof Error ? (error.stack ?? error.message) : String(error),
    `${style.command('hint:')} please report it, with these lines and what mlv doctor prints`,
  ];
}

function errorData(error: unknown): unknown {
  if (error instanceof MlvError) {
    return { code: error.code, message: error.message, hint: error.hint, items: error.items };
  }
  const isError = error instanceof Error;
  return {
    code: 'bug',
    message: isError ? error.message : String(error),
    stack: isError ? error.stack : undefined,
    items: [],
  };
}

/** What a system call says where no floor below gave it words of its own. */
const SYSTEM_ERRORS: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  EACCES: ['permission denied', 'Check who owns it and its mode'],
  EPERM: ['the system does not permit it', 'Check who owns it, its mode and its attributes'],
  EROFS: ['the disk is read-only', 'Commands that only read work; the others need a writable disk'],
  ENOSPC: ['no space left on the disk', 'Make room, then run the command again: it continues'],
  EDQUOT: ['the disk quota is used up', 'Make room, then run the command again: it continues'],
  EMFILE: ['too many open files', 'Raise the limit: ulimit -n 4096'],
  ENFILE: ['too many open files on this machine', 'End what holds them, then run the command again'],
  ENAMETOOLONG: ['the name is too long for this system', 'Choose a shorter one'],
  ELOOP: ['symlinks lead in a circle', 'Name what they are to lead to'],
  ESTALE: ['the file was replaced on another machine, or its disk is gone', 'Run the command again'],
  ETIMEDOUT: ['the disk does not answer', 'Look at the network and the server it is on, then run the command again'],
  EIO: ['the disk reported an error', 'Look at the system log: the disk may be failing'],
};

/** The error as one that users are meant to see; undefined for a bug. */
function asExpected(error: unknown): MlvError | undefined {
  if (error instanceof MlvError) return error;
  if (!(error instanceof Error)) return undefined;
  if (error.name === 'AbortError') {
    return new MlvError({ code: 'interrupted', kind: 'interrupted', message: 'interrupted', cause: error });
  }
  const { code, path } = error as NodeJS.ErrnoException;
  const known = code !== undefined && Object.hasOwn(SYSTEM_ERRORS, code) ? SYSTEM_ERRORS[code] : undefined;
  if (code === undefined || known === undefined) return undefined;
  return new MlvError({
    code: `system-${code.toLowerCase()}`,
    kind: 'io',
    message: path === undefined ? known[0] : `${path}: ${known[0]}`,
    hint: known[1],
    cause: error,
  });
}
