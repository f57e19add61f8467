import { statSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Stage } from '../domain/pipeline.ts';
import type { Environment, ProjectFolders } from '../workspace/open.ts';
import { commandFailure, quoted, tellable } from './command-failure.ts';
import { createLineSplitter } from './line-splitter.ts';
import { runCommand } from './run-command.ts';
import type { StageClaim } from './stage-claim.ts';
import type { StageLog } from './stage-logs.ts';
import { beginStageLog } from './stage-logs.ts';

export interface RunStageOptions {
  readonly folders: ProjectFolders;
  readonly stage: Stage;
  /** Held by this process. */
  readonly claim: StageClaim;
  /** What commands get, and beside it MLV_STAGE, the stage's id. */
  readonly environment: Environment;
  /** Aborted by the first interruption: commands get the signal, and time to end. */
  readonly signal: AbortSignal;
  /** Aborted by the second one: commands are killed. */
  readonly killed?: AbortSignal;
  /** Called before each try, from 1; waited for. */
  readonly onAttempt?: (attempt: number) => Promise<void> | void;
  /** Called for each line of output, without its end. */
  readonly onLine?: (stream: 'stdout' | 'stderr', text: string) => void;
  /** Milliseconds that commands have to end after a signal, before the next stronger one. */
  readonly graceMs?: number;
}

const GRACE_MS = 10_000;
const LAST_LINES = 10;
/** Longer ones, in milliseconds, are as good as none: timers take no more. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
const NEVER = new AbortController().signal;

/**
 * Runs the commands of a stage here, one after another as long as each succeeds, and again from the first where one fails and there
 * are tries left. All that they print goes to the stage's log. Resolves to the seconds that the last try took, once nothing runs any
 * more that they started. Throws `stage-failed` with the last lines printed, `stage-timeout`, `stage-interrupted`, `stage-wdir-missing`.
 */
export async function runStage(options: RunStageOptions): Promise<{ readonly seconds: number }> {
  const { stage, claim, folders } = options;
  const folder = join(folders.root, stage.wdir);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw folderMissing(stage);
  const log = beginStageLog(folders, stage.id, folder);
  claim.noteLog(log.path);
  for (let attempt = 1; ; attempt++) {
    const started = performance.now();
    const seconds = (): number => (performance.now() - started) / 1000;
    try {
      if (options.signal.aborted) throw interrupted(stage);
      await options.onAttempt?.(attempt);
      if (attempt > 1) log.say(`try ${attempt} of ${stage.retries + 1}`);
      await tryOnce(options, folder, log);
      log.end('succeeded', seconds());
      return { seconds: seconds() };
    } catch (error) {
      const isInterrupted = error instanceof MlvError && error.kind === 'interrupted';
      const reason = error instanceof Error ? error.message : String(error);
      if (!isInterrupted && error instanceof MlvError && attempt <= stage.retries) {
        log.say(`try ${attempt} of ${stage.retries + 1} failed after ${seconds().toFixed(1)} s: ${reason}`);
        continue;
      }
      log.end(isInterrupted ? 'interrupted' : 'failed', seconds(), isInterrupted ? undefined : reason);
      throw error;
    }
  }
}

async function tryOnce(options: RunStageOptions, folder: string, log: StageLog): Promise<void> {
  const { stage, claim, signal, onLine } = options;
  const lastLines: string[] = [];
  const splitterOf = (stream: 'stdout' | 'stderr') =>
    createLineSplitter((text) => {
      if (lastLines.push(text) > LAST_LINES) lastLines.shift();
      onLine?.(stream, text);
    });
  const timedOut = new AbortController();
  const timer =
    stage.timeout === undefined
      ? undefined
      : setTimeout(() => timedOut.abort(), Math.min(stage.timeout * 1000, LONGEST_TIMEOUT_MS));
  try {
    for (const command of stage.commands) {
      if (signal.aborted) throw interrupted(stage);
      log.command(command);
      const splitters = { stdout: splitterOf('stdout'), stderr: splitterOf('stderr') };
      const end = await runCommand({
        command,
        folder,
        environment: { ...options.environment, MLV_STAGE: stage.id },
        onGroup: claim.noteGroup,
        onOutput(stream, bytes) {
          log.write(bytes);
          splitters[stream].push(bytes);
        },
        interrupted: signal,
        timedOut: timedOut.signal,
        killed: options.killed ?? NEVER,
        graceMs: options.graceMs ?? GRACE_MS,
      }).catch((error: unknown) => {
        throw notStarted(stage, command, error);
      });
      splitters.stdout.end();
      splitters.stderr.end();
      if (end.hasLeftovers) log.say('ended processes that the command had left running');
      // Whatever it makes of the signal: what it had done by then is not known to be all.
      if (signal.aborted) throw interrupted(stage);
      if (timedOut.signal.aborted) throw timeout(stage, command, lastLines);
      if (end.code !== 0) throw commandFailure(stage.id, command, end, lastLines);
    }
  } finally {
    clearTimeout(timer);
  }
}

function interrupted(stage: Stage): MlvError {
  return new MlvError({
    code: 'stage-interrupted',
    kind: 'interrupted',
    message: `stage ${stage.id} was interrupted`,
    hint: 'Run the same command again: what has ended well is not run again',
  });
}

function timeout(stage: Stage, command: string, lastLines: readonly string[]): MlvError {
  return new MlvError({
    code: 'stage-timeout',
    kind: 'io',
    message: `stage ${stage.id} was ended: ${quoted(command)} still ran after the timeout of ${stage.timeout} s`,
    hint: `Raise its timeout in ${stage.file}. mlv logs ${stage.id} shows all that it printed.`,
    items: tellable(lastLines),
  });
}

function folderMissing(stage: Stage): MlvError {
  return new MlvError({
    code: 'stage-wdir-missing',
    kind: 'missing',
    message: `stage ${stage.id} runs in ${stage.wdir}, which is not a folder`,
    hint: `Make it, or correct wdir in ${stage.file}, line ${stage.line}.`,
  });
}

/** Too many processes, a command longer than the system takes: expected where Node names it, a bug elsewhere. */
function notStarted(stage: Stage, command: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error) || !String(error.syscall).startsWith('spawn')) return error;
  return new MlvError({
    code: 'stage-failed',
    kind: 'io',
    message: `stage ${stage.id} failed: ${quoted(command)} could not be started: ${error.message}`,
    cause: error,
  });
}
