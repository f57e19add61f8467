import type { StatusItem, StatusResult } from '../workspace/status.ts';
import { LOCK_FILE } from '../domain/pipeline.ts';
import { isLock } from '../workspace/references.ts';
import { columns, countOf, formatBytes, formatCount, shorten, type Style, visible } from './format.ts';
import { changeCounts } from './recorded-text.ts';

const MAX_CHANGES = 5;
const MAX_CONFLICTS = 20;
const INDENT = '    ';

/** What `status` tells people: each path that is not as it should be, what differs in it, and what to do. */
export function statusLines(result: StatusResult, style: Style, isVerbose: boolean): string[] {
  const { items, merges } = result;
  if (items.length === 0 && merges.length === 0)
    return ['Nothing is tracked yet', ...columns([[style.command('mlv add PATH'), 'tracks files and folders']], '  ')];
  const notable = items.filter(isNotable);
  const unchanged = items.filter((item) => !isNotable(item));
  const width = notable.reduce((longest, { path }) => Math.max(longest, visible(path).length), 0);
  const lines: string[] = [];
  for (const merge of merges) {
    const { path, left, conflicts } = merge;
    const what = isLock(path) ? 'holds the marks of a merge' : 'pointer holds the marks of a merge';
    const where = left > 0 ? `merge conflict in ${countOf(left, 'place')}` : what;
    lines.push(`${visible(path)}  ${style.bad(where)}`);
    const shown = columns(
      conflicts.map((each) => [visible(each.path), visible(each.reason)]),
      INDENT,
    );
    for (const line of shorten(shown, isVerbose ? Infinity : MAX_CONFLICTS, style, INDENT)) lines.push(line);
  }
  for (const item of notable) {
    lines.push(`${visible(item.path).padEnd(width)}  ${findings(item, style).join(', ')}`);
    for (const line of changeLines(item, style, isVerbose ? Infinity : MAX_CHANGES)) lines.push(line);
  }
  if (unchanged.length > 0) {
    const files = unchanged.reduce((sum, item) => sum + item.files, 0);
    const bytes = unchanged.reduce((sum, item) => sum + item.size, 0);
    const what = `${countOf(unchanged.length, 'path')} unchanged`;
    lines.push(
      `${notable.length === 0 ? style.good(what) : style.faint(what)} ${style.faint(`(${countOf(files, 'file')}, ${formatBytes(bytes)})`)}`,
    );
  }
  const steps = [...mergeSteps(merges, style), ...nextSteps(notable, style)];
  return steps.length === 0 ? lines : [...lines, '', ...columns(steps, '  ')];
}

function isNotable(item: StatusItem): boolean {
  const { state, notCheckedOut, notInCache, outOfDate, unfinishedCheckout, problems, remote } = item;
  if (state !== 'unchanged' || outOfDate || unfinishedCheckout || notInCache) return true;
  return notCheckedOut > 0 || problems.length > 0 || remote?.missing === true;
}

function findings(item: StatusItem, style: Style): string[] {
  const { state, type, stage, files, notCheckedOut, notInCache, outOfDate, unfinishedCheckout, problems, remote } =
    item;
  const found: string[] = [];
  if (state === 'modified') {
    const counts = type === 'dir' ? changeCounts(item) : '';
    found.push(style.changed(counts === '' ? 'modified' : `modified: ${counts}`));
  }
  if (state === 'missing') found.push(style.bad('missing'));
  if (state === 'purged') found.push('purged (.mlv/purged)');
  if (state === 'elsewhere') found.push('made elsewhere, and never pushed');
  if (state === 'not-checked-out')
    found.push(style.changed(`not checked out${type === 'dir' ? `: ${countOf(files, 'file')}` : ''}`));
  else if (state !== 'missing' && notCheckedOut > 0)
    found.push(`${formatCount(notCheckedOut)} of ${countOf(files, 'file')} not checked out`);
  if (outOfDate) found.push(style.changed(`${stage === undefined ? 'pointer' : 'lock'} names another version`));
  if (unfinishedCheckout) found.push(style.changed('checkout is unfinished'));
  if (notInCache) found.push(style.changed('not in cache'));
  if (problems.length > 0) found.push(style.bad(`${countOf(problems.length, 'path')} cannot be recorded`));
  if (remote?.missing === true) found.push(style.changed(`not on ${remote.name}`));
  return found;
}

/** The first few paths that differ, and how many more there are. */
function changeLines(item: StatusItem, style: Style, limit: number): string[] {
  const rows = item.problems.map(({ path, reason }) => [style.bad('refused'), `${visible(path)}: ${visible(reason)}`]);
  let total = rows.length;
  // Of a file there is nothing more to tell than that it was modified.
  if (item.type === 'dir') {
    for (const { kind, path } of item.changes) rows.push([style.changed(kind), visible(path)]);
    total += item.added + item.changed + item.removed;
  }
  const shown = rows.slice(0, total <= limit ? limit : limit - 1);
  const lines = columns(shown, INDENT);
  return shown.length < total
    ? [...lines, style.faint(`${INDENT}… and ${formatCount(total - shown.length)} more`)]
    : lines;
}

function mergeSteps(merges: StatusResult['merges'], style: Style): string[][] {
  const steps: string[][] = [];
  if (merges.some(({ left }) => left > 0)) {
    steps.push([
      style.command('mlv checkout --ours PATH'),
      'keeps our side of a conflict, in a file or all that is left',
    ]);
    steps.push([style.command('mlv checkout --theirs PATH'), 'takes the other side']);
  }
  if (merges.some(({ path }) => isLock(path))) {
    const about = 'takes our side of a lock; stages without a record run again';
    steps.push([style.command(`git checkout --ours -- ${LOCK_FILE}`), about]);
  }
  if (merges.some(({ path, left }) => left === 0 && !isLock(path)))
    steps.push([style.command('git checkout --merge -- PATH.mlv'), 'brings back a conflict that was staged as it was']);
  return steps;
}

function nextSteps(items: readonly StatusItem[], style: Style): string[][] {
  const steps: string[][] = [];
  const add = (command: string, about: string): void => {
    steps.push([style.command(command), about]);
  };
  const modified = items.filter(({ state }) => state === 'modified');
  if (modified.some(({ stage }) => stage === undefined)) add('mlv commit', 'records what was modified');
  if (modified.some(({ stage }) => stage !== undefined)) add('mlv repro', 'makes again what stages had made');
  const isBehind = items.some(
    (item) => item.outOfDate || item.unfinishedCheckout || ['missing', 'not-checked-out'].includes(item.state),
  );
  if (items.some((item) => item.notInCache)) add('mlv pull', 'gets what is not here');
  else if (isBehind) add('mlv checkout', 'brings the data to what the pointers say');
  if (items.some((item) => item.state !== 'not-checked-out' && item.state !== 'missing' && item.notCheckedOut > 0)) {
    add('mlv pull PATH', 'brings the rest of what is partly checked out');
  }
  if (items.some((item) => item.remote?.missing === true)) add('mlv push', 'sends what the remote does not have');
  return steps;
}
