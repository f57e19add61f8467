import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { hermeticEnv, mlv } from './processes.mjs';
import { WrongResult } from './wrong-result.mjs';

/** A Git repository in which `mlv init` was run and committed. */
export async function makeRepository(root) {
  const env = hermeticEnv(root);
  mkdirSync(root, { recursive: true });
  git(root, 'init', '--quiet', '--initial-branch=main');
  await mlv(root, ['init'], env);
  git(root, 'commit', '--quiet', '--message', 'init');
  return root;
}

/** Runs git there; gives back what it printed. */
export function git(root, ...args) {
  return execFileSync('git', args, { cwd: root, env: hermeticEnv(root), stdio: ['ignore', 'pipe', 'pipe'] }).toString();
}

/** Commits everything, as somebody would who reads what mlv prints. */
export function commitAll(root, message) {
  git(root, 'add', '--all');
  git(root, 'commit', '--quiet', '--message', message);
}

/** The hash that a pointer names. */
export function pointerHash(root, name) {
  const hash = /^hash: *(\S+)/m.exec(readFileSync(join(root, `${name}.mlv`), 'utf8'))?.[1];
  if (hash === undefined) throw new WrongResult(`${name}.mlv has no hash`);
  return hash;
}

/** Throws unless both folders (or files) have the same names and bytes. */
export function requireSame(one, other) {
  try {
    execFileSync('diff', ['--recursive', '--brief', '--no-dereference', one, other], {
      stdio: 'pipe',
      maxBuffer: 1 << 30,
    });
  } catch (error) {
    if (error.status !== 1) throw error;
    throw new WrongResult(`${one} and ${other} differ: ${String(error.stdout).slice(0, 500)}`);
  }
}

/** Path below `folder` → size, for all files. */
export function listFiles(folder) {
  const files = new Map();
  const visit = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) visit(path);
      else files.set(relative(folder, path), statSync(path).size);
    }
  };
  visit(folder);
  return files;
}

/** What `after` has that `before` has not, or has with another size. */
export function newFiles(before, after) {
  return [...after].filter(([path, size]) => before.get(path) !== size).map(([path, size]) => ({ path, size }));
}

/** Changes a file by one byte more. */
export function touchBytes(path, text) {
  appendFileSync(path, text);
}
