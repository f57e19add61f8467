import { MlvError } from '../../domain/errors.ts';
import { gc as collect, undoGc } from '../../workspace/gc.ts';
import { defineCommand } from '../command.ts';
import { confirmed } from '../confirm.ts';
import { durationOf } from '../duration.ts';
import { createStyle } from '../format.ts';
import type { RemoteGcPlan } from '../../storage/collect-remote.ts';
import { gcLines, gcPlanLines, remoteGcLines, remoteGcPlanLines, undoLines } from '../gc-text.ts';
import { TRANSFER_OPTIONS } from '../transfer-options.ts';

const { rev, allBranches, allTags, allCommits } = TRANSFER_OPTIONS;

export const gc = defineCommand({
  details: [
    'Moves what nothing needs any more from the cache into its trash, and deletes what has been there for two weeks. Always kept: what pointers name in the work trees (linked ones too), in the index of Git, in stashes, reflogs and tags; what was used in the last two weeks; and what no remote has, which is asked for again, unless --unpushed is given.',
    'With --remote it takes from that remote what nobody needs: kept is what the commits of the Git remotes and of this clone name, all of them unless an option says which, and what was pushed in the last 90 days. What nothing needs dies at once and is deleted by a later run, a week or more after; until then it can be read, and comes back where something turns out to need it. Others may push and pull meanwhile.',
    'Whatever turns out to be needed while it is in the trash comes back by itself; --undo brings back all that the last collection threw away. It shows what would go, and asks before anything does; where nobody can be asked, --yes answers.',
  ],
  positionals: {},
  options: {
    rev: { ...rev, about: 'keep the data of this revision, too' },
    allBranches: { ...allBranches, about: 'keep the data of all branches, too' },
    allTags: { ...allTags, about: 'keep the data of all tags (which it does anyway)' },
    allCommits: { ...allCommits, about: 'keep the data of all commits, too' },
    keepWithin: { type: 'string', value: 'TIME', about: 'keep the data of commits this young: 90d, 12w, 36h' },
    remote: { type: 'string', value: 'NAME', about: 'collect in this remote, not in the cache' },
    unpushed: { type: 'boolean', about: 'throw away what no remote has, too' },
    dryRun: { type: 'boolean', about: 'show what would go, and leave it' },
    yes: { type: 'boolean', short: 'y', about: 'do not ask' },
    undo: { type: 'boolean', about: 'bring back what the last collection threw away' },
  },
  example: { command: 'mlv gc --all-branches --dry-run', about: 'Shows what no branch needs and a remote has' },
  async run({ yes, undo, keepWithin, remote, ...args }, { open, ask, verb }) {
    if (remote !== undefined && (undo === true || args.unpushed === true)) throw notForRemotes();
    const workspace = await open();
    if (undo === true) {
      const back = await undoGc(workspace);
      return { data: back, text: (style) => undoLines(back, style) };
    }
    const confirm = async (lines: readonly string[]): Promise<boolean> =>
      yes === true ||
      confirmed(ask, { lines, question: 'Throw it away?', command: 'gc', nothing: 'nothing was thrown away' });
    const options = {
      ...args,
      ...verb,
      keepWithin: keepWithin === undefined ? undefined : durationOf(keepWithin, '--keep-within'),
    };
    const isDry = args.dryRun === true;
    if (remote !== undefined) {
      const { gcRemote } = await import('../../workspace/gc-remote.ts');
      const ofRemote = (plan: RemoteGcPlan) => confirm(remoteGcPlanLines(plan, createStyle(false)));
      const result = await gcRemote(workspace, { ...options, name: remote, confirm: ofRemote });
      return { data: result, text: (style) => remoteGcLines(result, style, { isDry }), isAnswer: isDry };
    }
    const result = await collect(workspace, {
      ...options,
      confirm: (plan) => confirm(gcPlanLines(plan, createStyle(false))),
    });
    return { data: result, text: (style) => gcLines(result, style, { isDry }), isAnswer: isDry };
  },
});

function notForRemotes(): MlvError {
  return new MlvError({
    code: 'usage',
    kind: 'usage',
    message: '--undo and --unpushed are for the cache, and have no effect on a remote',
    hint: 'What a collection of a remote killed is still read for a week, and sent again by whoever has it and pushes.',
  });
}
