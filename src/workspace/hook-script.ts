/** Hooks as text, a character for each byte (`latin1`): what is not ours stays byte for byte. */
import { hashEngine } from '../platform/hash.ts';

/** The hooks that mlv has something to do in. */
export const HOOKS = ['pre-commit', 'pre-push', 'post-checkout', 'post-merge', 'post-rewrite'] as const;
export type HookName = (typeof HOOKS)[number];

/** What the block in a hook is to do. */
export interface BlockOptions {
  /** pre-push sends data instead of refusing. */
  readonly autoPush: boolean;
  /** Node, and the mlv that it runs, where PATH has none; undefined in files that other machines get. */
  readonly fallback: readonly [node: string, script: string] | undefined;
  /** A hook that is no shell script runs after ours, under this name beside it. */
  readonly aside: string | undefined;
  /** True when the file was made for the block, and goes with it. */
  readonly ownsFile: boolean;
}

/** A block as it was found in a hook. */
export interface FoundBlock {
  /** Offsets in the text; what is between them goes when the block goes. */
  readonly start: number;
  readonly end: number;
  /** False when somebody has changed it. */
  readonly isIntact: boolean;
  readonly autoPush: boolean;
  readonly aside: string | undefined;
  readonly ownsFile: boolean;
  readonly body: string;
}

export const SHEBANG = '#!/bin/sh\n';
const BLOCK = /^# >>> mlv ([0-9a-f]+) >>>\n([^]*?)^# <<< mlv <<<(?:\n|$)/m;
const OWNS_FILE = '# This file was made by mlv.';
const NOT_FOUND = 127;
const SHELLS = ['sh', 'bash', 'dash', 'ash', 'ksh', 'mksh', 'zsh'];

/** What to say where there is no mlv to run: what is left undone, and what to do. */
const WITHOUT_MLV: Readonly<Record<HookName, string>> = {
  'pre-commit': 'modified data is not looked for',
  'pre-push':
    'nobody knows whether the data of these commits is on the remote. Put mlv on PATH, or push without this check: git push --no-verify',
  'post-checkout': 'the data is still of another version. Run "mlv checkout" where there is one',
  'post-merge': 'the data is still of another version. Run "mlv checkout" where there is one',
  'post-rewrite': 'the data is still of another version. Run "mlv checkout" where there is one',
};

/** What Git calls hooks for that mlv has nothing to do with: not worth a process. */
const ONLY: Readonly<Partial<Record<HookName, string>>> = {
  'post-checkout': '[ "${3-}" != 1 ] || ',
  'post-rewrite': '[ "${1-}" != rebase ] || ',
};

/** The block for a hook: lines of POSIX shell, also under `set -eu`, that leave arguments and standard input to what follows. */
export function blockText(hook: HookName, options: BlockOptions): string {
  const { autoPush, fallback, aside, ownsFile } = options;
  const command = `mlv_hook hooks run ${hook}${autoPush && hook === 'pre-push' ? ' --auto-push' : ''} -- "$@"`;
  const complain = `echo 'mlv: not found on PATH, so ${WITHOUT_MLV[hook]}' >&2`;
  const lines = [
    '# From "mlv hooks install"; "mlv hooks remove" takes it away. Changes between these lines get lost.',
    ...(ownsFile ? [OWNS_FILE] : []),
    'mlv_hook() {',
    '  if command -v mlv >/dev/null 2>&1; then mlv "$@"',
    ...(fallback === undefined ? [] : [fallbackLine(fallback)]),
    `  else return ${NOT_FOUND}; fi`,
    '}',
    ...(hook === 'pre-push' ? blocking(command, complain) : warning(`${ONLY[hook] ?? ''}${command}`, complain)),
    ...(aside === undefined ? [] : [asideLine(aside)]),
  ];
  const body = lines.map((line) => `${line}\n`).join('');
  return `# >>> mlv ${checksum(body)} >>>\n${body}# <<< mlv <<<\n`;
}

/** The script with the block, which runs before everything else in it: what is there may end with `exec`. */
export function withBlock(script: string, block: string): string {
  const found = findBlock(script);
  if (found !== undefined) {
    const isLast = !script.slice(found.start, found.end).endsWith('\n');
    return `${script.slice(0, found.start)}${isLast ? `\n${block.slice(0, -1)}` : block}${script.slice(found.end)}`;
  }
  if (!script.startsWith('#!')) return block + script;
  const end = script.indexOf('\n') + 1;
  return end === 0 ? `${script}\n${block.slice(0, -1)}` : script.slice(0, end) + block + script.slice(end);
}

/** The script as it would be had the block never been there. */
export function withoutBlock(script: string, { start, end }: FoundBlock): string {
  return script.slice(0, start) + script.slice(end);
}

/** The block in a script, if there is one. */
export function findBlock(script: string): FoundBlock | undefined {
  const match = BLOCK.exec(script);
  if (match === null) return undefined;
  const [whole, sum = '', body = ''] = match;
  // The line break before it was added with it where the script had none.
  const start = whole.endsWith('\n') ? match.index : Math.max(0, match.index - 1);
  return {
    start,
    end: match.index + whole.length,
    isIntact: checksum(body) === sum,
    autoPush: / --auto-push /.test(body),
    aside: /^\[ ! -x .* \|\| exec "\$\(dirname "\$0"\)\/([\w-]+\.before-mlv)" "\$@"$/m.exec(body)?.[1],
    ownsFile: body.includes(`${OWNS_FILE}\n`),
    body,
  };
}

/** True when a found block does what this one does; where it looks for mlv besides PATH makes no difference. */
export function isSameBlock(found: FoundBlock, block: string): boolean {
  const strip = (body: string): string => body.replace(/^ {2}elif .*\n/m, '');
  return strip(found.body) === strip(findBlock(block)?.body ?? '');
}

/** True for a script in the language of POSIX shells. Git has `sh` run one that does not say what runs it. */
export function isShellScript(script: string): boolean {
  if (script.includes('\0')) return false;
  const words = /^#!\s*([^\n]*)/.exec(script)?.[1]?.trim().split(/\s+/);
  if (words === undefined) return true;
  const names = words.map((word) => word.slice(word.lastIndexOf('/') + 1));
  const program = names[0] === 'env' ? names.slice(1).find((name) => !/^-|=/.test(name)) : names[0];
  return SHELLS.includes(program ?? '');
}

function asideLine(aside: string): string {
  const path = `"$(dirname "$0")/${aside}"`;
  return `[ ! -x ${path} ] || exec ${path} "$@"`;
}

function fallbackLine([node, script]: readonly [string, string]): string {
  return `  elif [ -x ${quoted(node)} ] && [ -f ${quoted(script)} ]; then ${quoted(node)} ${quoted(script)} "$@"`;
}

function quoted(word: string): string {
  return `'${Buffer.from(word, 'utf8').toString('latin1').replaceAll("'", "'\\''")}'`;
}

/** Its failure is not the hook's, and input is not touched. */
function warning(command: string, complain: string): string[] {
  return [`${command} </dev/null || [ $? -ne ${NOT_FOUND} ] || ${complain}`];
}

/** What Git tells on standard input is read, and given to both. */
function blocking(command: string, complain: string): string[] {
  const input = ['<<MLV_INPUT', '$mlv_input', 'MLV_INPUT'] as const;
  return [
    'mlv_input=$(cat)',
    'mlv_code=0',
    `${command} ${input[0]} || mlv_code=$?`,
    input[1],
    input[2],
    `[ "$mlv_code" -ne ${NOT_FOUND} ] || ${complain}`,
    '[ "$mlv_code" -eq 0 ] || exit "$mlv_code"',
    `if [ -n "$mlv_input" ]; then exec ${input[0]}`,
    input[1],
    input[2],
    'else exec </dev/null; fi',
  ];
}

function checksum(body: string): string {
  return hashEngine().hash(Buffer.from(body, 'latin1')).toString('hex', 0, 8);
}
