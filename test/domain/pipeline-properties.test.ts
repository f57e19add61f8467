/** Whatever stands in a pipeline file: it is read, or refused with its place, and soon. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { MlvError } from '../../src/domain/errors.ts';
import { parseParamNode } from '../../src/domain/param-document.ts';
import { flattenParams, paramAt } from '../../src/domain/param-value.ts';
import { readPipelineFile, type PipelineDocument } from '../../src/domain/pipeline-reader.ts';
import { valueOf } from '../../src/domain/pipeline-source.ts';
import type { ParamValue } from '../../src/domain/pipeline.ts';
import { parseRepoPath } from '../../src/domain/repo-path.ts';

function read(yaml: string, params = 'x: 1\nm: {a: 1}\nl: [1, 2]\n'): PipelineDocument | MlvError {
  try {
    return readPipelineFile(yaml, parseRepoPath('mlv.yaml'), (path) =>
      path === 'params.yaml' ? parseParamNode(params, path) : undefined,
    );
  } catch (error) {
    if (error instanceof MlvError) return error;
    throw error;
  }
}

const pieces = fc.constantFrom(
  '${',
  '}',
  '$',
  '{',
  '\\',
  'x',
  'm',
  'l',
  '.',
  '[',
  ']',
  '0',
  '-1',
  ' ',
  '\n',
  'é',
  '__proto__',
  'a',
);
const templates = fc.array(pieces, { maxLength: 20 }).map((parts) => parts.join(''));

test('any text with templates in it is resolved, or refused with a place', () => {
  fc.assert(
    fc.property(templates, templates, (cmd, path) => {
      const result = read(stringify({ stages: { a: { cmd, deps: [path], outs: [{ [`o${path}`]: {} }] } } }));
      if (result instanceof MlvError) expect(result.message).toMatch(/^mlv\.yaml:\d+:\d+: .+\n\d+ \| .*\n +\| +\^$/s);
      else expect(result.stages[0]?.commands.length).toBeGreaterThan(0);
    }),
    { numRuns: 2_000 },
  );
});

test('text without templates stays as it is', () => {
  const plain = fc
    .string({ unit: 'grapheme' })
    .filter((text) => !text.includes('${') && text.trim() === text && !/[\\\r\n\u0085\u2028\u2029]/.test(text));
  fc.assert(
    fc.property(plain, (cmd) => {
      const result = read(stringify({ stages: { a: { cmd: [cmd] } } }));
      if (result instanceof MlvError) expect(cmd).toBe('');
      else expect(result.stages[0]?.commands).toEqual([cmd]);
    }),
  );
});

test('any YAML is read, or refused', () => {
  const keys = fc.constantFrom(
    'stages',
    'vars',
    'cmd',
    'deps',
    'outs',
    'plots',
    'params',
    'foreach',
    'do',
    'matrix',
    'item',
    '__proto__',
    'constructor',
    'resources',
    'timeout',
    'run_on',
    'secrets',
    'no_retry_exit_codes',
    'checkpoint',
    'pod',
    'spec',
    'tools',
    'meta',
    'a',
    '${x}',
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(null, true, 1, 0.5, 'x', '${x}', '${m}', '${l}', 'a/b', '..'),
      tie('list'),
      tie('map'),
    ),
    list: fc.array(tie('value'), { maxLength: 3 }),
    map: fc
      .array(fc.tuple(keys, tie('value')), { maxLength: 4 })
      .map((entries) => Object.fromEntries(entries) as unknown),
  }));
  fc.assert(
    fc.property(value, (stage) => {
      const results = [read(stringify({ stages: { a: stage } })), read(stringify(stage))];
      const isSettled = (result: (typeof results)[number]): boolean =>
        result instanceof MlvError || result.stages.every(({ commands }) => commands.length > 0);
      expect(results.every(isSettled)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('any text at all is read, or refused, as a pipeline and as parameters', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      read(text);
      for (const name of ['a.yaml', 'a.json', 'a.toml']) {
        try {
          parseParamNode(text, name);
        } catch (error) {
          expect(error).toBeInstanceOf(MlvError);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test.each([
  ['openings without an end', stringify({ stages: { a: { cmd: '${'.repeat(500_000) } } })],
  ['openings over lines', stringify({ stages: { a: { cmd: '${\n'.repeat(300_000) } } })],
  ['brackets', stringify({ stages: { a: { cmd: `\${x${'[0]'.repeat(200_000)}}` } } })],
  ['backslashes', stringify({ stages: { a: { cmd: '\\'.repeat(500_000) } } })],
  ['lines that go on', stringify({ stages: { a: { cmd: 'a\\\n'.repeat(200_000) } } })],
  ['depth', `stages: ${'['.repeat(100_000)}`],
  ['depth in parameters', 'vars: [p]'],
])('hostile: %s', (_, yaml) => {
  const started = performance.now();
  read(yaml, `x: ${'['.repeat(50_000)}`);
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('what templates come to has an end', () => {
  const big = `x: ${'y'.repeat(1_000_000)}\n`;
  const yaml = stringify({ stages: { a: { cmd: '${x}'.repeat(10_000) } } });
  const many = stringify({
    vars: [{ l: Array.from({ length: 90_000 }, (_, n) => n) }],
    stages: { a: { foreach: '${l}', do: { cmd: '${x}' } } },
  });
  const product = stringify({
    stages: { a: { matrix: { a: ['z'.repeat(100_000)], b: Array.from({ length: 50_000 }, (_, n) => n) }, cmd: 'x' } },
  });
  for (const each of [yaml, many, product]) {
    const result = read(each, big);
    expect(result instanceof MlvError ? result.code : 'read').toBe('pipeline-too-large');
  }
});

test('aliases in parameters that grow without end are refused', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let n = 1; n < 12; n += 1)
    lines.push(`a${n}: &a${n} [${Array.from({ length: 10 }, () => `*a${n - 1}`).join(', ')}]`);
  expect(() => parseParamNode(lines.join('\n'), 'params.yaml')).toThrow('holds too many values');
});

const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant(null));
const { params } = fc.letrec((tie) => ({
  params: fc.oneof({ maxDepth: 4 }, leaf, tie('list'), tie('map')),
  list: fc.array(tie('params'), { maxLength: 3 }),
  map: fc.dictionary(fc.stringMatching(/^[a-z_]{1,9}$/), tie('params'), { maxKeys: 4 }),
}));

test('parameters are the same in YAML and JSON, and each is found by its key', () => {
  fc.assert(
    fc.property(params, (made) => {
      const value = made as ParamValue;
      expect(valueOf(parseParamNode(stringify(value), 'a.yaml'))).toEqual(value);
      expect(valueOf(parseParamNode(JSON.stringify(value), 'a.json'))).toEqual(value);
      for (const [key, at] of flattenParams(value)) if (key !== '') expect(paramAt(value, key)).toEqual(at);
    }),
  );
});

test('names of the engine itself are names like others', () => {
  const text = '__proto__: {polluted: 1}\nconstructor: 2\n';
  const value = valueOf(parseParamNode(text, 'a.yaml'));
  expect(paramAt(value, '__proto__.polluted')).toBe(1);
  expect(paramAt(value, 'toString')).toBeUndefined();
  expect(paramAt({}, '__proto__')).toBeUndefined();
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  const result = read('stages:\n  __proto__: {cmd: "echo ${__proto__.polluted} ${constructor}"}\n', text);
  expect(result).toMatchObject({ stages: [{ name: '__proto__', commands: ['echo 1 2'] }] });
});

test.each([
  ['a.b', 1],
  ['l[1].x', 3],
  ['l.1.x', 3],
  ['l.0', 2],
  ['dotted.name', 4],
  ['a.c', undefined],
  ['l[9]', undefined],
  ['l.x', undefined],
  ['a.b.c', undefined],
])('the parameter %s is %j', (key, found) => {
  expect(paramAt({ a: { b: 1 }, l: [2, { x: 3 }], 'dotted.name': 4 }, key)).toBe(found);
});

test('TOML: numbers, dates, and what is no number', () => {
  const text =
    'i = 1\nf = 1.0\nd = 2020-01-02\nt = 2020-01-02T03:04:05Z\nn = nan\ninf = inf\nbig = 12345678901234567890\n[a.b]\nc = [1, 2]\n';
  expect(valueOf(parseParamNode(text, 'a.toml'))).toEqual({
    i: 1,
    f: 1,
    d: '2020-01-02',
    t: '2020-01-02T03:04:05.000Z',
    n: 'nan',
    inf: 'inf',
    big: '12345678901234567890',
    a: { b: { c: [1, 2] } },
  });
});

test.each([
  ['a.toml', 'x = \n', /^a\.toml:1:\d+: .*\n1 \| x = \n/],
  ['a.yaml', 'x: [1\n', /^a\.yaml:\d+:\d+: .*\n/],
  ['a.json', '{"x": }', /^a\.json: /],
])('%s that is wrong is told with its place', (path, text, message) => {
  expect(() => parseParamNode(text, path)).toThrow(message);
});
