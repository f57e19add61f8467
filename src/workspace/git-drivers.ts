import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { markedBlock, withMarkedBlock, withoutMarkedBlock } from '../domain/marked-block.ts';
import type { LocalGitConfig } from '../git/local-config.ts';
import { openLocalConfig } from '../git/local-config.ts';
import { readTextFile, removeFileDurably, writeFileDurably } from '../platform/durable-write.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { Workspace } from './open.ts';

/** Whether Git merges and compares the project's data by mlv. */
export interface DriverStatus {
  /** Whether `.gitattributes` says so, for everyone. */
  readonly attributes: 'installed' | 'outdated' | 'absent';
  /** Whether the clone's configuration says how; `other`: it has drivers of that name which are not mlv's. */
  readonly configuration: 'installed' | 'outdated' | 'absent' | 'other';
  /** Of `other`, what is set. */
  readonly others: readonly string[];
}

export interface DriverOptions {
  /** The words that start this mlv where PATH has none: programs with windows are often started without it. */
  readonly program: readonly string[];
}

const ATTRIBUTES_FILE = '.gitattributes';

/** `union`: lines that two branches add to the same place are no conflict. */
const ATTRIBUTES = ['*.mlv merge=mlv diff=mlv', 'mlv.lock merge=mlv-lock', '.gitignore merge=union'];
const ATTRIBUTE_LINES = ATTRIBUTES.map((line) => `${line}\n`).join('');
/** What every command that mlv writes into Git's configuration has in it. */
const OURS = / driver (?:pointer|ancestor|lock|textconv) /;
const MAX_BYTES = 4 << 20;

/**
 * Sets up the merge drivers and the diff driver: lines in the project's `.gitattributes`, and commands in the clone's Git
 * configuration. Returns whether `.gitattributes` was changed, and so is to be committed; it is staged where `core.autostage` says so.
 * Throws `driver-not-ours`, `gitattributes-linked`, `git-program-needed`, before anything is changed.
 */
export async function installDrivers(
  workspace: Workspace,
  options: DriverOptions,
): Promise<{ readonly attributesChanged: boolean }> {
  const config = configOf(workspace);
  const { others } = await readConfiguration(config, options);
  if (others.length > 0) {
    throw new MlvError({
      code: 'driver-not-ours',
      kind: 'refused',
      message: "Git's configuration has drivers of the names mlv uses, and they are not mlv's",
      items: others,
      hint: 'Rename or remove them ("git config --show-origin --get KEY" tells where they are), then try again.',
    });
  }
  requireOwnFile(workspace);
  for (const [key, value] of Object.entries(settings(options))) await config.set(key, value);
  return { attributesChanged: await editAttributes(workspace, (text) => withMarkedBlock(text, ATTRIBUTE_LINES)) };
}

/** Takes away what `installDrivers` set up, and nothing else. Throws `gitattributes-linked`, `git-program-needed`. */
export async function removeDrivers(workspace: Workspace): Promise<{ readonly attributesChanged: boolean }> {
  const config = configOf(workspace);
  requireOwnFile(workspace);
  const { others } = await readConfiguration(config, { program: [] });
  // A name or a choice alone is mlv's where the command beside it is.
  if (others.length === 0) for (const key of Object.keys(settings({ program: [] }))) await config.unset(key);
  return { attributesChanged: await editAttributes(workspace, withoutMarkedBlock) };
}

/** Whether the drivers are set up. Throws `gitattributes-linked`, `git-program-needed`. */
export async function readDriverStatus(workspace: Workspace, options: DriverOptions): Promise<DriverStatus> {
  requireOwnFile(workspace);
  const block = markedBlock(readAttributes(workspace) ?? '');
  const attributes = block === undefined ? 'absent' : block === ATTRIBUTE_LINES ? 'installed' : 'outdated';
  return { attributes, ...(await readConfiguration(configOf(workspace), options)) };
}

async function readConfiguration(
  config: LocalGitConfig,
  options: DriverOptions,
): Promise<Pick<DriverStatus, 'configuration' | 'others'>> {
  const wanted = Object.entries(settings(options));
  const others: string[] = [];
  let [right, set] = [0, 0];
  for (const [key, value] of wanted) {
    const found = await config.get(key);
    if (found === undefined) continue;
    set += 1;
    if (found === value) right += 1;
    else if (OURS.test(value) && !OURS.test(found)) others.push(`${key} = ${found}`);
  }
  if (others.length > 0) return { configuration: 'other', others };
  return {
    configuration: right === wanted.length ? 'installed' : set === 0 ? 'absent' : 'outdated',
    others,
  };
}

/** Git's configuration: keys and values. */
function settings({ program }: DriverOptions): Readonly<Record<string, string>> {
  const run = runner(program);
  // Git puts the names of its files where % is, and a file that mlv cannot read is Git's to merge, as text.
  const merge = (driver: string): string =>
    `${run.replaceAll('%', '%%')}; run driver ${driver} -- %O %A %B %P; s=$?; case $s in 125|126|127) ;; *) exit $s ;; esac; exec git merge-file -L ours -L base -L theirs --marker-size=%L %A %O %B`;
  return {
    'merge.mlv.name': 'data versioned by mlv, merged file by file',
    'merge.mlv.driver': merge('pointer'),
    'merge.mlv.recursive': 'mlv-ancestor',
    'merge.mlv-ancestor.name': 'ancestors of data versioned by mlv',
    'merge.mlv-ancestor.driver': merge('ancestor'),
    'merge.mlv-lock.name': 'mlv.lock, merged stage by stage',
    'merge.mlv-lock.driver': merge('lock'),
    // "git log -p" must not end where mlv is missing. Not cached by Git: what it prints depends on what the cache has.
    'diff.mlv.textconv': `f() { ${run}; run driver textconv -- "$1" 2>/dev/null || cat "$1"; }; f`,
  };
}

/** A shell function: the mlv that PATH has, else the one that set this up; 127 as from a shell where that is gone, too. */
function runner(program: readonly string[]): string {
  const words = program.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
  const script = words.at(-1) ?? "''";
  return `run() { if command -v mlv >/dev/null 2>&1; then mlv "$@"; elif [ -e ${script} ]; then ${words.length === 0 ? 'false' : words.join(' ')} "$@"; else echo "mlv is not on PATH" >&2; return 127; fi; }`;
}

function configOf({ layout, environment }: Workspace): LocalGitConfig {
  if (layout === undefined) {
    throw new MlvError({
      code: 'no-git',
      kind: 'unsupported',
      message: 'this project has no Git repository, and so nothing to merge',
      hint: 'git init, then mlv init',
    });
  }
  return openLocalConfig(layout, environment);
}

function readAttributes({ root }: Workspace): string | undefined {
  return readTextFile(join(root, ATTRIBUTES_FILE), MAX_BYTES);
}

/** Returns whether there was anything to change. */
async function editAttributes(workspace: Workspace, edit: (text: string) => string): Promise<boolean> {
  const before = readAttributes(workspace);
  const after = edit(before ?? '');
  if (after === (before ?? '')) return false;
  const file = join(workspace.root, ATTRIBUTES_FILE);
  if (after === '') removeFileDurably(file);
  else writeFileDurably(file, after);
  const name = workspace.prefix === '' ? ATTRIBUTES_FILE : `${workspace.prefix}/${ATTRIBUTES_FILE}`;
  if (workspace.settings.values['core.autostage']) await (await workspace.git())?.stage([name]);
  return true;
}

/** What a link leads to would be changed; and Git does not heed such a file. */
function requireOwnFile({ root }: Workspace): void {
  if (statsAt(join(root, ATTRIBUTES_FILE))?.isSymbolicLink() !== true) return;
  throw new MlvError({
    code: 'gitattributes-linked',
    kind: 'refused',
    message: `${ATTRIBUTES_FILE} is a symlink, where mlv has to write some lines`,
    hint: 'Remove it, or replace it by what it leads to: Git heeds no .gitattributes that is a symlink.',
  });
}
