import { constants } from 'node:os';
import { stripVTControlCharacters } from 'node:util';
import { MlvError } from '../domain/errors.ts';
import type { StageId } from '../domain/pipeline.ts';
import type { CommandEnd } from './run-command.ts';

const LONGEST_LINE = 500;
const LONGEST_COMMAND = 100;
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
/** Shells add the signal's number to it. */
const SIGNALLED = 128;

/** The error for a command that did not succeed, with the last lines that it printed. */
export function commandFailure(
  stage: StageId,
  command: string,
  end: CommandEnd,
  lastLines: readonly string[],
): MlvError {
  const signal = signalOf(end);
  return new MlvError({
    code: 'stage-failed',
    kind: 'io',
    message: `stage ${stage} failed: ${quoted(command)} ${describeEnd(end, signal)}`,
    hint: `${hintFor(end, signal)}mlv logs ${stage} shows all that it printed.`,
    items: tellable(lastLines),
  });
}

/** Lines as messages can hold them: without colours, and not too long. */
export function tellable(lines: readonly string[]): string[] {
  return lines.map((line) => stripVTControlCharacters(line).slice(0, LONGEST_LINE));
}

/** A command as messages name it: its first line, in backticks. */
export function quoted(command: string): string {
  const [first = '', ...more] = command.trim().split('\n');
  const isShort = more.length === 0 && first.length <= LONGEST_COMMAND;
  return `\`${isShort ? first : `${first.slice(0, LONGEST_COMMAND)} …`}\``;
}

function describeEnd({ code }: CommandEnd, signal: string | undefined): string {
  if (code === null) return `was killed by ${signal ?? 'a signal'}`;
  if (signal !== undefined) return `exited with ${code} (killed by ${signal})`;
  if (code === NOT_FOUND) return `exited with ${code} (command not found)`;
  if (code === NOT_EXECUTABLE) return `exited with ${code} (not executable)`;
  return `exited with ${code}`;
}

function hintFor({ code }: CommandEnd, signal: string | undefined): string {
  if (signal === 'SIGKILL')
    return 'mlv did not send that signal; where memory runs out, the system does (look with: dmesg). ';
  if (code === NOT_FOUND) return 'Look whether the program is installed, and in PATH. ';
  if (code === NOT_EXECUTABLE) return 'Make the file executable (chmod +x), or name the program that runs it. ';
  return '';
}

function signalOf({ code, signal }: CommandEnd): string | undefined {
  if (signal !== null) return signal;
  if (code === null || code <= SIGNALLED) return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === code - SIGNALLED)?.[0];
}
