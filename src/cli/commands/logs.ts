import { followLog } from '../../execution/follow-log.ts';
import { createLineSplitter } from '../../execution/line-splitter.ts';
import { lastRuns, loggedRun } from '../../execution/stage-logs.ts';
import type { Context } from '../command.ts';
import { defineCommand } from '../command.ts';
import { logNote, runsLines } from '../logs-text.ts';

export const logs = defineCommand({
  details: [
    'Prints what the commands of a stage printed when it last ran, or so far; without a stage, lists the stages of which there are logs. A stage is named as in the mlv.yaml of this folder or one above it, or by its whole name: sub/mlv.yaml:train.',
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
    const run = await followLog(workspace, loggedRun(workspace, stage, context.cwd), {
      isFollowing: follow ?? false,
      signal: context.verb.signal,
      onBytes: printer.print,
    });
    await printer.end();
    const note = logNote(run);
    if (note !== undefined) context.note(note);
    return { data: run, text: () => [] };
  },
});

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
