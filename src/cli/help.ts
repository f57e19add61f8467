/** Help is made from the same descriptions that the parser reads. */
import { VERSION } from '../domain/version.ts';
import { type Command, type CommandEntry, flagName, type Positionals } from './command.ts';
import { columns, type Style, wrap } from './format.ts';
import { GLOBAL_OPTIONS } from './globals.ts';

const WIDTH = 80;

/** What `mlv` alone prints: where one stands, and the commands that come next. */
export function overviewHelp(entries: readonly CommandEntry[], next: readonly string[], style: Style): string[] {
  const lines = [`${style.title(`mlv ${VERSION}`)}  versions data and models beside Git`, ''];
  const top = entries.filter((entry) => entry.isStandard || !entry.name.includes(' '));
  const rows = columns(
    top.map((entry) => [
      style.command(firstWord(entry)),
      entry.isStandard ? groupSummary(entry, entries) : entry.summary,
    ]),
    '  ',
  );
  for (const [title, names] of SECTIONS) {
    lines.push(style.title(title), ...rows.filter((_, index) => names.includes(firstWord(top[index]))), '');
  }
  lines.push(`Every command explains itself: ${style.command('mlv COMMAND --help')}`);
  if (next.length > 0) lines.push('', ...next);
  return lines;
}

const SECTIONS: readonly (readonly [title: string, names: readonly string[]])[] = [
  ['Start', ['init', 'remote', 'config']],
  ['Work on data', ['add', 'status', 'commit', 'checkout', 'remove', 'move', 'unprotect']],
  ['Look at versions', ['ls', 'cat', 'get', 'diff', 'log']],
  [
    'Run pipelines',
    ['stage', 'plan', 'repro', 'freeze', 'unfreeze', 'dag', 'logs', 'jobs', 'metrics', 'params', 'run-cache'],
  ],
  ['Share it', ['push', 'pull', 'fetch', 'hooks']],
  ['Look after it', ['verify', 'du', 'gc', 'purge']],
  ['About this installation', ['doctor', 'version', 'root']],
];

/** What `mlv COMMAND --help` prints. */
export function commandHelp(entry: CommandEntry, command: Command, style: Style): string[] {
  const usage = [
    'mlv',
    entry.name,
    ...Object.keys(command.options)
      .slice(0, 1)
      .map(() => '[OPTIONS]'),
    ...usageOf(command.positionals),
  ];
  const lines = [`${style.title(`mlv ${entry.name}`)}: ${entry.summary}`, '', `  ${style.command(usage.join(' '))}`];
  for (const paragraph of command.details) lines.push('', ...wrap(paragraph, WIDTH));
  const positionals = Object.values(command.positionals).map(({ value, about }) => [style.command(value), about]);
  if (positionals.length > 0) lines.push('', ...columns(positionals, '  '));
  const options = Object.entries(command.options).map(([key, { short, value, many, about }]) => {
    const flag = `${short === undefined ? '    ' : `-${short}, `}${flagName(key)}${value === undefined ? '' : ` ${value}${many ? '…' : ''}`}`;
    return [style.command(flag), about];
  });
  if (options.length > 0) lines.push('', style.title('Options'), ...columns(options, '  '));
  lines.push('', style.title('With every command'), ...columns(globalRows(style), '  '));
  lines.push('', style.title('Example'), `  ${style.command(command.example.command)}`, `  ${command.example.about}`);
  return lines;
}

/** What `mlv GROUP --help` prints. */
export function groupHelp(group: string, entries: readonly CommandEntry[], style: Style): string[] {
  const rows = entries.map((entry) => [style.command(`mlv ${entry.name}`), entry.summary]);
  const lines = columns(rows, '  ');
  return [
    style.title(`mlv ${group}`),
    ...lines,
    '',
    `Each explains itself: ${style.command(`mlv ${group} COMMAND --help`)}`,
  ];
}

function globalRows(style: Style): string[][] {
  return GLOBAL_OPTIONS.map(([flags, about]) => [
    style.command(flags.startsWith('--') ? `    ${flags}` : flags),
    about,
  ]);
}

function usageOf(positionals: Positionals): string[] {
  return Object.values(positionals).map(({ value, required, many, afterDashes }) => {
    if (afterDashes) return `[-- ${value}…]`;
    const word = many ? `${value}…` : value;
    return required ? word : `[${word}]`;
  });
}

function firstWord(entry: CommandEntry | undefined): string {
  return entry?.name.split(' ')[0] ?? '';
}

function groupSummary(standard: CommandEntry, entries: readonly CommandEntry[]): string {
  const group = firstWord(standard);
  const words = entries
    .filter((entry) => entry.name.startsWith(`${group} `))
    .map((entry) => entry.name.slice(group.length + 1));
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}
