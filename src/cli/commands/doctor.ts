import type { CacheReport, DoctorResult, ProjectReport } from '../../workspace/doctor.ts';
import { doctor as examine } from '../../workspace/doctor.ts';
import type { ClusterReport } from '../../execution/kubernetes/check-cluster.ts';
import { MlvError } from '../../domain/errors.ts';
import { defineCommand } from '../command.ts';
import { columns, formatBytes, type Style, visible } from '../format.ts';

export const doctor = defineCommand({
  details: [
    'Versions, the hashing engine, which Git answers, where settings and cache are, and what the disk of the cache can do, found by trying. For a report of a bug, and for the question why something is slow.',
    'With --kubernetes the clusters of profiles instead, step by step as a stage would use them: who you are there, what you may do, what the namespace lets in, which nodes there are, and whether it would take a Job. Nothing is made there. Exits with 1 when something would keep a stage from running.',
  ],
  positionals: { profile: { value: 'PROFILE', about: 'with --kubernetes: this profile alone' } },
  options: { kubernetes: { type: 'boolean', about: 'examine the clusters that stages run on' } },
  example: { command: 'mlv doctor', about: 'Tells what mlv has to work with here' },
  async run({ kubernetes = false, profile }, { cwd, environment, open, verb }) {
    if (kubernetes) {
      const { checkClusters } = await import('../../execution/kubernetes/check-cluster.ts');
      const reports = await checkClusters(await open(), { name: profile, signal: verb.signal });
      const hasFailed = reports.some(({ checks }) => checks.some(({ result: is }) => is === 'failed'));
      return {
        data: { kubernetes: reports },
        text: (style) => reports.flatMap((report) => clusterLines(report, style)),
        isAnswer: true,
        exitCode: hasFailed ? 1 : 0,
      };
    }
    if (profile !== undefined) {
      throw new MlvError({
        code: 'usage',
        kind: 'usage',
        message: `a profile is examined with --kubernetes: mlv doctor --kubernetes ${profile}`,
      });
    }
    const result = await examine({ cwd, environment });
    return { data: result, text: (style) => doctorLines(result, style), isAnswer: true };
  },
});

function doctorLines(result: DoctorResult, style: Style): string[] {
  const { versions, hashing, git, project, problems } = result;
  const rows: string[][] = [
    ['mlv', versions.mlv],
    ['node', `${versions.node}, ${versions.platform}`],
    [
      'hashing',
      hashing === 'native' ? style.good('native') : style.changed('webassembly, seven times slower than native'),
    ],
    [
      'git',
      git.engine === 'git'
        ? style.good(git.version ?? 'found')
        : style.changed(`isomorphic-git ${git.version ?? ''}, no git program in PATH`),
    ],
    ...(project === undefined ? [] : projectRows(project, style)),
  ];
  const lines = columns(rows.map(([name = '', ...cells]) => [style.title(name), ...cells]));
  for (const { message, hint } of problems) {
    lines.push('', `${style.changed('problem:')} ${visible(message)}`);
    if (hint !== undefined) lines.push(`${style.command('hint:')} ${visible(hint)}`);
  }
  return lines;
}

function clusterLines({ profile, checks }: ClusterReport, style: Style): string[] {
  const paint = { ok: style.good, warning: style.changed, failed: style.bad, 'not known': style.faint };
  const rows = columns(
    checks.map(({ what, result, message }) => [`  ${what}`, paint[result](result), visible(message)]),
  );
  return [
    `${style.title('profile')} ${visible(profile)}`,
    ...checks.flatMap(({ hint }, index) => [
      rows[index] ?? '',
      ...(hint === undefined ? [] : [`    ${style.command('hint:')} ${visible(hint)}`]),
    ]),
  ];
}

function projectRows(project: ProjectReport, style: Style): string[][] {
  const { root, gitDir, isLinkedWorktree, settings, cache } = project;
  const rows = [['project', visible(root)]];
  if (gitDir !== undefined)
    rows.push(['git folder', `${visible(gitDir)}${isLinkedWorktree ? ', a linked worktree' : ''}`]);
  for (const { scope, file, exists } of settings) {
    rows.push([`${scope} settings`, `${visible(file)}${exists ? '' : style.faint(' (none)')}`]);
  }
  return cache === undefined ? rows : [...rows, ...cacheRows(cache, style)];
}

function cacheRows({ folder, packBelow, isOnProjectDisk, disk }: CacheReport, style: Style): string[][] {
  const rows = [
    ['cache', `${visible(folder)}${isOnProjectDisk ? '' : style.changed(' (on another disk than the project)')}`],
    ['free space', `${formatBytes(disk.freeBytes)} of ${formatBytes(disk.totalBytes)}`],
    [
      'packs',
      packBelow === 0
        ? 'off'
        : `for bulk writes of blobs below ${packBelow / 1024 ** 2 >= 1 ? `${packBelow / 1024 ** 2} MiB` : `${packBelow / 1024} KiB`}`,
    ],
  ];
  const { writable } = disk;
  if (writable === undefined) return [...rows, ['disk', style.changed('cannot be written to: reading commands work')]];
  const links = Object.entries(writable.links).map(([type, works]) =>
    works ? style.good(type) : style.faint(`no ${type}`),
  );
  const { ignoresCase, ignoresNormalisation, timeGrain } = writable;
  return [
    ...rows,
    ['link types', links.join(', ')],
    [
      'names',
      `${ignoresCase ? style.changed('upper and lower case are one') : 'case matters'}${ignoresNormalisation ? style.changed(', accents are normalised') : ''}`,
    ],
    [
      'file times',
      Number.isFinite(timeGrain)
        ? `in steps of ${timeGrain.toPrecision(2)} ms`
        : style.changed('in steps of more than two seconds'),
    ],
  ];
}
