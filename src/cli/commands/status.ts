import { status as statusOf } from '../../workspace/status.ts';
import { listPipelineFiles } from '../../workspace/pipeline-files.ts';
import { defineCommand } from '../command.ts';
import { statusLines } from '../status-text.ts';
import { TARGETS } from '../targets.ts';

const DIFFERENCES = 3;

export const status = defineCommand({
  details: [
    'Compares the workspace with what was recorded, and tells how many stages are stale. Files whose size and times are as they were are not read.',
  ],
  positionals: TARGETS,
  options: {
    remote: { type: 'boolean', about: 'tell what is not pushed, too' },
    remoteName: { type: 'string', short: 'r', value: 'NAME', about: 'as --remote, for another than the default one' },
    exitCode: { type: 'boolean', about: 'exit with 3 when something differs' },
  },
  example: { command: 'mlv status data', about: 'Tells what changed in the folder data' },
  async run({ targets, remote, remoteName, exitCode }, { cwd, verb, open, isVerbose }) {
    const workspace = await open();
    const result = await statusOf(workspace, {
      targets,
      cwd,
      remote: remoteName ?? (remote ? true : undefined),
      ...verb,
    });
    // Of a project without pipelines nothing of them is loaded.
    const hasStages = targets.length === 0 && listPipelineFiles(workspace).length > 0;
    const stages = hasStages ? await (await import('../stage-status.ts')).stageStatus(workspace, cwd, verb) : undefined;
    return {
      data: { ...result, ...(stages !== undefined && { stages: stages.data }) },
      text: (style) => [...statusLines(result, style, isVerbose), ...(stages?.text(style) ?? [])],
      isAnswer: !exitCode,
      exitCode: exitCode && !result.clean ? DIFFERENCES : 0,
    };
  },
});
