import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeLocks } from '../../src/domain/lock-merge.ts';

type Stages = Readonly<Record<string, number>>;

const block = (name: string, value: number): string => `  ${name}:\n    cmd: run ${value} # ${name}\n    outs: [x]\n`;

function lock(stages: Stages, rest = ''): string {
  const names = Object.keys(stages).sort();
  const lines = names.map((name) => block(name, stages[name] ?? 0)).join('');
  return `# made by mlv\nversion: 1\n${lines === '' ? 'stages: {}\n' : `stages:\n${lines}`}${rest}`;
}

function merge(base: Stages | undefined, ours: Stages, theirs: Stages) {
  return mergeLocks({ base: base && lock(base), ours: lock(ours), theirs: lock(theirs) }, 'mlv.lock');
}

describe('lock files', () => {
  const stages = fc.dictionary(fc.constantFrom('a', 'b', 'clean', 'train'), fc.nat(2));

  test('are merged stage by stage', () => {
    fc.assert(
      fc.property(fc.option(stages, { nil: undefined }), stages, stages, (base, ours, theirs) => {
        const expected: Record<string, number> = {};
        const dropped: string[] = [];
        for (const name of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
          const [before, here, there] = [base?.[name], ours[name], theirs[name]];
          const isConflict = here !== there && here !== before && there !== before;
          const value = here === before ? there : here;
          if (isConflict) dropped.push(name);
          else if (value !== undefined) expected[name] = value;
        }
        // Without an ancestor there is nothing that `# made by mlv` could have been before.
        const merged = merge(base, ours, theirs);
        expect({ ...merged, dropped: [...merged.dropped].sort() }).toEqual({
          text: lock(expected),
          dropped: dropped.sort(),
        });
      }),
    );
  });

  test('keep the text of what nobody changed', () => {
    const text = (train: string, end = ''): string =>
      `version: 1\nstages:\n  # first\n  b:   {cmd:  "x"}\n\n  # second\n  train:\n    cmd: ${train}\n# the end${end}`;
    const merged = mergeLocks({ base: text('1'), ours: text('1'), theirs: text('2') }, 'mlv.lock');
    expect(merged).toEqual({ text: `${text('2')}\n`, dropped: [] });
    const windows = (value: number): string => lock({ a: value, b: 1 }).replaceAll('\n', '\r\n');
    expect(mergeLocks({ base: windows(1), ours: windows(1), theirs: windows(2) }, 'mlv.lock').text).toBe(windows(2));
  });

  test('merge what stands beside the stages as one', () => {
    const text = (rest: string): string => lock({ a: 1 }, rest);
    const texts = { base: text('x: 1\n'), ours: text('x: 1\n'), theirs: text('x: 2\n') };
    expect(mergeLocks(texts, 'mlv.lock').text).toBe(text('x: 2\n'));
    expect(() => mergeLocks({ ...texts, ours: text('x: 3\n') }, 'mlv.lock')).toThrow(
      expect.objectContaining({ code: 'lock-unmergeable' }),
    );
  });

  test('give nothing that could not be read', () => {
    // A key without a name after the stages is no trouble behind a block, and cannot follow `stages: {}`.
    const texts = { base: 'version: 1\nstages:', ours: 'version: 1\nstages:\n  a:\n:', theirs: 'stages:\n  a: 1' };
    expect(() => mergeLocks(texts, 'mlv.lock')).toThrow(expect.objectContaining({ code: 'lock-unmergeable' }));
  });

  test.each([
    ['stages: [1]\n', 'lock-invalid'],
    ['stages: {a: {cmd: 1}}\n', 'lock-invalid'],
    ['{stages: {}}\n', 'lock-invalid'],
    ['version: 1\n', 'lock-invalid'],
    ['', 'lock-invalid'],
    ['stages:\n<<<<<<< ours\n', 'lock-conflict'],
    ['version: 1\nstages:\n    a:\n      cmd: 1\n', 'lock-unmergeable'],
  ])('what cannot be merged: %j', (theirs, code) => {
    expect(() => mergeLocks({ base: undefined, ours: lock({ a: 1 }), theirs }, 'mlv.lock')).toThrow(
      expect.objectContaining({ code }),
    );
  });
});
