import { isDeepStrictEqual } from 'node:util';
import { MlvError } from '../../src/domain/errors.ts';

/** A parser, and what has to hold of whatever it is given. */
export interface Target {
  readonly name: string;
  /** What it accepts, or nearly; all inputs are made of these. */
  readonly seeds: readonly (string | Buffer)[];
  /** Words of the format. */
  readonly words?: readonly string[];
  /** Parses. May throw `MlvError`; anything else that is thrown is a finding, and so is what `check` does not find true. */
  readonly run: (input: Buffer) => unknown;
}

/** Where targets take their seeds from, and may write. */
export interface Surroundings {
  /** A frozen sample of `fixtures/formats/`. */
  readonly fixture: (name: string) => Buffer;
  /** A folder for files under test. */
  readonly scratch: string;
}

/** Throws unless it holds. What it says is what tells one finding from another: no part of the input in it. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`does not hold: ${what}`);
}

/** Throws unless both are the same, through and through. */
export function checkSame(a: unknown, b: unknown, what: string): void {
  check(isDeepStrictEqual(a, b), what);
}

/** What a function returns, or the code of its refusal. */
export function outcome<T>(run: () => T): { readonly value?: T; readonly refused?: string } {
  try {
    return { value: run() };
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return { refused: error.code };
  }
}

/** What must not fail any more once something was accepted: its refusal is a finding. */
export function accepted<T>(what: string, run: () => T): T {
  const { value, refused } = outcome(run);
  check(refused === undefined, `${what} takes what was accepted before (${refused})`);
  return value as T;
}

/** As Git has them in utf8.c, not as the code under test does. */
const INVISIBLE = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;
const RESERVED = new Set(['.git', '.mlv', 'git~1', 'mlv~1']);

/** Throws for a path that leads out of its folder, or into one of Git's or mlv's, on any file system. */
export function checkSafePath(path: string): void {
  check(!/[\0\\]/.test(path), 'no NUL, no backslash in a path');
  for (const segment of path.split('/')) {
    check(segment !== '' && segment !== '.' && segment !== '..', 'a path of names alone');
    check(!/^[a-z]:/i.test(segment), 'no drive in a path');
    const seen = segment
      .replace(INVISIBLE, '')
      .toLowerCase()
      .replace(/:.*$/s, '')
      .replace(/(?<![. ])[. ]+$/, '');
    check(!RESERVED.has(seen), 'no name that could be taken for .git or .mlv');
  }
}
