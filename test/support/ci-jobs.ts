/** The jobs that docs/ci.md shows, and the commands in them. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { codeBlocks } from './markdown.ts';

export interface CiJob {
  /** The whole file. */
  readonly text: string;
  /** What it has a shell do, in order; each fails the job when it fails. */
  readonly commands: readonly string[];
}

export function ciJobs(): { readonly github: CiJob; readonly gitlab: CiJob } {
  const page = readFileSync(new URL('../../docs/ci.md', import.meta.url), 'utf8');
  const [github, gitlab, ...more] = codeBlocks(page).filter(({ language }) => language === 'yaml');
  if (github === undefined || gitlab === undefined || more.length > 0) throw new Error('docs/ci.md shows two jobs');
  const workflow = parse(github.text) as { jobs: { data: { steps: { run?: string }[] } } };
  const pipeline = parse(gitlab.text) as { data: { script: string[] } };
  return {
    github: { text: github.text, commands: workflow.jobs.data.steps.flatMap(({ run }) => run ?? []) },
    gitlab: { text: gitlab.text, commands: pipeline.data.script },
  };
}
