/** What Git runs, set up by `mlv hooks install`: merge drivers and the diff driver of gitattributes(5). */
import { countOf } from '../format.ts';
import { defineCommand, type Context, type Report } from '../command.ts';
import { MlvError } from '../../domain/errors.ts';
import type { DriverFiles, DriverOutcome } from '../../workspace/merge-driver.ts';

/** Tells the shell that mlv cannot read what it was given: it has Git merge that as text. */
const UNREADABLE = 125;

const FILES = {
  base: { value: 'BASE', required: true, about: 'file with what both sides come from; empty where there is none' },
  ours: { value: 'OURS', required: true, about: 'file with our side, which takes the result' },
  theirs: { value: 'THEIRS', required: true, about: 'file with the other side' },
  path: { value: 'PATH', required: true, about: 'what is merged, from the top of the work tree' },
} as const;

const BY_GIT = 'Git runs it, where .gitattributes and its configuration say so.';

export const driverPointer = defineCommand({
  details: [
    'Merges two versions of a pointer: directories by their trees, file by file, and the other keys one by one. What both sides changed is told, and left between conflict markers.',
    BY_GIT,
  ],
  positionals: FILES,
  options: {},
  example: { command: 'mlv driver pointer %O %A %B %P', about: 'What Git is told to run' },
  run: (files, context) => mergePointer(files, context, false),
});

export const driverAncestor = defineCommand({
  details: [
    'Merges two ancestors of a merge, to be the base of it: of what both changed, it takes what they come from.',
    BY_GIT,
  ],
  positionals: FILES,
  options: {},
  example: { command: 'mlv driver ancestor %O %A %B %P', about: 'What Git is told to run' },
  run: (files, context) => mergePointer(files, context, true),
});

export const driverLock = defineCommand({
  details: [
    'Merges two versions of mlv.lock stage by stage. A stage that both sides changed is recorded no more, and so runs again.',
    BY_GIT,
  ],
  positionals: FILES,
  options: {},
  example: { command: 'mlv driver lock %O %A %B %P', about: 'What Git is told to run' },
  async run(files, context) {
    const { mergeLockFiles } = await import('../../workspace/merge-lock-files.ts');
    return reportOf(mergeLockFiles(files, context.cwd), files, context);
  },
});

export const driverTextconv = defineCommand({
  details: [
    'Prints what a pointer says, and what is in the directory that it names, a line for each file: what "git diff" then compares. With more than 10,000 files a line stands for several.',
    BY_GIT,
  ],
  positionals: { file: { value: 'FILE', required: true, about: 'file that holds a pointer' } },
  options: {},
  example: { command: 'mlv driver textconv data.mlv', about: 'Lists what the pointer names' },
  streams: true,
  async run({ file }, { cwd, environment, write }) {
    const { textOfPointer } = await import('../../workspace/textconv.ts');
    await write(await textOfPointer(file, { cwd, environment }));
    return { data: {}, text: () => [] };
  },
});

async function mergePointer(files: DriverFiles, context: Context, isAncestor: boolean): Promise<Report> {
  const { mergePointerFiles } = await import('../../workspace/merge-driver.ts');
  const { cwd, environment, locks, verb } = context;
  return reportOf(mergePointerFiles(files, { ...verb, cwd, environment, locks, isAncestor }), files, context);
}

async function reportOf(
  merging: Promise<DriverOutcome>,
  { path }: DriverFiles,
  { note }: Pick<Context, 'note'>,
): Promise<Report> {
  const outcome = await merging;
  if (outcome.type === 'unreadable') {
    note(`${outcome.error.message}: merged as text`);
    return { data: { code: outcome.error.code }, text: () => [], exitCode: UNREADABLE };
  }
  if (outcome.type === 'merged') {
    for (const line of outcome.lines) note(line);
    return { data: outcome, text: () => [] };
  }
  const { lines } = outcome;
  throw new MlvError({
    code: 'merge-conflict',
    kind: 'conflict',
    message: `${path}: merge conflict in ${countOf(lines.length, 'place')}`,
    items: lines,
    hint: 'Choose a side, for all or file by file: "mlv checkout --ours PATH" or "mlv checkout --theirs PATH". "mlv status" lists what is left.',
  });
}
