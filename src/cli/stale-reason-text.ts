import { canonicalJson } from '../domain/canonical-json.ts';
import type { DataVersion, ParamValue } from '../domain/pipeline.ts';
import type { StaleReason } from '../domain/staleness.ts';
import { visible } from './format.ts';

const MAX_VALUE = 40;
const MAX_LISTED = 3;

/** Why a stage has to run, in a line without a full stop: `changed dependency src/train.py (b3:12ab… → b3:34cd…)`. */
export function staleReasonText(reason: StaleReason): string {
  return visible(textOf(reason));
}

function textOf(reason: StaleReason): string {
  switch (reason.type) {
    case 'never-run':
      return 'never ran';
    case 'forced':
      return 'forced';
    case 'always-changed':
      return 'always_changed is set';
    case 'nothing-declared':
      return 'declares nothing that could be compared';
    case 'command':
      return `changed command (${change(reason.from.join(' ; '), reason.to.join(' ; '))})`;
    case 'wdir':
      return `changed wdir (${change(reason.from || '.', reason.to || '.')})`;
    case 'dependency-changed':
      return `changed dependency ${reason.path} (${versions(reason)})`;
    case 'dependency-added':
      return `new dependency ${reason.path}`;
    case 'dependency-removed':
      return `dependency ${reason.path} is no longer declared`;
    case 'dependency-missing':
      return `missing dependency ${reason.path}`;
    case 'parameter':
      return parameter(reason);
    case 'environment':
      if (reason.change === 'removed') return `environment variable ${reason.name} is no longer declared`;
      return `${reason.change === 'added' ? 'new' : 'changed'} environment variable ${reason.name}`;
    case 'tool':
      return declared('tool', reason.name, reason.from, reason.to);
    case 'image':
      return `changed image (${change(reason.from ?? 'none', reason.to ?? 'none')})`;
    case 'outputs-declared':
      return `changed declaration of outputs (${[
        ...listed('new', reason.added),
        ...listed('no longer declared', reason.removed),
        ...listed('kept otherwise', reason.changedOptions),
      ].join('; ')})`;
    case 'output-changed':
      return `changed output ${reason.path} (${versions(reason)})`;
    case 'output-deleted':
      return `deleted output ${reason.path}`;
    case 'output-out-of-date':
      break;
  }
  return `output ${reason.path} is of another version`;
}

function parameter({ file, key, from, to }: Extract<StaleReason, { type: 'parameter' }>): string {
  if (key === '') {
    if (from === undefined) return `new parameters: all of ${file}`;
    if (to === undefined) return `${file} as a whole is no longer a parameter`;
    return `changed parameters ${file}`;
  }
  if (from !== undefined && to !== undefined)
    return `changed parameter ${key} of ${file} (${change(shown(from), shown(to))})`;
  return to === undefined
    ? `parameter ${key} of ${file} is gone (was ${clip(shown(from))})`
    : `new parameter ${key} of ${file} (${clip(shown(to))})`;
}

function declared(what: string, name: string, from: string | undefined, to: string | undefined): string {
  if (from === undefined) return `new ${what} ${name} (${clip(to ?? '')})`;
  if (to === undefined) return `${what} ${name} is no longer declared`;
  return `changed ${what} ${name} (${change(from, to)})`;
}

function versions({ from, to }: { readonly from: DataVersion; readonly to: DataVersion }): string {
  if (from.type !== to.type) return to.type === 'dir' ? 'a file → a folder' : 'a folder → a file';
  if (from.hash === to.hash) return to.exec === true ? 'executable now' : 'no longer executable';
  return `${short(from)} → ${short(to)}`;
}

function short({ hash }: DataVersion): string {
  return `b3:${hash.slice(0, 4)}…`;
}

function listed(what: string, paths: readonly string[]): string[] {
  if (paths.length === 0) return [];
  const more = paths.length > MAX_LISTED ? [`${paths.length - MAX_LISTED} more`] : [];
  return [`${what}: ${[...paths.slice(0, MAX_LISTED), ...more].join(', ')}`];
}

function shown(value: ParamValue | undefined): string {
  return value === undefined ? 'none' : canonicalJson(value);
}

/** Of long texts that begin alike, what differs. */
function change(from: string, to: string): string {
  let shared = 0;
  if (Math.max(from.length, to.length) > MAX_VALUE) {
    while (shared < Math.min(from.length, to.length) && from[shared] === to[shared]) shared += 1;
    shared = from.slice(0, shared).lastIndexOf(' ') + 1;
  }
  const end = (text: string): string => clip(shared === 0 ? text : `… ${text.slice(shared)}`);
  return `${end(from)} → ${end(to)}`;
}

function clip(text: string): string {
  const line = text.replaceAll(/\s*\n\s*/g, ' ').trim();
  return line.length <= MAX_VALUE ? line : `${line.slice(0, MAX_VALUE - 1)}…`;
}
