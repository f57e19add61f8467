import { MlvError } from '../domain/errors.ts';

/** Flags that every command takes, wherever they stand before `--`. */
export interface Globals {
  /** Values of `-C`, each relative to the one before. */
  readonly directories: readonly string[];
  readonly isQuiet: boolean;
  readonly isVerbose: boolean;
  readonly isJson: boolean;
  readonly hasProgress: boolean;
  /** Milliseconds; undefined where nothing was said. */
  readonly waitForLock: number | undefined;
  readonly wantsHelp: boolean;
  readonly wantsVersion: boolean;
}

/** What the help says of them. */
export const GLOBAL_OPTIONS: readonly (readonly [flags: string, about: string])[] = [
  ['-C DIR', 'work as if started in DIR'],
  ['-q, --quiet', 'print errors, and what was asked for, only'],
  ['-v, --verbose', 'print long lists in full, and the causes of errors'],
  ['--json', 'print one JSON value'],
  ['--no-progress', 'no progress on stderr'],
  ['--wait-for-lock TIME', 'wait so long for what another process does: 30s, 10m'],
  ['-h, --help', 'explain the command'],
];

const WAIT = '--wait-for-lock';
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

const FLAGS: Readonly<Record<string, Exclude<keyof Globals, 'directories' | 'waitForLock'>>> = {
  '-q': 'isQuiet',
  '--quiet': 'isQuiet',
  '-v': 'isVerbose',
  '--verbose': 'isVerbose',
  '--json': 'isJson',
  '--no-progress': 'hasProgress',
  '-h': 'wantsHelp',
  '--help': 'wantsHelp',
  '--version': 'wantsVersion',
};

/** Takes the global flags out of the command line; the other words are left as they are. Throws `usage` for a `-C` without folder, or a time that is none. */
export function readGlobals(argv: readonly string[]): { readonly globals: Globals; readonly words: readonly string[] } {
  const seen = new Set<keyof Globals>();
  const directories: string[] = [];
  const words: string[] = [];
  let waitForLock: number | undefined;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '--') {
      words.push(...argv.slice(at));
      break;
    }
    const flag = Object.hasOwn(FLAGS, word) ? FLAGS[word] : undefined;
    if (flag !== undefined) {
      seen.add(flag);
    } else if (word === '-C') {
      const directory = argv[++at];
      if (directory === undefined) throw directoryMissing();
      directories.push(directory);
    } else if (word === WAIT || word.startsWith(`${WAIT}=`)) {
      waitForLock = milliseconds(word === WAIT ? argv[++at] : word.slice(WAIT.length + 1));
    } else {
      words.push(word);
    }
  }
  const globals: Globals = {
    directories,
    isQuiet: seen.has('isQuiet'),
    isVerbose: seen.has('isVerbose'),
    isJson: seen.has('isJson'),
    hasProgress: !seen.has('hasProgress'),
    waitForLock,
    wantsHelp: seen.has('wantsHelp'),
    wantsVersion: seen.has('wantsVersion'),
  };
  return { globals, words };
}

function milliseconds(text: string | undefined): number {
  const [, count, unit = ''] = /^(\d{1,6})([smh])$/.exec(text ?? '') ?? [];
  if (count !== undefined) return Number(count) * (UNITS[unit] ?? 0);
  throw new MlvError({
    code: 'usage',
    kind: 'usage',
    message: text === undefined ? `${WAIT} needs a time` : `${WAIT} ${JSON.stringify(text)} is not a time`,
    hint: `Seconds, minutes or hours: mlv ${WAIT} 10m commit`,
  });
}

function directoryMissing(): MlvError {
  return new MlvError({
    code: 'usage',
    kind: 'usage',
    message: '-C needs a folder',
    hint: 'mlv -C path/to/project status',
  });
}
