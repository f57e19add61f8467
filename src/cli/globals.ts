import { MlvError } from '../domain/errors.ts';

/** Flags that every command takes, wherever they stand before `--`. */
export interface Globals {
  /** Values of `-C`, each relative to the one before. */
  readonly directories: readonly string[];
  readonly isQuiet: boolean;
  readonly isVerbose: boolean;
  readonly isJson: boolean;
  readonly hasProgress: boolean;
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
  ['-h, --help', 'explain the command'],
];

const FLAGS: Readonly<Record<string, keyof Globals>> = {
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

/** Takes the global flags out of the command line; the other words are left as they are. Throws `usage` for a `-C` without folder. */
export function readGlobals(argv: readonly string[]): { readonly globals: Globals; readonly words: readonly string[] } {
  const seen = new Set<keyof Globals>();
  const directories: string[] = [];
  const words: string[] = [];
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
    wantsHelp: seen.has('wantsHelp'),
    wantsVersion: seen.has('wantsVersion'),
  };
  return { globals, words };
}

function directoryMissing(): MlvError {
  return new MlvError({
    code: 'usage',
    kind: 'usage',
    message: '-C needs a folder',
    hint: 'mlv -C path/to/project status',
  });
}
