import { cancelJob } from '../../execution/kubernetes/cancel-job.ts';
import { collectJobs } from '../../execution/kubernetes/collect-jobs.ts';
import { listJobs } from '../../execution/kubernetes/list-jobs.ts';
import type { Context } from '../command.ts';
import { defineCommand } from '../command.ts';
import { visible } from '../format.ts';
import { cancelledLines, collectedLines, failureData, failureNote, jobLines } from '../jobs-text.ts';

const PROFILE = {
  profile: { type: 'string', value: 'NAME', about: 'ask the cluster of this profile, and no other' },
} as const;

export const jobsList = defineCommand({
  details: [
    'Lists the jobs of this project on clusters, the newest first: what was sent from any clone, by anybody, and has not ended, or has failed. A job waits, fetches what the stage reads, runs the stage, pushes what it made, and is complete; then "mlv repro" takes its result.',
    'A profile of a cluster is what "run_on: {kubernetes: NAME}" of a stage names. Where one of several clusters cannot be asked, the others are listed all the same, and the exit code is 1.',
  ],
  positionals: {},
  options: { ...PROFILE, all: { type: 'boolean', about: 'those that ended well, too' } },
  example: { command: 'mlv jobs ls --all', about: 'Lists all jobs of the project that the clusters still know' },
  async run({ profile, all }, context) {
    const { jobs, failures } = await listJobs(await context.open(), asking(context, profile));
    for (const failure of failures) context.note(failureNote(failure));
    const shown = jobs.filter(({ state }) => all === true || state.type !== 'complete');
    const hidden = jobs.length - shown.length;
    return {
      data: { jobs: shown, failures: failures.map(failureData) },
      text: (style) => jobLines(shown, style, { hidden, now: Date.now(), columns: context.columns }),
      isAnswer: true,
      exitCode: failures.length > 0 ? 1 : 0,
    };
  },
});

export const jobsCancel = defineCommand({
  details: [
    'Deletes a job of this project that has not ended, and with it what runs of it, whoever sent it: it is named as "mlv jobs" lists it, or by its stage, where that has only one. What it made until then is lost.',
  ],
  positionals: { job: { value: 'JOB', required: true, about: 'a job, or a stage: train, sub/mlv.yaml:train' } },
  options: PROFILE,
  example: { command: 'mlv jobs cancel train', about: 'Ends the job of the stage train' },
  async run({ job: target, profile }, context) {
    const options = { ...asking(context, profile), target, cwd: context.cwd };
    const job = await cancelJob(await context.open(), options);
    return { data: job, text: (style) => cancelledLines(job, style) };
  },
});

export const jobsCollect = defineCommand({
  details: [
    'Deletes jobs of this project that failed, or whose result this clone has; tasks without a job, older than an hour; and the programs of pods, without a job for a day. A job that ended well and whose result was not taken here yet is kept, until its cluster deletes it: "mlv repro" takes it.',
    'Nothing else is touched in a cluster, and nothing on remotes.',
  ],
  positionals: {},
  options: { ...PROFILE, dryRun: { type: 'boolean', about: 'show what would go, and leave it' } },
  example: { command: 'mlv jobs gc --dry-run', about: 'Shows which jobs are of no use any more' },
  async run({ profile, dryRun }, context) {
    const isDry = dryRun === true;
    const { failures, ...collected } = await collectJobs(await context.open(), { ...asking(context, profile), isDry });
    for (const failure of failures) context.note(failureNote(failure));
    return {
      data: { ...collected, failures: failures.map(failureData) },
      text: (style) => collectedLines(collected, style, { isDry }),
      isAnswer: isDry,
      exitCode: failures.length > 0 ? 1 : 0,
    };
  },
});

function asking({ note, verb }: Context, profile: string | undefined) {
  return { profile, onWarning: (text: string) => note(visible(text)), signal: verb.signal };
}
