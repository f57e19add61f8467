import { verify as verifyTargets } from '../../workspace/verify.ts';
import { defineCommand } from '../command.ts';
import { explainTargets, TARGETS } from '../targets.ts';
import { TRANSFER_OPTIONS } from '../transfer-options.ts';
import { verifyLines } from '../verify-text.ts';

const { jobs, rev, allBranches, allTags, allCommits } = TRANSFER_OPTIONS;

export const verify = defineCommand({
  details: [
    'Reads everything in the cache and compares it with its name; then looks whether all is there that the pointers name. With --remote the same of the remote. Exits with 1 for damage, and for what is missing: of the cache what is checked out, or what TARGETs or revisions name (what was never asked for here may as well be on a remote only); of a remote all that is named.',
    'With --quick no data is read: the indexes of the remote alone tell whether it has everything that the pointers, or a revision, name. That is what a CI job asks.',
    'With --repair good copies come from the other side (and into the cache, from files in the workspace that were not edited), lost indexes are made anew, and damage is set aside, never deleted. It may be interrupted and run again.',
  ],
  positionals: TARGETS,
  options: {
    remote: { type: 'boolean', about: 'the remote, not the cache' },
    remoteName: { type: 'string', short: 'r', value: 'NAME', about: 'as --remote, for another than the default one' },
    quick: { type: 'boolean', about: 'whether the remote is complete, from its indexes alone' },
    repair: { type: 'boolean', about: 'mend what can be mended' },
    percent: { type: 'number', value: 'N', about: 'read only so much of its data, chosen by chance' },
    seed: { type: 'number', value: 'N', about: 'repeat the chance of an earlier --percent' },
    rev,
    allBranches,
    allTags,
    allCommits,
    jobs,
  },
  example: {
    command: 'mlv verify --quick --rev HEAD',
    about: 'Tells a CI job whether all data of this commit was pushed',
  },
  async run({ remote, remoteName, ...args }, { cwd, verb, open, isVerbose }) {
    const workspace = await open();
    const options = { ...args, ...verb, cwd, remote: remoteName ?? (remote ? (true as const) : undefined) };
    const result = await explainTargets({ workspace, command: 'verify', targets: args.targets }, () =>
      verifyTargets(workspace, options),
    );
    return {
      data: result,
      text: (style) => verifyLines(result, style, { isVerbose, isQuick: args.quick === true }),
      isAnswer: !result.clean,
      exitCode: result.clean ? 0 : 1,
    };
  },
});
