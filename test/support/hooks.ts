/** Projects whose hooks real git runs. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import type { MlvRig } from './mlv.ts';
import { BIN } from './mlv.ts';

export interface GitRun {
  readonly code: number | null;
  /** What git and its hooks printed, on both streams. */
  readonly output: string;
}

export interface GitOptions {
  readonly path?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Programs that scripts in these tests need. */
const PROGRAMS = ['git', 'sh', 'bash', 'cat', 'dirname', 'basename', 'sed', 'env'];

/** A PATH on which nothing is but a few programs, and, if asked for, `mlv`. */
export function makePath(rig: MlvRig, name: string, { withMlv }: { readonly withMlv: boolean }): string {
  const folder = join(rig.folder, name);
  mkdirSync(folder);
  for (const program of PROGRAMS) {
    const found = (process.env['PATH'] ?? '')
      .split(delimiter)
      .map((each) => join(each, program))
      .find((path) => existsSync(path));
    if (found !== undefined) symlinkSync(found, join(folder, program));
  }
  if (withMlv) writeScript(join(folder, 'mlv'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' --no-progress "$@"\n`);
  return folder;
}

/** Runs git, and thereby hooks, in a folder. */
export function runGit(rig: MlvRig, cwd: string, args: readonly string[], { path, env }: GitOptions = {}): GitRun {
  // One stream for both, in the order in which they were written.
  const { status, stdout } = spawnSync('sh', ['-c', 'exec git "$@" 2>&1', 'sh', ...args], {
    cwd,
    env: { ...rig.env, ...(path !== undefined && { PATH: path }), ...env },
    encoding: 'utf8',
  });
  return { code: status, output: stdout };
}

export function writeScript(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/** Everything in a folder but Git's samples: mode, and bytes or link. */
export function contentsOf(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder).sort()) {
    if (name.endsWith('.sample')) continue;
    const path = join(folder, name);
    const stats = lstatSync(path);
    const what = stats.isSymbolicLink() ? readlinkSync(path) : stats.isFile() ? readFileSync(path, 'latin1') : 'folder';
    found[name] = `${(stats.mode & 0o7777).toString(8)} ${what}`;
  }
  return found;
}
