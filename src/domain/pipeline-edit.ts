/** Changes pipeline files, whose comments and order stay. Imports `yaml`, which is slow to load: reach this file through a dynamic import only. */
import type { Document, YAMLMap } from 'yaml';
import { isMap } from 'yaml';
import { MlvError } from './errors.ts';
import { SCHEMA_FILE } from './pipeline-json-schema.ts';
import type { ParamValue } from './pipeline.ts';
import { relativeTo } from './relative-path.ts';
import type { RepoPath } from './repo-path.ts';
import { repoDirname } from './repo-path.ts';
import { parseYamlFile } from './yaml-document.ts';

/** The fields of a new stage, as they are written; those that are undefined or empty are left out. */
export type StageDefinition = Readonly<Record<string, ParamValue | undefined>>;

/** The text with a stage more; one of that name is replaced where that is wanted. Throws `stage-exists`, and what parsing does. */
export function addStage(
  text: string | undefined,
  { path, name, definition, force }: { path: RepoPath; name: string; definition: StageDefinition; force: boolean },
): string {
  const { document, map } = open(text ?? firstText(path), path);
  let stages: unknown = map.get('stages', true);
  if (!isMap(stages)) {
    stages = document.createNode({});
    map.set('stages', stages);
  }
  if (!isMap(stages)) return text ?? '';
  if (stages.has(name) && !force) {
    throw new MlvError({
      code: 'stage-exists',
      kind: 'refused',
      message: `${path} has a stage ${name} already`,
      hint: `Choose another name, edit ${path}, or replace the stage: mlv stage add --force`,
    });
  }
  const fields = Object.entries(definition).filter(([, value]) => value !== undefined && !isEmpty(value));
  stages.flow = false;
  stages.set(name, document.createNode(Object.fromEntries(fields)));
  return format(document, text);
}

/** The text without these stages. */
export function removeStages(text: string, path: RepoPath, names: readonly string[]): string {
  const { document, map } = open(text, path);
  const stages = map.get('stages', true);
  if (isMap(stages)) for (const name of names) stages.delete(name);
  return format(document, text);
}

/** The text in which these stages are frozen, or are not; all that a `foreach` makes are at once. */
export function freezeStages(text: string, path: RepoPath, names: readonly string[], frozen: boolean): string {
  const { document, map } = open(text, path);
  const stages = map.get('stages', true);
  for (const name of names) {
    const stage = isMap(stages) ? stages.get(name, true) : undefined;
    if (!isMap(stage)) continue;
    const body = stage.get('do', true);
    const fields = isMap(body) ? body : stage;
    if (frozen) fields.set('frozen', true);
    else fields.delete('frozen');
  }
  return format(document, text);
}

/** Editors find the schema by the first line; a path, so that it is the one of the mlv that is used here. */
function firstText(path: RepoPath): string {
  return `# yaml-language-server: $schema=${relativeTo(SCHEMA_FILE, repoDirname(path))}\nstages: {}\n`;
}

function open(text: string, path: RepoPath): { readonly document: Document; readonly map: YAMLMap } {
  // What holds nothing but comments is no map to YAML.
  const isEmptyFile = text.split('\n').every((line) => /^\s*(?:#|$)/.test(line));
  return parseYamlFile(isEmptyFile ? `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}stages: {}\n` : text, {
    path,
    kind: 'pipeline',
    hint: 'Correct it in an editor.',
  });
}

function isEmpty(value: ParamValue | undefined): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** In the indentation and the line ends that the text has. */
function format(document: Document, original = ''): string {
  const [, indent = '  '] = /^( {1,8})[^\s#-]/m.exec(original) ?? [];
  const indentSeq = !/^( *)[^\s#-][^\n]*:\r?\n\1- /m.test(original);
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: false, indent: indent.length, indentSeq });
  return original.includes('\r\n') ? text.replaceAll('\n', '\r\n') : text;
}
