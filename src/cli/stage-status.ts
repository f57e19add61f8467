import { MlvError } from '../domain/errors.ts';
import { plan } from '../execution/plan.ts';
import type { Workspace } from '../workspace/open.ts';
import type { VerbOptions } from '../workspace/progress.ts';
import type { Report } from './command.ts';
import { stageCounts, summaryLine } from './plan-text.ts';
import { visible } from './format.ts';

/** What `status` says of stages: how many are stale. Where that cannot be told, why. */
export async function stageStatus(
  workspace: Workspace,
  cwd: string,
  verb: VerbOptions,
): Promise<Pick<Report, 'data' | 'text'>> {
  try {
    const stages = await plan(workspace, {
      ...verb,
      targets: [],
      cwd,
      useRunCache: true,
      tools: 'none',
      mayFetch: false,
    });
    const isCurrent = stages.every(({ action }) => action === 'skip' || action === 'frozen');
    return {
      data: stageCounts(stages),
      text: (style) => [`${summaryLine(stages, style)}${isCurrent ? '' : ` (${style.command('mlv plan')} tells why)`}`],
    };
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
    const { code, message } = error;
    return {
      data: { error: { code, message } },
      text: (style) =>
        code === 'blob-missing'
          ? [`stages: not known without lists of files that are not here (${style.command('mlv plan')} fetches them)`]
          : [style.bad('stages cannot be looked at: ') + visible(message.split('\n')[0] ?? '')],
    };
  }
}
