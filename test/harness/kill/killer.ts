/** How a command is killed, and how it is known what it was doing. */
import type { Random } from '../random.ts';

export interface Command {
  /** The trial's folder, absolute, with `project` in it. */
  readonly folder: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Kill {
  /** How the moment was chosen. */
  readonly aim: string;
  /** What was being done. */
  readonly phase: string;
  /** It came after the first change and before the last name was given. */
  readonly counts: boolean;
  /** What the command printed. */
  readonly output: string;
  /** Exit code, where it was faster. */
  readonly code: number | undefined;
}

export interface Killer {
  /** Runs a command to its end, to know what there is to kill; throws where it fails. Then kills such commands. */
  watch(command: Command): Promise<(command: Command, random: Random) => Promise<Kill>>;
}
