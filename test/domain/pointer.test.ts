import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/digest.ts';
import { parsePointer, updatePointer } from '../../src/domain/pointer-document.ts';
import type { Pointer } from '../../src/domain/pointer.ts';
import { formatPointer, parsePlainPointer, POINTER_VERSION } from '../../src/domain/pointer.ts';

const HASH = '6f0c'.repeat(16) as Digest;
const OTHER = '0123'.repeat(16) as Digest;
const FILE: Pointer = { version: 1, type: 'file', hash: HASH, size: 12 };
const DIR: Pointer = { version: 1, type: 'dir', hash: HASH, size: 1474560, files: 1000 };
const BY_HAND = `# Photographs, see README
version: 1
type: dir # as added in May
hash: b3:${HASH}
size: 1474560

# how many
files: 1000
owner: someone   # unknown to mlv
meta: {licence: CC-BY-4.0, years: [2019, 2020]}
desc: "yes"
labels:
  - a
  - b
`;

const size = fc.oneof(fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const text = fc.oneof(
  fc.constantFrom(
    'yes',
    'null',
    'True',
    'n',
    'a - b',
    'x #y',
    'a: b',
    '- a',
    '1',
    '0x1f',
    '',
    ' a',
    'a ',
    'a  b',
    'ü',
    '...',
    'b\n',
    '\u2028',
    '"',
    "it's",
  ),
  fc.string(),
  fc.string({ unit: 'grapheme' }),
);
const common = {
  version: fc.constant(POINTER_VERSION),
  hash: fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => hex as Digest),
  size,
};
const optional = {
  remote: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,5}$/),
  desc: text,
  labels: fc.array(text, { maxLength: 3 }),
  meta: fc.jsonValue().map(withoutNegativeZero),
  source: fc.dictionary(fc.constantFrom('url', 'rev', 'null', '1'), text),
};
const pointer: fc.Arbitrary<Pointer> = fc.oneof(
  fc.record(
    { ...common, type: fc.constant('file' as const), exec: fc.constant(true as const), ...optional },
    { requiredKeys: ['version', 'type', 'hash', 'size'] },
  ),
  fc.record(
    { ...common, type: fc.constant('dir' as const), files: size, ...optional },
    { requiredKeys: ['version', 'type', 'hash', 'size', 'files'] },
  ),
);

/** JSON has no -0. */
function withoutNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

describe('formatPointer', () => {
  test('writes a file', () => {
    expect(formatPointer({ ...FILE, exec: true, remote: 'archive', desc: 'yes' })).toBe(
      `version: 1\ntype: file\nhash: b3:${HASH}\nsize: 12\nexec: true\nremote: archive\ndesc: "yes"\n`,
    );
  });

  test('writes a directory', () => {
    expect(formatPointer(DIR)).toBe(`version: 1\ntype: dir\nhash: b3:${HASH}\nsize: 1474560\nfiles: 1000\n`);
  });

  test('writes what parsePointer reads', () => {
    fc.assert(
      fc.property(pointer, (written) => {
        expect(parsePointer(formatPointer(written), 'x.mlv')).toEqual(written);
      }),
      { numRuns: 500 },
    );
  });
});

describe('parsePlainPointer', () => {
  test.each([
    FILE,
    DIR,
    { ...FILE, size: 0, exec: true, remote: 'archive', desc: 'Photographs of 2019 - second_half.v2' } as const,
  ])('reads %j as it was written', (written) => {
    expect(parsePlainPointer(formatPointer(written))).toEqual(written);
  });

  test.each([
    ['a comment', `${formatPointer(DIR)}# x\n`],
    ['another order', formatPointer(DIR).replace(/(size: .*\n)(files: .*\n)/, '$2$1')],
    ['CRLF', formatPointer(DIR).replaceAll('\n', '\r\n')],
    ['no newline at the end', formatPointer(DIR).trimEnd()],
    ['quotes', formatPointer({ ...DIR, desc: 'a: b' })],
    ['a word of YAML', formatPointer(DIR) + 'desc: no\n'],
    ['a later version', formatPointer(DIR).replace('version: 1', 'version: 2')],
    ['a directory without files', formatPointer(FILE).replace('type: file', 'type: dir')],
    ['a number beyond the safe integers', formatPointer(DIR).replace('1474560', '9007199254740992')],
    ['a leading zero', formatPointer(DIR).replace('1474560', '01474560')],
    ['', ''],
  ])('leaves %s to the full parser', (_, given) => {
    expect(parsePlainPointer(given)).toBeUndefined();
  });

  test('agrees with the full parser on all that it accepts', () => {
    const word = fc.stringMatching(/^[\w .-]{1,8}$/);
    const number = fc.oneof(fc.stringMatching(/^[0-9]{1,17}$/), size.map(String));
    const maybe = (line: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.option(line, { nil: '' });
    const almost = fc
      .tuple(
        fc.constantFrom('version: 1\n', 'version: 1\n', 'version: 1 \n'),
        fc.constantFrom(
          'type: file\n',
          'type: file\nexec: true\n',
          'type: dir\nfiles: 1\n',
          'type: file\nfiles: 1\n',
          'type: dir\nfiles: 1\nexec: true\n',
        ),
        number.map((n) => `size: ${n}\n`),
        maybe(fc.oneof(word, text).map((w) => `remote: ${w}\n`)),
        maybe(fc.oneof(word, text).map((w) => `desc: ${w}\n`)),
      )
      .map(([version, type, bytes, ...rest]) => {
        const [first, ...others] = type.split(/(?<=\n)/);
        return [version, first, `hash: b3:${HASH}\n`, bytes, ...others, ...rest].join('');
      });
    let accepted = 0;
    fc.assert(
      fc.property(almost, (given) => {
        const plain = parsePlainPointer(given);
        if (plain === undefined) return;
        accepted++;
        expect(plain).toEqual(parsePointer(given, 'x.mlv'));
      }),
      { numRuns: 8000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });
});

describe('parsePointer', () => {
  test('reads what people write', () => {
    expect(parsePointer(BY_HAND, 'data.mlv')).toEqual({
      ...DIR,
      desc: 'yes',
      labels: ['a', 'b'],
      meta: { licence: 'CC-BY-4.0', years: [2019, 2020] },
    });
    expect(parsePointer(BY_HAND.replaceAll('\n', '\r\n'), 'data.mlv')).toEqual(parsePointer(BY_HAND, 'data.mlv'));
    expect(
      parsePointer(`{"version": 1, "type": "file", "hash": "b3:${HASH}", "size": 12, "exec": false}`, 'x.mlv'),
    ).toEqual(FILE);
  });

  const plain = formatPointer(DIR);
  test.each([
    ['an empty file', '', 'd/x.mlv:1:1: not a YAML map'],
    ['a list', '- a\n', 'd/x.mlv:1:1: not a YAML map'],
    ['no version', plain.replace('version: 1\n', ''), 'd/x.mlv:1:1: "version" is missing'],
    ['no hash', plain.replace(/hash: .*\n/, ''), 'd/x.mlv:1:1: "hash" is missing'],
    ['no files', plain.replace(/files: .*\n/, ''), 'd/x.mlv:1:1: "files" is missing'],
    ['another type', plain.replace('dir', 'link'), 'd/x.mlv:2:7: "type" must be "file" or "dir"'],
    ['a version in quotes', plain.replace(': 1', ': "1"'), 'd/x.mlv:1:10: "version" must be a number'],
    ['a bare hash', plain.replace('b3:', ''), 'd/x.mlv:3:7: "hash" must be "b3:" and 64 digits 0-9a-f'],
    ['upper-case digits', plain.replace('6f0c', '6F0C'), 'd/x.mlv:3:7: "hash" must be "b3:" and 64 digits 0-9a-f'],
    ['a negative size', plain.replace('1474560', '-1'), 'd/x.mlv:4:7: "size" must be a number of bytes'],
    ['a broken size', plain.replace('1474560', '1.5'), 'd/x.mlv:4:7: "size" must be a number of bytes'],
    ['a hexadecimal size', plain.replace('1474560', '0x10'), 'd/x.mlv:4:7: "size" must be a number of bytes'],
    ['a size in words', plain.replace('1474560', '1MB'), 'd/x.mlv:4:7: "size" must be a number of bytes'],
    [
      'a size past the safe integers',
      plain.replace('1474560', '9007199254740992'),
      'd/x.mlv:4:7: "size" must be a number of bytes',
    ],
    ['a list as size', plain.replace('1474560', '[1]'), 'd/x.mlv:4:7: "size" must be a number of bytes'],
    ['files of a file', plain.replace('dir', 'file'), 'd/x.mlv:5:1: "files" belongs to a directory'],
    ['an executable directory', `${plain}exec: true\n`, 'd/x.mlv:6:1: "exec" belongs to a file'],
    ['a remote that is none', `${plain}remote: s3://b\n`, 'd/x.mlv:6:9: "remote" must be a remote\'s name'],
    ['an empty description', `${plain}desc:\n`, 'd/x.mlv:6:6: "desc" must be text'],
    ['labels that are no list', `${plain}labels: a\n`, 'd/x.mlv:6:9: "labels" must be a list of words'],
    ['a key twice', `${plain}size: 1\n`, 'd/x.mlv:6:1: "size" is there twice'],
    ['a key twice, below', `${plain}meta: {a: 1, a: 2}\n`, 'd/x.mlv:6:14: "a" is there twice'],
    ['an alias', `${plain}meta: [&a 1, *a]\n`, 'd/x.mlv:6:14: YAML aliases are not supported'],
    ['a tab', `${plain}meta:\n\ta: 1\n`, 'd/x.mlv:7:1: tabs are not allowed as indentation'],
  ])('refuses %s', (_, given, message) => {
    expect(() => parsePointer(given, 'd/x.mlv')).toThrow(
      expect.objectContaining({ code: 'pointer-invalid', kind: 'corrupt', message }),
    );
  });

  test('says which mlv reads which version', () => {
    expect(() => parsePointer('version: 3\nnew: thing\n', 'x.mlv')).toThrow(
      expect.objectContaining({
        code: 'pointer-version',
        kind: 'unsupported',
        message: expect.stringMatching(
          /^x\.mlv:1:10: its format is version 3, and mlv \d+\.\d+\.\d+\S* reads version 1$/,
        ) as string,
      }),
    );
  });

  test('tells conflict markers from other errors', () => {
    const conflict = `version: 1\ntype: dir\n<<<<<<< HEAD\nhash: b3:${HASH}\n=======\nhash: b3:${OTHER}\n>>>>>>> theirs\nsize: 1\nfiles: 1\n`;
    for (const given of [conflict, conflict.replaceAll('\n', '\r\n')]) {
      expect(() => parsePointer(given, 'x.mlv')).toThrow(
        expect.objectContaining({
          code: 'pointer-conflict',
          kind: 'conflict',
          message: 'x.mlv: holds conflict markers of a merge',
        }),
      );
    }
  });

  test('refuses hostile YAML quickly', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from('bcdefghi')
      .map((name, i) => `${name}: &${name} [${`*${'abcdefgh'[i]},`.repeat(9)}]`)
      .join('\n')}\n`;
    const started = performance.now();
    for (const given of [
      bomb + plain,
      `${plain}meta: ${'['.repeat(100_000)}`,
      `${plain}meta: ${'a: '.repeat(100_000)}`,
      `${plain}meta: ${'{a: '.repeat(150)}1${'}'.repeat(150)}\n`,
      `${plain}meta:\n  ${'- '.repeat(3000)}x\n`,
      '"'.repeat(1024 * 1024),
      `${plain}meta: ${'['.repeat(300)}${']'.repeat(300)}\nmeta: 1\n`,
      `${plain}${Array.from({ length: 20_000 }, (_, i) => `k${i}: 1\n`).join('')}k0: 1\n`,
      `${plain}desc: ${'x'.repeat(1024 * 1024)}\n`,
    ]) {
      expect(() => parsePointer(given, 'x.mlv')).toThrow(expect.objectContaining({ code: 'pointer-invalid' }));
    }
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test('throws nothing but its own errors', () => {
    const edits = fc.array(
      fc.record({
        start: fc.nat(300),
        length: fc.nat(20),
        with: fc.oneof(
          fc.constantFrom('\n', ': ', '- ', '{', '[', '"', '&a', '*a', '!!set', '---\n', '? ', '\t', '|\n'),
          text,
        ),
      }),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(edits, (list) => {
        const given = list.reduce(
          (out, edit) => out.slice(0, edit.start) + edit.with + out.slice(edit.start + edit.length),
          BY_HAND,
        );
        try {
          parsePointer(given, 'x.mlv');
        } catch (error) {
          expect(error).toMatchObject({ name: 'MlvError' });
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('updatePointer', () => {
  test('keeps comments, order and unknown keys', () => {
    expect(updatePointer(BY_HAND, { hash: OTHER, size: 3, files: 2, remote: 'archive' }, 'x.mlv')).toBe(
      BY_HAND.replace(HASH, OTHER)
        .replace('size: 1474560', 'size: 3')
        .replace('files: 1000', 'files: 2\nremote: archive')
        .replace('someone   #', 'someone #'),
    );
  });

  test('keeps CRLF', () => {
    const given = BY_HAND.replaceAll('\n', '\r\n').replace('someone   #', 'someone #');
    expect(updatePointer(given, { size: 3 }, 'x.mlv')).toBe(given.replace('size: 1474560', 'size: 3'));
  });

  test('returns the same text when nothing changes', () => {
    const given = BY_HAND.replace('size: 1474560', 'size:   1474560');
    expect(
      updatePointer(given, { hash: HASH, size: 1474560, type: 'dir', remote: undefined, labels: ['a', 'b'] }, 'x.mlv'),
    ).toBe(given);
  });

  test('turns a directory into a file', () => {
    expect(
      updatePointer(
        formatPointer({ ...DIR, desc: 'x' }),
        { type: 'file', hash: OTHER, size: 1, files: undefined, exec: true },
        'x.mlv',
      ),
    ).toBe(formatPointer({ version: 1, type: 'file', hash: OTHER, size: 1, exec: true, desc: 'x' }));
  });

  test('reads back as the old pointer with the changes', () => {
    fc.assert(
      fc.property(pointer, size, fc.option(text, { nil: undefined }), (before, newSize, desc) => {
        const { desc: _, ...rest } = before;
        const updated = updatePointer(formatPointer(before), { size: newSize, desc }, 'x.mlv');
        expect(parsePointer(updated, 'x.mlv')).toEqual({ ...rest, size: newSize, ...(desc !== undefined && { desc }) });
      }),
      { numRuns: 300 },
    );
  });

  test('refuses what parsePointer refuses', () => {
    expect(() => updatePointer('version: 1\n', { size: 1 }, 'x.mlv')).toThrow(
      expect.objectContaining({ code: 'pointer-invalid' }),
    );
  });
});
