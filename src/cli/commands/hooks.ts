import { relative } from 'node:path';
import type { ChangedHooks, HooksStatus } from '../../workspace/hooks.ts';
import { installHooks, readHooksStatus, removeHooks } from '../../workspace/hooks.ts';
import { defineCommand } from '../command.ts';
import { columns, type Style, visible } from '../format.ts';

export const hooksInstall = defineCommand({
  details: [
    'pre-push refuses commits whose data is not on the remote. post-checkout, post-merge and post-rewrite bring the data to the version of the commit, from the cache, and leave edits alone. pre-commit tells which data was modified and not recorded.',
    'Git merges data file by file, and git diff, git log -p tell what changed in it: lines in .gitattributes, for everyone, and commands in the configuration of this clone.',
    'Hooks that are there keep running. Where core.hooksPath names a folder of the repository (husky, .githooks) they go there: commit them, and everyone has them.',
  ],
  positionals: {},
  options: { autoPush: { type: 'boolean', about: 'git push sends the data first, instead of refusing' } },
  example: { command: 'mlv hooks install', about: 'From now on git push looks after the data' },
  async run({ autoPush = false }, { open, cwd, program }) {
    const result = await installHooks(await open(), { autoPush, fallback: program });
    return {
      data: { ...result, autoPush },
      text: (style) => [
        ...changeLines(result, cwd, style),
        ...(result.isShared
          ? ['', 'These files are part of the work tree: commit them, and everyone who has mlv on PATH has the hooks.']
          : []),
        ...(result.attributesChanged
          ? ['', `${style.good('installed')}  merge and diff drivers, named in .gitattributes. Next: git commit`]
          : []),
      ],
    };
  },
});

export const hooksRemove = defineCommand({
  details: ['What else is in the hooks stays as it is, and what was put aside comes back.'],
  positionals: {},
  options: {},
  example: { command: 'mlv hooks remove', about: 'Git does no more than Git does' },
  async run(_args, { open, cwd }) {
    const result = await removeHooks(await open());
    return { data: result, text: (style) => changeLines(result, cwd, style) };
  },
});

export const hooksStatus = defineCommand({
  details: [
    'Tells for each hook whether mlv is in it: installed, outdated (by another mlv), edited, inactive (not executable), foreign (without mlv) or missing.',
  ],
  positionals: {},
  options: {},
  example: { command: 'mlv hooks status', about: 'Lists the hooks' },
  async run(_args, { open, cwd, program: fallback }) {
    const result = await readHooksStatus(await open(), { fallback });
    const { hooks, autoPush, program, drivers } = result;
    const driverState = stateOf(drivers);
    const isWhole = hooks.every(({ state }) => state === 'installed') && driverState === 'installed';
    return {
      data: result,
      isAnswer: true,
      text: (style) => [
        ...columns([
          ...hooks.map(({ hook, path, state }) => [
            hook,
            state === 'installed' ? style.good(state) : style.changed(state),
            state === 'missing' ? '' : style.faint(visible(relative(cwd, path))),
          ]),
          [
            'merge and diff',
            driverState === 'installed' ? style.good(driverState) : style.changed(driverState),
            drivers.others.map(visible).join(', '),
          ],
          ['auto-push', autoPush ? 'on' : 'off'],
          ['mlv', program === undefined ? style.changed('not on PATH') : visible(program)],
        ]),
        ...(isWhole
          ? []
          : [
              '',
              ...columns(
                [[style.command(`mlv hooks install${autoPush ? ' --auto-push' : ''}`), 'makes all of them current']],
                '  ',
              ),
            ]),
      ],
    };
  },
});

/** Of the lines in `.gitattributes` and of the configuration, what comes first of: other, absent, outdated, installed. */
function stateOf({ attributes, configuration }: HooksStatus['drivers']): HooksStatus['drivers']['configuration'] {
  const states = [attributes, configuration];
  for (const state of ['other', 'absent', 'outdated'] as const) if (states.includes(state)) return state;
  return 'installed';
}

function changeLines({ hooks }: ChangedHooks, cwd: string, style: Style): string[] {
  return columns(
    hooks.map(({ hook, path, change, aside }) => [
      change === 'unchanged' || change === 'absent' ? style.faint(change) : style.good(change),
      hook,
      change === 'absent' ? '' : visible(relative(cwd, path)),
      aside === undefined ? '' : `before ${visible(relative(cwd, aside))}, which was put aside`,
    ]),
  );
}
