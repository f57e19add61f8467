import { createCsvReader } from '../../../src/domain/csv-reader.ts';
import { createJsonLinesReader } from '../../../src/domain/json-lines-reader.ts';
import { mergeLocks } from '../../../src/domain/lock-merge.ts';
import { markedBlock, withMarkedBlock, withoutMarkedBlock } from '../../../src/domain/marked-block.ts';
import { mergePointerTexts } from '../../../src/domain/pointer-merge.ts';
import { GIT_PROTOCOLS, parseRepository } from '../../../src/domain/repository-url.ts';
import type { HashedRow } from '../../../src/domain/row-hash.ts';
import { parsePushedRefs } from '../../../src/workspace/check-push.ts';
import { blockText, findBlock, HOOKS, withBlock, withoutBlock } from '../../../src/workspace/hook-script.ts';
import type { Surroundings, Target } from '../target.ts';
import { accepted, check } from '../target.ts';

const HASH = 'ab'.repeat(32);
const LOCK = `version: 1\nstages:\n  train:\n    cmd: run\n    deps:\n      data: b3:${HASH}\n  test:\n    cmd: try # it\n`;
const ID = '12'.repeat(20);

/** Three versions of a text, divided by a line that no version has. */
function versionsIn(input: Buffer): { base: string | undefined; ours: string; theirs: string } {
  const [ours = '', theirs = '', base] = input.toString('utf8').split('\n~\n');
  return { base, ours, theirs };
}

export function historyTargets({ fixture }: Surroundings): Target[] {
  const pointer = fixture('pointer-dir.mlv').toString('utf8');
  return [
    {
      name: 'repository',
      seeds: [
        'https://example.org/a.git',
        'git@host:path',
        'ssh://git@host/x',
        'ext::sh -c x',
        '../folder',
        '-oX',
        'file:///a',
      ],
      words: ['ext::', '://', 'file:', 'https', '@', '--', '\n', 'user:word@'],
      run(input) {
        const place = parseRepository(input.toString('utf8'));
        if (place.kind === 'folder') return place;
        const { url } = place;
        check(!url.startsWith('-') && !/[\0-\x1f]/.test(url), 'no option, no control characters');
        check(!/^[^/]*::/.test(url), 'no helper program');
        const scheme = /^([A-Za-z0-9][A-Za-z0-9+.-]*):\/\//.exec(url)?.[1]?.toLowerCase();
        check(
          scheme === undefined || GIT_PROTOCOLS.some((known) => known === scheme),
          'a protocol that is let through',
        );
        return place;
      },
    },
    {
      name: 'lines of a push',
      seeds: [`refs/heads/main ${ID} refs/heads/main ${ID}\n`, `(delete) ${'0'.repeat(40)} refs/heads/x ${ID}\n`],
      words: ['refs/heads/', ID, '0'.repeat(40), ' ', '\n'],
      run(input) {
        const refs = parsePushedRefs(input.toString('utf8'));
        for (const { id, before } of refs)
          check(
            [id, before ?? id].every((each) => /^[0-9a-f]{40,64}$/.test(each)),
            'ids',
          );
        return refs;
      },
    },
    {
      name: 'hook',
      seeds: HOOKS.map((hook) =>
        withBlock(
          '#!/bin/sh\necho\n',
          blockText(hook, { autoPush: true, fallback: ['/n', '/m'], aside: `${hook}.before-mlv`, ownsFile: false }),
        ),
      ),
      words: ['#!/bin/sh\n', '# >>> mlv ', '# <<< mlv <<<', ' >>>\n', '\r\n', '.before-mlv', '../'],
      run(input) {
        const script = input.toString('latin1');
        const found = findBlock(script);
        check(found?.aside === undefined || !found.aside.includes('/'), 'what is put aside is beside');
        const block = blockText('pre-push', {
          autoPush: false,
          fallback: undefined,
          aside: undefined,
          ownsFile: false,
        });
        const installed = withBlock(script, block);
        const again = findBlock(installed);
        check(again !== undefined, 'what was put in is found');
        check(found !== undefined || withoutBlock(installed, again) === script, 'what was put in is taken out');
        return found;
      },
    },
    {
      name: '.gitattributes',
      seeds: ['*.png binary\n', withMarkedBlock('*.png binary', '*.mlv merge=mlv\n'), withMarkedBlock('', 'x\n')],
      words: ['# mlv: begin', '# mlv: end', '\n', '\r\n', ' (the line above had no end)'],
      run(input) {
        const text = input.toString('latin1');
        const before = markedBlock(text);
        const marked = withMarkedBlock(text, 'line\n');
        check(markedBlock(marked) === 'line\n', 'what was put in is found');
        if (before === undefined) check(withoutMarkedBlock(marked) === text, 'what was put in is taken out');
        return before;
      },
    },
    {
      name: 'merge of mlv.lock',
      seeds: [LOCK, `${LOCK}\n~\n${LOCK.replace('run', 'ran')}\n~\n${LOCK}`, `${LOCK}\n~\nversion: 1\nstages: {}\n`],
      words: [
        '\n~\n',
        'stages:\n',
        'version: 1\n',
        '  train:\n',
        '    cmd: x\n',
        '{',
        '[',
        '&a',
        '*a',
        '#',
        '<<<<<<< ours\n',
      ],
      run(input) {
        const merge = mergeLocks(versionsIn(input), 'mlv.lock');
        const same = { base: merge.text, ours: merge.text, theirs: merge.text };
        check(
          accepted('the merge', () => mergeLocks(same, 'mlv.lock')).dropped.length === 0,
          'what was merged is whole',
        );
        return merge;
      },
    },
    {
      name: 'merge of pointers',
      seeds: [
        pointer,
        `${pointer}\n~\n${pointer}desc: x # y\n\n~\n${pointer}`,
        `${pointer}meta: {a: 1}\n\n~\n${pointer}labels: [a]\n`,
      ],
      words: ['\n~\n', 'desc: ', 'meta:\n', 'labels: [a]\n', 'remote: r\n', '#', '<<<<<<< ours\n', HASH],
      run: (input) => mergePointerTexts(versionsIn(input), { path: 'x.mlv', choose: () => 'theirs' }),
    },
    ...tableTargets(),
  ];
}

/** Rows are the same, wherever the pieces of a file end. */
function tableTargets(): Target[] {
  const csv = (input: Buffer, pieces: number): unknown => {
    const rows: string[] = [];
    const onRow = (row: HashedRow): void => void rows.push(hashesOf(row));
    const reader = createCsvReader({
      delimiter: undefined,
      onHeader: (cells) => rows.push(JSON.stringify(cells)),
      onRow,
    });
    return read(reader, input, pieces) ?? rows;
  };
  const jsonLines = (input: Buffer, pieces: number): unknown => {
    const rows: string[] = [];
    const reader = createJsonLinesReader({ columns: new Map(), onRow: (row) => void rows.push(hashesOf(row)) });
    return read(reader, input, pieces) ?? rows;
  };
  const target = (name: string, seeds: readonly string[], words: readonly string[], parse: typeof csv): Target => ({
    name,
    seeds,
    words,
    run(input) {
      const whole = JSON.stringify(parse(input, 1));
      check(JSON.stringify(parse(input, 7)) === whole, 'the same in pieces');
      return whole;
    },
  });
  return [
    target(
      'CSV',
      ['a,b\n1,"x ""y""\n"\r\n3,4', '\ufeffid;name\n1;ü\n'],
      [',', '"', '""', '\r\n', '\n', ';', '\0'],
      csv,
    ),
    target(
      'JSON Lines',
      ['{"a":1,"b":[1,{"c":null}]}\n\n{"b":"x"}\n3\n'],
      ['{', '}', '"a":', '\n', '__proto__', '1e999'],
      jsonLines,
    ),
  ];
}

function hashesOf({ count, high, low }: HashedRow): string {
  return `${high.slice(0, count).join()} ${low.slice(0, count).join()}`;
}

function read(
  reader: { push: (piece: Uint8Array) => string | undefined; end: () => string | undefined },
  input: Buffer,
  pieces: number,
): string | undefined {
  const size = Math.max(1, Math.ceil(input.length / pieces));
  for (let start = 0; start < input.length; start += size) {
    const refused = reader.push(input.subarray(start, start + size));
    if (refused !== undefined) return refused;
  }
  return reader.end();
}
