import { MlvError } from '../domain/errors.ts';

/** Words that people know from Git (or DVC), which mlv does not have: what to type instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  branch: "Branches are Git's: git branch",
  clone: 'git clone URL, then mlv pull in the clone',
  export: 'mlv get PATH -o OUT',
  import: 'mlv get PATH --repo URL, then mlv add PATH',
  install: 'mlv hooks install',
  list: 'mlv ls',
  merge: 'git merge, then mlv checkout',
  mv: 'mlv move FROM TO',
  rebase: 'git rebase, then mlv checkout',
  rename: 'mlv move FROM TO',
  'ls-files': 'mlv ls -R',
  'ls-tree': 'mlv ls --rev REV',
  reset: 'git reset, then mlv checkout; mlv checkout --force PATH drops edits of data',
  restore: 'mlv checkout --force PATH drops edits of data',
  rm: 'mlv remove PATH',
  stash: 'git stash, then mlv checkout',
  switch: 'git switch BRANCH, then mlv checkout',
  show: 'mlv cat PATH --rev REV',
  sync: 'mlv pull gets data, mlv push sends it',
  tag: "Tags are Git's: git tag",
  track: 'mlv add PATH',
  untrack: 'mlv remove PATH',
  upload: 'mlv push',
  download: 'mlv pull; mlv get PATH takes one file or folder',
  use: 'mlv remote default NAME',
};

/** Options that people know from Git: the command, the option, what is wrong with it, what to type instead. */
const OPTIONS: readonly (readonly [command: string, options: readonly string[], message: string, hint: string])[] = [
  [
    'commit',
    ['-m', '-am', '--message', '-a', '--all', '--amend', '--no-edit'],
    'mlv commit takes no message: it records edits of data in the pointers, which Git then commits',
    'mlv commit, then git commit',
  ],
  ['checkout', ['-b', '-B'], 'mlv checkout makes no branches', 'git checkout -b BRANCH: the data stays as it is'],
  [
    'add',
    ['-A', '--all', '-u', '--update'],
    'mlv add takes the data that it shall track',
    'mlv commit records edits of all tracked data; mlv add PATH tracks more',
  ],
  ['add', ['-f', '--force'], 'mlv add has nothing to force', 'Run it without: it says what stands in its way'],
  [
    'push',
    ['-f', '--force', '--force-with-lease'],
    'mlv push never overwrites anything, so there is nothing to force',
    'mlv push',
  ],
  [
    'push',
    ['-u', '--set-upstream'],
    'mlv push sends data to the default remote',
    'mlv remote default NAME chooses it, mlv push -r NAME takes another one once',
  ],
  [
    'push',
    ['--tags', '--all'],
    'mlv push sends the data of all that HEAD leads to',
    "mlv push --all-tags or --all-branches sends the others'",
  ],
  [
    'fetch',
    ['--all', '--tags'],
    'mlv fetch gets the data of this commit',
    "mlv fetch --all-tags or --all-branches gets the others'",
  ],
  [
    'pull',
    ['--rebase', '--ff-only', '--no-rebase'],
    'mlv pull gets data and leaves commits to Git',
    'git pull, then mlv pull',
  ],
  [
    'remove',
    ['-r', '-rf', '-f', '--cached'],
    'mlv remove stops tracking, whole folders too, and keeps the data',
    'mlv remove PATH, or mlv remove --data PATH to delete the data as well',
  ],
  [
    'diff',
    ['--cached', '--staged'],
    'mlv diff compares commits and the workspace: pointers alone can be staged',
    'mlv diff for what is not committed yet; git diff --cached for the pointers',
  ],
  [
    'diff',
    ['--stat', '--shortstat', '--numstat', '--name-only', '--name-status', '--summary'],
    'mlv diff tells each file in one line as it is',
    'mlv diff, or mlv diff --no-content, which reads no rows; mlv --json diff for programs',
  ],
  [
    'diff',
    ['-p', '-u', '--patch', '-M', '--find-renames', '--word-diff', '-w', '-b', '--ignore-all-space'],
    'mlv diff compares files, and rows of tables, not lines',
    'mlv diff: renamed files and changed rows are told without being asked for',
  ],
  [
    'log',
    ['-p', '-u', '--patch', '--stat', '--name-only', '--name-status'],
    'mlv log counts what each version changed',
    'mlv diff COMMIT~1 COMMIT tells which files',
  ],
  [
    'log',
    [
      '--oneline',
      '--graph',
      '--format',
      '--pretty',
      '--decorate',
      '--reverse',
      '--follow',
      '--all',
      '--author',
      '--since',
    ],
    'mlv log shows versions in one way',
    'mlv log -n N for the newest, --rev REV for another branch; mlv --json log for programs; git log -- PATH.mlv for the rest',
  ],
  ['init', ['--bare'], 'mlv init needs a work tree', 'mlv init, in a clone that has one'],
];

/** What to type instead of a command that mlv does not have; undefined for a word that nobody expects. */
export function elsewhere(word: string): string | undefined {
  return Object.hasOwn(ELSEWHERE, word) ? ELSEWHERE[word] : undefined;
}

/** Throws `git-habit` where a word after the command's name is an option of Git's command of that name. */
export function refuseGitOptions(command: string, words: readonly string[]): void {
  const flags = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
  for (const [name, options, message, hint] of OPTIONS) {
    if (name !== command) continue;
    if (flags.some((flag) => options.includes(flag.replace(/=.*/s, '')))) {
      throw new MlvError({ code: 'git-habit', kind: 'usage', message, hint });
    }
  }
}
