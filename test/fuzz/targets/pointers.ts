import type { Digest } from '../../../src/domain/digest.ts';
import { formatPointer, parsePlainPointer } from '../../../src/domain/pointer.ts';
import { parsePointer, updatePointer } from '../../../src/domain/pointer-document.ts';
import type { Surroundings, Target } from '../target.ts';
import { accepted, check, checkSame } from '../target.ts';

const PATH = 'data.mlv';
const OTHER = 'ab'.repeat(32) as Digest;

export function pointerTargets({ fixture }: Surroundings): Target[] {
  return [
    {
      name: 'pointer',
      seeds: [
        fixture('pointer-file.mlv'),
        fixture('pointer-dir.mlv'),
        `# mine\r\nversion: 1\r\ntype: file\r\nhash: b3:${OTHER}\r\nsize: 0x10\r\nunknown: [a, {b: c}]\r\n`,
        `{version: 1, type: dir, hash: "b3:${OTHER}", size: 1_000, files: 2, meta: {a: &x 1, b: *x}}`,
        `---\nversion: 1\ntype: file\nhash: b3:${OTHER}\nsize: 1e3\ndesc: |\n  two\n  lines\nlabels:\n- a # b\n...\n`,
      ],
      words: [
        'version: 1\n',
        'type: dir\n',
        'type: file\n',
        'size: ',
        'files: ',
        'exec: true\n',
        'remote: ',
        'source: ',
        'desc: ',
        'labels: ',
        'meta:\n ',
        'hash: b3:',
        ...YAML_WORDS,
      ],
      run: runPointer,
    },
  ];
}

/** Of YAML itself. */
export const YAML_WORDS: readonly string[] = [
  ': ',
  '- ',
  '\n  ',
  '? ',
  '&a ',
  '*a',
  '!!str ',
  '!!binary ',
  '!!timestamp ',
  '!<x> ',
  '<<: ',
  '|\n ',
  '>-\n ',
  '"\\x41"',
  "'",
  '#',
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '{',
  '}',
  '[',
  ']',
  ',',
  '~',
  '.inf',
  '.nan',
  '0o7',
  '\t',
  '<<<<<<< ',
];

function runPointer(input: Buffer): void {
  const text = input.toString('utf8');
  const plain = parsePlainPointer(text);
  if (plain !== undefined) check(formatPointer(plain) === text, 'a plain pointer is written as it was read');
  const pointer = parsePointer(text, PATH);
  if (plain !== undefined) checkSame(plain, pointer, 'both parsers read a plain pointer alike');
  const { meta: _, source: __, ...own } = pointer;
  checkSame(
    accepted('the parser', () => parsePointer(formatPointer(own), PATH)),
    own,
    'what is written is read as it was',
  );
  check(updatePointer(text, {}, PATH) === text, 'no change changes nothing');
  const changes = { hash: OTHER, size: 12, desc: 'Other words', remote: undefined };
  const changed = accepted('the parser', () => parsePointer(updatePointer(text, changes, PATH), PATH));
  const { remote: ___, ...rest } = pointer;
  checkSame(changed, { ...rest, hash: OTHER, size: 12, desc: 'Other words' }, 'a change changes what it names alone');
}
