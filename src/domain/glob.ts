/**
 * Patterns as Git's wildmatch.c has them with WM_PATHNAME, in time that follows the length of pattern times that of path: only the last
 * `*` of a name, and the last `**` of a path, can have been wrong about how much it took, as all before it is as short as it can be.
 */

/** A path of names; `**` stands for any number of them. */
export type Glob = readonly (GlobName | '**')[];

interface GlobName {
  readonly parts: readonly Part[];
  /** The name, where there is no wildcard. */
  readonly literal: string | undefined;
  /** Characters that it takes at least. */
  readonly shortest: number;
}

/** The code of a character, or what stands for others. */
type Part = number | '*' | '?' | CharacterClass;
type Range = readonly [first: number, last: number];

interface CharacterClass {
  readonly isNegated: boolean;
  readonly ranges: readonly Range[];
}

const ANY_NAME: GlobName = { parts: ['*'], literal: undefined, shortest: 0 };

/** Matches paths given in ASCII's lower case where case is to be ignored. Undefined for what matches nothing. */
export function parseGlob(text: string, ignoreCase: boolean): Glob | undefined {
  const names: (GlobName | '**')[] = [];
  for (let at = 0; at <= text.length;) {
    const found = parseName(text, at, ignoreCase);
    if (found === undefined) return undefined;
    // Two of them take no more than one.
    if (found.name !== '**' || names.at(-1) !== '**') names.push(found.name);
    at = found.end + 1;
  }
  // At the end it stands for everything inside, and not for the folder itself.
  if (names.at(-1) === '**') names.push(ANY_NAME);
  return names;
}

/** Whether a path, given as its names, is matched from end to end. */
export function matchGlob(glob: Glob, names: readonly string[]): boolean {
  return matchWithStars(glob, names.length, '**', (part, at) => matchName(part as GlobName, names[at] ?? ''));
}

/** The text in which capital letters of ASCII are small. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function matchName({ parts, literal, shortest }: GlobName, name: string): boolean {
  if (literal !== undefined) return name === literal;
  if (name.length < shortest) return false;
  return matchWithStars(parts, name.length, '*', (part, at) => matchCharacter(part, name.charCodeAt(at)));
}

function matchCharacter(part: Part, code: number): boolean {
  if (part === '?') return true;
  if (typeof part !== 'object') return part === code;
  return part.ranges.some((range) => isIn(range, code)) !== part.isNegated;
}

/** Whether `length` things are matched by parts that take one each, and stars that take any number. */
function matchWithStars<P>(
  parts: readonly P[],
  length: number,
  star: P,
  matches: (part: P, at: number) => boolean,
): boolean {
  let part = 0;
  let at = 0;
  let retry: { readonly part: number; at: number } | undefined;
  while (at < length || part < parts.length) {
    const wanted = parts[part];
    if (wanted === star) {
      part += 1;
      retry = { part, at };
    } else if (at < length && wanted !== undefined && matches(wanted, at)) {
      part += 1;
      at += 1;
    } else {
      // The last star takes one more.
      if (retry === undefined || retry.at >= length) return false;
      retry.at += 1;
      ({ part, at } = retry);
    }
  }
  return true;
}

function parseName(
  text: string,
  start: number,
  ignoreCase: boolean,
): { readonly name: GlobName | '**'; readonly end: number } | undefined {
  const parts: Part[] = [];
  let end = start;
  for (; end < text.length && text[end] !== '/'; end++) {
    const character = text[end];
    if (character === '*') {
      if (parts.at(-1) !== '*') parts.push('*');
    } else if (character === '?') parts.push('?');
    else if (character === '[') {
      const found = parseClass(text, end + 1, ignoreCase);
      if (found === undefined) return undefined;
      parts.push(found.characters);
      end = found.end;
    } else {
      if (character === '\\') end += 1;
      if (end === text.length) return undefined;
      if (text[end] === '/') break;
      const code = text.charCodeAt(end);
      parts.push(ignoreCase && isIn(CAPITALS, code) ? code + CASE : code);
    }
  }
  if (/^\*\*+$/.test(text.slice(start, end))) return { name: '**', end };
  const codes = parts.filter((part) => typeof part === 'number');
  const literal = codes.length === parts.length ? codes.map((code) => String.fromCharCode(code)).join('') : undefined;
  return { name: { parts, literal, shortest: parts.filter((part) => part !== '*').length }, end };
}

/** Reads `[…]` from after its bracket. The first member may be a `]`; undefined where it has no end, or a kind that nobody knows. */
function parseClass(
  text: string,
  start: number,
  ignoreCase: boolean,
): { readonly characters: CharacterClass; readonly end: number } | undefined {
  const ranges: Range[] = [];
  const isNegated = text[start] === '!' || text[start] === '^';
  let at = isNegated ? start + 1 : start;
  /** What a range could begin with. */
  let before: number | undefined;
  do {
    if (text[at] === '-' && before !== undefined && at + 1 < text.length && text[at + 1] !== ']') {
      at += text[at + 1] === '\\' ? 2 : 1;
      if (at >= text.length) return undefined;
      ranges.push([before, text.charCodeAt(at)]);
      before = undefined;
    } else if (text[at] === '[' && text[at + 1] === ':') {
      const close = text.indexOf(']', at + 2);
      if (close < 0) return undefined;
      if (close > at + 2 && text[close - 1] === ':') {
        const known = KINDS.get(text.slice(at + 2, close - 1));
        if (known === undefined) return undefined;
        ranges.push(...known);
        before = undefined;
        at = close;
      } else {
        before = text.charCodeAt(at);
        ranges.push([before, before]);
      }
    } else {
      if (text[at] === '\\') at += 1;
      if (at >= text.length) return undefined;
      before = text.charCodeAt(at);
      ranges.push([before, before]);
    }
    at += 1;
    if (at >= text.length) return undefined;
  } while (text[at] !== ']');
  return { characters: { isNegated, ranges: ignoreCase ? [...ranges, ...ranges.map(smallLetters)] : ranges }, end: at };
}

/** The small letters of the capital ones in a range; where there are none, a range that holds nothing. */
function smallLetters([first, last]: Range): Range {
  return [Math.max(first, CAPITALS[0]) + CASE, Math.min(last, CAPITALS[1]) + CASE];
}

function isIn([first, last]: Range, code: number): boolean {
  return code >= first && code <= last;
}

/** From a capital letter to its small one. */
const CASE = 0x20;
const DIGITS: Range = [0x30, 0x39];
const CAPITALS: Range = [0x41, 0x5a];
const SMALL: Range = [0x61, 0x7a];

const KINDS: ReadonlyMap<string, readonly Range[]> = new Map([
  ['alnum', [DIGITS, CAPITALS, SMALL]],
  ['alpha', [CAPITALS, SMALL]],
  [
    'blank',
    [
      [0x20, 0x20],
      [0x09, 0x09],
    ],
  ],
  [
    'cntrl',
    [
      [0x00, 0x1f],
      [0x7f, 0x7f],
    ],
  ],
  ['digit', [DIGITS]],
  ['graph', [[0x21, 0x7e]]],
  ['lower', [SMALL]],
  ['print', [[0x20, 0x7e]]],
  [
    'punct',
    [
      [0x21, 0x2f],
      [0x3a, 0x40],
      [0x5b, 0x60],
      [0x7b, 0x7e],
    ],
  ],
  [
    'space',
    [
      [0x09, 0x0d],
      [0x20, 0x20],
    ],
  ],
  ['upper', [CAPITALS]],
  ['xdigit', [DIGITS, [0x41, 0x46], [0x61, 0x66]]],
]);
