/** `${name}` in the values of a pipeline file: what it means, and what it becomes. */
import type { MlvError } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import type { PipelineSource, SourceEntry, SourceNode, SourceScalar } from './pipeline-source.ts';
import { kindOf, pipelineError } from './pipeline-source.ts';
import { flagsText, scalarText } from './template-text.ts';

/** What names mean. */
export type Scope = Pick<ReadonlyMap<string, SourceNode>, 'get' | 'keys'>;

export interface Resolving {
  readonly source: PipelineSource;
  /** Characters that everything may still become; shared by all that is resolved of one file. */
  readonly budget: { left: number };
}

/** How a value is resolved. */
export interface ResolveOptions {
  readonly scope: Scope;
  /** A map within text becomes flags. */
  readonly isCommand?: boolean;
  /** A whole value may become a map or a list. */
  readonly takesAny?: boolean;
}

/** What resolving each value costs beside its characters: nothing grows without bound. */
export const VALUE_COST = 16;
/** Characters that all stages of one file may come to. */
export const MAX_RESOLVED = 64 << 20;

/** A `${…}` in a text. */
interface Template {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/** True for a text with a `${…}` that is not escaped. */
export function hasTemplate(text: string): boolean {
  for (const _ of templatesIn(text)) return true;
  return false;
}

/** The value with all templates in it, in keys too, resolved. Throws `template-invalid`, `template-unknown`, `template-type`, `pipeline-too-large`. */
export function resolveNode(node: SourceNode, options: ResolveOptions, resolving: Resolving): SourceNode {
  spend(resolving, VALUE_COST, node.at);
  if (node.type === 'list') {
    return { ...node, items: node.items.map((item) => resolveNode(item, options, resolving)) };
  }
  if (node.type === 'scalar') return typeof node.value === 'string' ? resolveText(node, options, resolving) : node;
  const entries = new Map<string, SourceEntry>();
  for (const [written, { at, value }] of node.entries) {
    const key = resolveText({ type: 'scalar', at, value: written }, options, resolving);
    const name = key.type === 'scalar' ? scalarText(key) : written;
    if (entries.has(name)) {
      throw pipelineError(resolving.source, at, {
        message: `"${clip(name)}" is there twice`,
        hint: `${clip(written)} comes to a name that is there already.`,
      });
    }
    entries.set(name, { at, value: resolveNode(value, options, resolving) });
  }
  return { ...node, entries };
}

function resolveText(node: SourceScalar, options: ResolveOptions, resolving: Resolving): SourceNode {
  const text = String(node.value);
  // Most texts: not worth a generator.
  if (!text.includes('${')) return node;
  const templates = [...templatesIn(text)];
  const [first] = templates;
  if (first !== undefined && first.start === 0 && first.end === text.length) {
    const found = lookUp(first, node, options.scope, resolving);
    if (found.type !== 'scalar' && options.takesAny !== true) throw notText(first, node, found, resolving.source);
    if (found.type === 'scalar') spend(resolving, String(found.value).length, node.at);
    return { ...found, at: node.at };
  }
  const parts: string[] = [];
  let end = 0;
  for (const template of templates) {
    parts.push(text.slice(end, template.start), textOf(template, node, options, resolving));
    end = template.end;
  }
  const value = [...parts, text.slice(end)].join('').replaceAll('\\${', '${');
  return { type: 'scalar', at: node.at, value };
}

/** `${` that no backslash precedes, up to the next `}` of the line, as DVC finds them. */
function* templatesIn(text: string): Generator<Template> {
  let close = -1;
  let lineEnd = -1;
  for (let start = text.indexOf('${'); start !== -1;) {
    let next = start + 2;
    if (start === 0 || text[start - 1] !== '\\') {
      if (close < next) close = text.indexOf('}', next);
      if (close === -1) return;
      if (lineEnd < next) lineEnd = text.indexOf('\n', next);
      if (lineEnd === -1) lineEnd = text.length;
      if (close < lineEnd) {
        yield { start, end: close + 1, name: text.slice(next, close) };
        next = close + 1;
      }
    }
    start = text.indexOf('${', next);
  }
}

function textOf(template: Template, node: SourceScalar, options: ResolveOptions, resolving: Resolving): string {
  const found = lookUp(template, node, options.scope, resolving);
  const text =
    found.type === 'scalar'
      ? scalarText(found)
      : found.type === 'map' && options.isCommand === true
        ? flagsText(found)
        : undefined;
  if (text === undefined) throw notText(template, node, found, resolving.source);
  spend(resolving, text.length, node.at);
  return text;
}

function lookUp(template: Template, node: SourceScalar, scope: Scope, { source }: Resolving): SourceNode {
  const steps = stepsOf(template.name);
  const at = (): number => placeIn(template, node, source);
  if (steps === undefined) {
    throw pipelineError(source, at(), {
      code: 'template-invalid',
      message: `\${${clip(template.name)}} is not a name`,
      hint: 'Names are like ${lr}, ${train.lr} or ${files[0]}; \\${ stands for the two characters themselves.',
    });
  }
  let found: SourceNode | undefined;
  let names: readonly string[] = [...scope.keys()];
  for (const [index, step] of steps.entries()) {
    const inside = index === 0 ? scope.get(step) : found === undefined ? undefined : child(found, step);
    if (inside === undefined) throw unknownName(template, at(), { step, names, source });
    found = inside;
    names = found.type === 'map' ? [...found.entries.keys()] : [];
  }
  // There is at least one step, or there would be no name.
  return found ?? node;
}

function child(node: SourceNode, step: string): SourceNode | undefined {
  if (node.type === 'map') return node.entries.get(step)?.value;
  return node.type === 'list' && /^-?\d+$/.test(step) ? node.items.at(Number(step)) : undefined;
}

/** `a.b[0]` as its names; undefined where one is missing. Spaces around them do not count. */
function stepsOf(name: string): string[] | undefined {
  if (!/^[^.[\]]+(?:\.[^.[\]]+|\[[^.[\]]+\])*$/.test(name)) return undefined;
  const steps = name.replaceAll('[', '.').replaceAll(']', '').split('.');
  return steps.map((step) => step.trim());
}

function unknownName(
  { name }: Template,
  at: number,
  { step, names, source }: { step: string; names: readonly string[]; source: PipelineSource },
): MlvError {
  const guess = nearestName(step, names);
  const known = names.length === 0 ? 'nothing there' : names.slice(0, 10).map(clip).join(', ');
  return pipelineError(source, at, {
    code: 'template-unknown',
    message: `nothing is called ${clip(step)} in \${${clip(name)}}`,
    hint:
      guess === undefined
        ? `Names come from params.yaml and from "vars": ${known}${names.length > 10 ? ', …' : ''}.`
        : `Did you mean ${guess}?`,
  });
}

function notText(template: Template, node: SourceScalar, found: SourceNode, source: PipelineSource): MlvError {
  return pipelineError(source, placeIn(template, node, source), {
    code: 'template-type',
    message: `\${${clip(template.name)}} is ${kindOf(found)}, which has no place in text`,
    hint: 'Name a value in it. Only a command takes a map, for its flags: they hold text, numbers, true or false, and lists of these.',
  });
}

/** Where a template is in the file; quotes and folded lines move it from where the text says. */
function placeIn({ name }: Template, node: SourceScalar, { text }: PipelineSource): number {
  const found = text.indexOf(`\${${name}}`, node.at);
  return found === -1 ? node.at : found;
}

/** Takes from what a file may come to. Throws `pipeline-too-large`. */
export function spend({ source, budget }: Resolving, cost: number, at: number): void {
  budget.left -= cost;
  if (budget.left >= 0) return;
  throw pipelineError(source, at, {
    code: 'pipeline-too-large',
    message: 'what the templates of this file come to is too large',
    hint: 'Make fewer stages of "foreach" and "matrix", or keep large values in a file that the command reads.',
  });
}

/** A name that somebody else chose, short enough for a line. */
export function clip(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
