import { existsSync, lstatSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { LOCK_FILE } from '../domain/pipeline.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import { readTextFile, temporaryName } from '../platform/durable-write.ts';
import { ioError } from '../platform/io-error.ts';
import { makeFolder } from '../platform/make-folder.ts';
import { maxReferenceBytes, readReference } from './references.ts';
import { hasPointer } from './tracked.ts';

/** Where data is written that is no checkout. */
export interface GetTarget {
  /** Absolute, its folder without symlinks. */
  readonly out: string;
  /** The folder that holds it, which exists. */
  readonly parent: string;
  /** A name beside it, for a folder in which it is made. */
  readonly temporary: string;
}

/** Judges where data may go, before any of it is read. Throws `target-exists`, `target-refused`. */
export async function getTarget(options: {
  readonly cwd: string;
  readonly out?: string | undefined;
  /** What it is called, where `out` does not tell. */
  readonly base: string;
  readonly isForced?: boolean | undefined;
}): Promise<GetTarget> {
  const { cwd, out, base, isForced = false } = options;
  const wanted = resolve(cwd, out ?? base);
  const isInto = out !== undefined && (out.endsWith('/') || isFolder(wanted));
  const asked = isInto ? join(wanted, base) : wanted;
  requireOutside(asked);
  const parent = realParent(asked);
  const target = { out: join(parent, basename(asked)), parent, temporary: join(parent, temporaryName()) };
  requireOutside(target.out);
  await requireUntracked(target.out);
  if (lstatSync(target.out, { throwIfNoEntry: false }) === undefined) return target;
  if (!isForced) {
    throw new MlvError({
      code: 'target-exists',
      kind: 'refused',
      message: `${target.out} exists`,
      hint: '--force replaces it; -o OUT writes to another place.',
    });
  }
  const isAround = `${realpathSync.native(cwd)}/`.startsWith(`${target.out}/`);
  const isRepository = ['.git', '.mlv'].some((name) => existsSync(join(target.out, name)));
  if (isAround || isRepository) {
    throw refused(
      target.out,
      isAround ? 'the folder you stand in is in it' : 'it is a repository',
      '-o OUT writes to another place.',
    );
  }
  return target;
}

/**
 * Moves what was made in the temporary folder, or that folder itself, to its place. What is there is replaced: a file by a file in one
 * step; anything else is set aside for that moment, and comes back where it fails.
 */
export function putInPlace({ out, temporary, parent }: GetTarget, name: string | undefined): void {
  const made = name === undefined ? temporary : join(temporary, name);
  const there = lstatSync(out, { throwIfNoEntry: false });
  try {
    if (there === undefined || (name !== undefined && !there.isDirectory())) {
      renameSync(made, out);
      return;
    }
    const aside = join(parent, temporaryName());
    renameSync(out, aside);
    try {
      renameSync(made, out);
    } catch (error) {
      renameSync(aside, out);
      throw error;
    }
    rmSync(aside, { recursive: true, force: true });
  } catch (error) {
    throw ioError(error, 'write', out);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function realParent(path: string): string {
  const parent = dirname(path);
  try {
    makeFolder(parent);
    return realpathSync.native(parent);
  } catch (error) {
    throw ioError(error, 'write', parent);
  }
}

function requireOutside(out: string): void {
  const name = out.split('/').find((segment) => /^\.(?:git|mlv)$/i.test(segment));
  if (name === undefined) return;
  throw refused(out, `what is in ${name} belongs to Git and mlv`, 'Choose another place: -o OUT.');
}

/** What has a pointer, is on record as an output in the lock of a folder above, or is inside of either, is for checkouts. */
async function requireUntracked(out: string): Promise<void> {
  for (let path = out; path !== dirname(path); path = dirname(path)) {
    const outputs = path === out ? [] : await outputsIn(path);
    const isAround = (tracked: string): boolean => out === tracked || out.startsWith(`${tracked}/`);
    const around = hasPointer(path) ? path : outputs.find(isAround);
    if (around === undefined) continue;
    throw refused(
      out,
      around === out ? 'it is tracked' : `it is inside ${around}, which is tracked`,
      '"mlv checkout" writes what is tracked; -o OUT writes to another place.',
    );
  }
}

/** Absolute paths of the outputs in and below a folder that its own lock tells of, where that can be read. */
async function outputsIn(folder: string): Promise<string[]> {
  try {
    const lock = parseRepoPath(LOCK_FILE);
    const text = readTextFile(join(folder, lock), maxReferenceBytes(lock));
    return text === undefined ? [] : (await readReference(text, lock)).map(({ path }) => join(folder, path));
  } catch (error) {
    if (error instanceof MlvError) return [];
    throw error;
  }
}

function refused(out: string, why: string, hint: string): MlvError {
  return new MlvError({
    code: 'target-refused',
    kind: 'refused',
    message: `nothing is written to ${out}: ${why}`,
    hint,
  });
}
