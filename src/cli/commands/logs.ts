import { MlvError } from '../../domain/errors.ts';
import { followLog } from '../../execution/follow-log.ts';
import type { LoggedJob } from '../../execution/kubernetes/stage-job-logs.ts';
import { createLineSplitter } from '../../execution/line-splitter.ts';
import type { LoggedRun } from '../../execution/stage-logs.ts';
import { lastRuns, loggedRun } from '../../execution/stage-logs.ts';
import type { Workspace } from '../../workspace/open.ts';
import type { Context } from '../command.ts';
import { defineCommand } from '../command.ts';
import { visible } from '../format.ts';
import { logNote, runsLines } from '../logs-text.ts';

export const logs = defineCommand({
  details: [
    'Prints what the commands of a stage printed when it last ran, or so far; without a stage, lists the stages of which there are logs. A stage is named as in the mlv.yaml of this folder or one above it, or by its whole name: sub/mlv.yaml:train.',
    'Of a stage that runs on a cluster, and that nobody follows here, the newest job is asked: one that was left to itself, or that another clone sent. Its result is not taken: "mlv repro" does that.',
    'The last ten runs of a stage are kept, as plain files; the list says where.',
  ],
  streams: true,
  positionals: { stage: { value: 'STAGE', about: 'a stage; else the list' } },
  options: { follow: { type: 'boolean', short: 'f', about: 'go on printing until the run ends' } },
  example: { command: 'mlv logs -f train', about: 'Watches the stage train, which another mlv runs' },
  async run({ stage, follow }, context) {
    const workspace = await context.open();
    if (stage === undefined) {
      const runs = lastRuns(workspace);
      return { data: { runs }, text: (style) => runsLines(runs, style), isAnswer: true };
    }
    const printer = context.isJson ? linePrinter(context) : { print: context.write, end: async () => undefined };
    const printed = { stage, isFollowing: follow ?? false, context, printer };
    const local = runOrError(workspace, stage, context.cwd);
    const job = await printJob(workspace, { ...printed, local });
    await printer.end();
    if (job !== undefined) return { data: job, text: () => [] };
    if (local instanceof MlvError) throw local;
    const run = await followLog(workspace, local, {
      isFollowing: printed.isFollowing,
      signal: context.verb.signal,
      onBytes: printer.print,
    });
    await printer.end();
    const note = logNote(run);
    if (note !== undefined) context.note(note);
    return { data: run, text: () => [] };
  },
});

function runOrError(workspace: Workspace, stage: string, cwd: string): LoggedRun | MlvError {
  try {
    return loggedRun(workspace, stage, cwd);
  } catch (error) {
    if (error instanceof MlvError) return error;
    throw error;
  }
}

/** Undefined where what is here tells all there is, or no job tells more. */
async function printJob(
  workspace: Workspace,
  given: {
    readonly stage: string;
    readonly isFollowing: boolean;
    readonly context: Context;
    readonly printer: Printer;
    readonly local: LoggedRun | MlvError;
  },
): Promise<LoggedJob | undefined> {
  const { stage, isFollowing, context, printer, local } = given;
  const outcome = local instanceof MlvError ? undefined : local.outcome;
  if (outcome === 'running') return undefined;
  const isWhole = outcome === 'succeeded' || outcome === 'failed';
  if (isWhole && !isFollowing) return undefined;
  const { printStageJob } = await import('../../execution/kubernetes/stage-job-logs.ts');
  let hasPrinted = false;
  try {
    return await printStageJob(workspace, {
      target: stage,
      cwd: context.cwd,
      isFollowing,
      ended: isWhole ? undefined : { since: local instanceof MlvError ? undefined : local.started },
      signal: context.verb.signal,
      onBytes(bytes) {
        hasPrinted = true;
        return printer.print(bytes);
      },
      onNote: (text) => context.note(visible(text)),
    });
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted' || hasPrinted) throw error;
    if (error.code === 'stage-unknown') return undefined;
    if (local instanceof MlvError) throw error;
    context.note(visible(error.message));
    return undefined;
  }
}

interface Printer {
  print(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

/** A row for each line. */
function linePrinter({ emit }: Context): Printer {
  const lines: string[] = [];
  const splitter = createLineSplitter((text) => lines.push(text));
  const flush = async (): Promise<void> => {
    for (const line of lines.splice(0)) await emit({ data: { line }, text: () => [line] });
  };
  return {
    print(bytes) {
      splitter.push(Buffer.from(bytes));
      return flush();
    },
    end() {
      splitter.end();
      return flush();
    },
  };
}
