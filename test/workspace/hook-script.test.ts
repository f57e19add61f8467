import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockOptions } from '../../src/workspace/hook-script.ts';
import {
  blockText,
  findBlock,
  HOOKS,
  isSameBlock,
  isShellScript,
  withBlock,
  withoutBlock,
} from '../../src/workspace/hook-script.ts';

const options: fc.Arbitrary<BlockOptions> = fc.record({
  autoPush: fc.boolean(),
  fallback: fc.option(fc.tuple(fc.constant('/opt/näme/node'), fc.constant("/it's/mlv.js")), { nil: undefined }),
  aside: fc.option(fc.constant('pre-push.before-mlv'), { nil: undefined }),
  ownsFile: fc.boolean(),
});
const hook = fc.constantFrom(...HOOKS);
const line = fc.constantFrom('#!/bin/sh', 'echo x', '', 'exec "$@"', '# a comment', '\xff\xfe', 'set -eu\r');
const script = fc
  .tuple(fc.array(line, { maxLength: 6 }), fc.boolean())
  .map(([lines, isEnded]) => lines.join('\n') + (isEnded && lines.length > 0 ? '\n' : ''));

test('a block goes in and out without a trace, and tells what it was made with', () => {
  fc.assert(
    fc.property(script, hook, options, (text, name, given) => {
      const changed = withBlock(text, blockText(name, given));
      const found = findBlock(changed);
      expect(found).toMatchObject({
        isIntact: true,
        autoPush: given.autoPush && name === 'pre-push',
        aside: given.aside,
        ownsFile: given.ownsFile,
      });
      if (found !== undefined) expect(withoutBlock(changed, found)).toBe(text);
    }),
  );
});

test('a newer block takes the place of an older one', () => {
  fc.assert(
    fc.property(script, hook, options, options, (text, name, before, after) => {
      const block = blockText(name, after);
      const changed = withBlock(withBlock(text, blockText(name, before)), block);
      expect(changed).toBe(withBlock(text, block));
    }),
  );
});

test('what somebody writes around a block stays when it goes', () => {
  const installed = withBlock(
    '#!/bin/sh\necho a\n',
    blockText('pre-push', { autoPush: false, fallback: undefined, aside: undefined, ownsFile: false }),
  );
  const edited = `${installed.replace('#!/bin/sh\n', '#!/bin/sh\necho before\n')}echo after`;
  const found = findBlock(edited);
  expect(found && withoutBlock(edited, found)).toBe('#!/bin/sh\necho before\necho a\necho after');
});

describe('a block that is not as it was written', () => {
  const plain = { autoPush: false, fallback: undefined, aside: undefined, ownsFile: true } as const;
  const block = blockText('post-merge', plain);

  test('is told from one of another mlv, and from one that looks elsewhere for mlv', () => {
    expect(findBlock(block.replace('hooks run', 'hooks  run'))?.isIntact).toBe(false);
    const found = findBlock(blockText('post-merge', { ...plain, fallback: ['/a/node', '/a/mlv.js'] }));
    expect(found !== undefined && isSameBlock(found, block)).toBe(true);
    const other = findBlock(blockText('post-checkout', plain));
    expect(other !== undefined && isSameBlock(other, block)).toBe(false);
  });

  test('is none without its last line', () => {
    expect(findBlock(block.replace('# <<< mlv <<<', ''))).toBeUndefined();
  });
});

test.each([
  ['#!/bin/sh\n', true],
  ['#! /usr/bin/env bash\n', true],
  ['#!/usr/bin/env -S FOO=1 zsh -e\n', true],
  ['#!/bin/dash', true],
  ['npm test\n', true],
  ['', true],
  ['#!/usr/bin/env python3\n', false],
  ['#!/usr/bin/fish\n', false],
  ['#!/bin/csh\n', false],
  ['\x7fELF\x02\x01\x01\0\0', false],
])('whether %j is a script for a POSIX shell: %s', (text, is) => {
  expect(isShellScript(text)).toBe(is);
});
