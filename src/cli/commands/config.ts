import type { SettingEntry } from '../../domain/settings.ts';
import { MlvError } from '../../domain/errors.ts';
import { GPU_TYPE_SETTINGS, KUBERNETES_SETTINGS } from '../../domain/kubernetes-profile.ts';
import { SETTINGS } from '../../domain/setting-table.ts';
import { changeSettings, effectiveSettings, getSetting } from '../../workspace/config.ts';
import { defineCommand } from '../command.ts';
import { columns, type Style, visible } from '../format.ts';

export const config = defineCommand({
  details: [
    'Without KEY lists what holds here; with KEY prints its value; with KEY and VALUE sets it.',
    'Settings for everyone are in .mlv/config.yaml, which Git tracks. What concerns one machine (cache folder, link types, credentials profile) goes to this clone with --local, or to all projects of this user with --user. An environment variable such as MLV_CACHE_DIR overrides them all.',
    `Settings are ${Object.keys(SETTINGS).join(', ')}, those of remotes (mlv remote modify --help), and those of Kubernetes profiles: ${Object.keys(KUBERNETES_SETTINGS).join(', ')} of kubernetes.NAME, ${Object.keys(GPU_TYPE_SETTINGS).join(', ')} of kubernetes.NAME.gpuTypes.TYPE.`,
  ],
  positionals: {
    key: { value: 'KEY', about: 'for instance cache.links, or remotes.NAME.region' },
    value: { value: 'VALUE', about: 'the new value; the items of a list are separated by commas' },
  },
  options: {
    local: { type: 'boolean', about: 'change the settings of this clone' },
    user: { type: 'boolean', about: 'change the settings of this user, for all projects' },
    unset: { type: 'boolean', about: 'remove KEY from the settings' },
    showOrigin: { type: 'boolean', about: 'tell where each value comes from' },
  },
  example: { command: 'mlv config --local cache.links symlink', about: 'Checks data out as links, in this clone' },
  async run(args, { cwd, environment, locks }) {
    const { key, value, local = false, user = false, unset = false, showOrigin = false } = args;
    if (local && user) throw usage('--local and --user exclude each other');
    if (unset && (key === undefined || value !== undefined)) throw usage('--unset needs a KEY and no VALUE');
    if (key !== undefined && (unset || value !== undefined)) {
      const scope = local ? 'clone' : user ? 'user' : 'tracked';
      const result = await changeSettings({ cwd, environment, locks, scope, changes: [[key, value]] });
      const done = unset ? 'unset' : `= ${value ?? ''}`;
      return { data: { key, ...result }, text: (style) => [changeLine(`${key} ${done}`, result, style)] };
    }
    if (local || user)
      throw usage(`--${local ? 'local' : 'user'} chooses where a setting is changed: give a KEY and a VALUE`);
    if (key !== undefined) {
      const entry = await getSetting({ cwd, environment, key });
      const text = (style: Style) => [showOrigin ? settingRow(entry, style).join('  ') : visible(show(entry))];
      return { data: entry, text, isAnswer: true };
    }
    const { entries } = await effectiveSettings({ cwd, environment });
    const text = (style: Style) => columns(entries.map((entry) => listRow(entry, showOrigin, style)));
    return { data: entries, text, isAnswer: true };
  },
});

/** What was changed, and where. */
export function changeLine(
  what: string,
  result: { readonly file: string; readonly changed: boolean; readonly staged: readonly string[] },
  style: Style,
): string {
  if (!result.changed) return `${style.faint('unchanged')}  ${visible(what)}  in ${visible(result.file)}`;
  return `${style.good('set')}  ${visible(what)}  in ${visible(result.file)}${result.staged.length > 0 ? ', staged in Git' : ''}`;
}

function listRow(entry: SettingEntry, showOrigin: boolean, style: Style): string[] {
  return showOrigin ? settingRow(entry, style) : [entry.key, visible(show(entry))];
}

function settingRow(entry: SettingEntry, style: Style): string[] {
  const origin = entry.scope === 'default' ? 'default' : `${entry.scope}: ${entry.origin}`;
  return [entry.key, visible(show(entry)), style.faint(visible(origin))];
}

function show({ value }: SettingEntry): string {
  return typeof value === 'object' ? value.join(',') : String(value);
}

function usage(message: string): MlvError {
  return new MlvError({ code: 'usage', kind: 'usage', message, hint: 'mlv config --help' });
}
