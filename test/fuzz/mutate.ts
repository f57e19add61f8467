/** Inputs made of others: by chance, in the ways that have broken parsers before. */
import type { Random } from '../harness/random.ts';

/** What an input grows to now and then, so that time and memory that grow faster than the input show. */
const LONG_BYTES = 128 << 10;
/** What it grows to otherwise. */
const SHORT_BYTES = 16 << 10;
const LONG_ONE_IN = 150;

const NUMBERS = [
  '0',
  '1',
  '-1',
  '1e9',
  '007',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '999999999999999',
  '9'.repeat(30),
  '9'.repeat(400),
];
const INTEGERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
/** What file systems, Git, terminals and JavaScript take for something else. */
const WORDS = [
  '\0',
  '\n',
  '\r\n',
  ' ',
  '/',
  '\\',
  '..',
  '../',
  './',
  '.git',
  '.GIT',
  '.mlv',
  'git~1',
  'MLV~1',
  '.git ',
  '.git::$INDEX_ALLOCATION',
  'c:',
  '\u200c',
  '.g\u200cit',
  '\ufeff',
  '\ud7ff',
  'é',
  'e\u0301',
  '%2e',
  '%2F',
  '%00',
  '%0A',
  '%',
  '\u001b[31m',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'true',
  '[]',
  '{}',
];

/** A new input of `input`, parts of another, and the format's words. */
export function mutate(
  input: Buffer,
  { random, other, words }: { readonly random: Random; readonly other: Buffer; readonly words: readonly string[] },
): Buffer {
  let bytes = input;
  for (let steps = random.next(2) === 0 ? 1 : 1 + random.next(1 << random.next(4)); steps > 0; steps--)
    bytes = step(bytes, random, other, words);
  return random.next(LONG_ONE_IN) === 0
    ? inflate(bytes, random)
    : bytes.subarray(0, Math.max(SHORT_BYTES, input.length));
}

function step(bytes: Buffer, random: Random, other: Buffer, words: readonly string[]): Buffer {
  const at = random.next(bytes.length + 1);
  const length = random.next(Math.min(bytes.length - at, 1 << random.next(9)) + 1);
  const part = bytes.subarray(at, at + length);
  switch (random.next(13)) {
    case 0: // a bit
      return changed(bytes, at, (copy) => copy.writeUInt8((copy[at] ?? 0) ^ (1 << random.next(8)), at));
    case 1: // a byte
      return changed(bytes, at, (copy) => copy.writeUInt8(random.next(256), at));
    case 2: // an end
      return bytes.subarray(0, at);
    case 3: // without a part
      return spliced(bytes, at, length, Buffer.alloc(0));
    case 4: // a part twice, or more often
      return spliced(bytes, at, 0, repeated(part, 1 + random.next(1 << random.next(5))));
    case 5: // two parts swapped
      return swapped(bytes, random);
    case 6: // a part of another
    case 7: {
      const from = random.next(other.length + 1);
      return spliced(
        bytes,
        at,
        random.next(2) * length,
        other.subarray(from, from + random.next(1 << random.next(12))),
      );
    }
    case 8: // a binary number
    case 9:
      return withInteger(bytes, at, random);
    case 10: // a number in text
      return withNumber(bytes, random);
    case 11: // a word of the format, or of the file system
      return spliced(bytes, at, random.next(2) * Math.min(length, 8), Buffer.from(random.pick(WORDS)));
    default:
      return spliced(
        bytes,
        at,
        random.next(2) * Math.min(length, 8),
        Buffer.from(words.length === 0 ? random.pick(WORDS) : random.pick(words)),
      );
  }
}

/** A part so often that the input is long. */
function inflate(bytes: Buffer, random: Random): Buffer {
  const at = random.next(bytes.length + 1);
  const part = bytes.subarray(at, at + 1 + random.next(1 << random.next(8)));
  if (part.length === 0) return bytes;
  return spliced(bytes, at, 0, repeated(part, Math.floor(LONG_BYTES / part.length))).subarray(0, 2 * LONG_BYTES);
}

function changed(bytes: Buffer, at: number, change: (copy: Buffer) => void): Buffer {
  if (at >= bytes.length) return bytes;
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

function swapped(bytes: Buffer, random: Random): Buffer {
  const cuts = Array.from({ length: 4 }, () => random.next(bytes.length + 1)).sort((a, b) => a - b);
  const [a = 0, b = 0, c = 0, d = 0] = cuts;
  return Buffer.concat([
    bytes.subarray(0, a),
    bytes.subarray(c, d),
    bytes.subarray(b, c),
    bytes.subarray(a, b),
    bytes.subarray(d),
  ]);
}

function withInteger(bytes: Buffer, at: number, random: Random): Buffer {
  const size = random.pick([1, 2, 4, 6]);
  if (at + size > bytes.length) return bytes;
  const value = random.pick(INTEGERS) % 2 ** (8 * size);
  return changed(bytes, at, (copy) =>
    random.next(3) === 0 ? copy.writeUIntBE(value, at, size) : copy.writeUIntLE(value, at, size),
  );
}

function withNumber(bytes: Buffer, random: Random): Buffer {
  const found = [...bytes.toString('latin1').matchAll(/\d+/g)];
  if (found.length === 0) return bytes;
  const { index, 0: digits } = random.pick(found);
  const near = String(Number(digits.slice(0, 15)) + random.next(3) - 1);
  return spliced(bytes, index, digits.length, Buffer.from(random.next(3) === 0 ? near : random.pick(NUMBERS)));
}

function repeated(part: Buffer, times: number): Buffer {
  return Buffer.alloc(Math.min(part.length * times, LONG_BYTES), part.length === 0 ? 0 : part);
}

function spliced(bytes: Buffer, at: number, length: number, middle: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(at + length)]);
}
