import type { HookOutcome } from '../workspace/run-hook.ts';
import { columns, countOf, formatBytes, shorten, type Style, visible } from './format.ts';

const MAX_LINES = 10;
const INDENT = '  ';

type OutcomeOf<H extends HookOutcome['hook']> = Extract<HookOutcome, { readonly hook: H }>;

/** What a hook prints among the lines of Git: nothing where there is nothing to say. */
export function hookLines(outcome: HookOutcome, style: Style): string[] {
  if (outcome.hook === 'pre-commit') return preCommitLines(outcome, style);
  return outcome.hook === 'pre-push' ? prePushLines(outcome, style) : checkoutLines(outcome, style);
}

function preCommitLines({ prefix, modified }: OutcomeOf<'pre-commit'>, style: Style): string[] {
  if (modified.length === 0) return [];
  return [
    `mlv: ${countOf(modified.length, 'path')} of data modified and not recorded; this commit names the version before`,
    ...listed(
      modified.map(({ path }) => pathOf(prefix, path)),
      style,
    ),
    ...(modified.some(({ stage }) => stage === undefined)
      ? [`${INDENT}${style.command('mlv commit')} records it`]
      : []),
    ...(modified.some(({ stage }) => stage !== undefined)
      ? [`${INDENT}${style.command('mlv repro')} makes again what stages had made`]
      : []),
  ];
}

function prePushLines({ prefix, incomplete, cures, pushed }: OutcomeOf<'pre-push'>, style: Style): string[] {
  const sent = (pushed?.remotes ?? []).filter(({ blobs }) => blobs > 0);
  const lines = sent.map(
    ({ name, blobs, bytes }) => `mlv: sent ${countOf(blobs, 'blob')}, ${formatBytes(bytes)} to ${name}`,
  );
  if (incomplete.length === 0) return lines;
  const rows = incomplete.map(({ path, commit, remote, files }) => [
    visible(pathOf(prefix, path)),
    `in ${commit}`,
    `not on ${remote}${files > 0 ? `: ${countOf(files, 'file')}` : ''}`,
  ]);
  const reasons = [
    ...(pushed?.missing ?? []).map((path) => `${path}: neither in the cache nor on the remote`),
    ...(pushed?.failed ?? []).map(({ path, reason }) => `${path}: ${reason}`),
  ];
  return [
    ...lines,
    `${style.bad('error:')} these commits name data that is not on the remote, so they are not pushed`,
    ...shorten(columns(rows, INDENT), MAX_LINES, style, INDENT),
    ...(reasons.length > 0 ? ['Not sent:', ...listed(reasons, style)] : []),
    `hint: ${cures.map((cure) => style.command(cure)).join(' && ')}, then push again; git push --no-verify pushes without the data`,
  ];
}

function checkoutLines(outcome: OutcomeOf<'checkout'>, style: Style): string[] {
  const { prefix, items, conflicts, failed, unreadable, purged } = outcome;
  const lines = items.flatMap(({ path, written, removed, bytes }) => {
    if (written + removed === 0) return [];
    const parts = [
      ...(written > 0 ? [`${countOf(written, 'file')} written, ${formatBytes(bytes)}`] : []),
      ...(removed > 0 ? [`${countOf(removed, 'file')} removed`] : []),
    ];
    return [`mlv: ${visible(pathOf(prefix, path))}  ${parts.join('; ')}`];
  });
  for (const { message, items: paths } of conflicts) {
    lines.push(
      `mlv: ${visible(message)}; this data is left as it was`,
      ...listed(paths, style),
      `${INDENT}Copy yours elsewhere, or overwrite them: ${style.command('mlv checkout --force')}`,
    );
  }
  if (failed.length > 0) {
    lines.push(
      `mlv: ${countOf(failed.length, 'path')} could not be checked out`,
      ...listed(failed, style),
      `${INDENT}${style.command('mlv pull')} gets what is not in the cache`,
    );
  }
  for (const { message, hint } of unreadable)
    lines.push(`mlv: ${visible(message)}`, ...(hint === undefined ? [] : [`${INDENT}${visible(hint)}`]));
  return [...lines, ...shorten(purged.map(visible), MAX_LINES, style)];
}

function listed(lines: readonly string[], style: Style): string[] {
  const indent = `${INDENT}${INDENT}`;
  return shorten(
    lines.map((line) => `${indent}${visible(line)}`),
    MAX_LINES,
    style,
    indent,
  );
}

function pathOf(prefix: string, path: string): string {
  return prefix === '' ? path : `${prefix}/${path}`;
}
