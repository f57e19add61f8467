/** What people get wrong in a pipeline file, and what they are told. */
import { expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import { parseParamNode } from '../../src/domain/param-document.ts';
import { readPipelineFile } from '../../src/domain/pipeline-reader.ts';
import { parseRepoPath } from '../../src/domain/repo-path.ts';

const FILES: Readonly<Record<string, string>> = {
  'params.yaml': 'lr: 0.1\nmodel: {name: cnn}\nlayers: [1, 2]\n',
  'other.yaml': 'lr: 1\n',
  'list.yaml': '[1]\n',
};

function mistake(yaml: string): MlvError {
  try {
    readPipelineFile(yaml, parseRepoPath('sub/mlv.yaml'), (path) => {
      const text = FILES[path.replace('sub/', '')];
      return text === undefined ? undefined : parseParamNode(text, path);
    });
  } catch (error) {
    if (error instanceof MlvError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const stage = (...fields: string[]): string =>
  ['stages:', '  train:', ...fields.map((field) => `    ${field}`)].join('\n');

test('names and paths that would be no keys of YAML in the lock file', () => {
  const long = `${'d/'.repeat(450)}x`;
  for (const yaml of [stage('cmd: x', `deps: [${long}]`), stage('cmd: x', `params: [${'k'.repeat(901)}]`)]) {
    const { code, message } = mistake(yaml);
    expect(code).toBe('pipeline-invalid');
    expect(message).toMatch(/ has 90\d characters: names and paths of stages have at most 900/);
  }
});

test.each([
  {
    yaml: stage('comand: python train.py'),
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:3:5: "comand" is not a field of a stage', '3 |     comand: python train.py', '  |     ^'],
    hint: 'Did you mean "cmd"?',
  },
  {
    yaml: stage('cmd: true'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:3:10: "cmd" must be a command, or a list of commands, not true',
      '3 |     cmd: true',
      '  |          ^',
    ],
    hint: 'Put it in quotes, if the text itself is meant.',
  },
  {
    yaml: stage('deps: [x]'),
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:3:5: stage train has no "cmd"', '3 |     deps: [x]', '  |     ^'],
    hint: 'A stage needs "cmd".',
  },
  {
    yaml: stage('cmd: []'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:3:10: "cmd" must be a command, or a list of commands, not a list',
      '3 |     cmd: []',
      '  |          ^',
    ],
    hint: 'See docs/pipelines.md for what each field takes.',
  },
  {
    yaml: stage('cmd: ""'),
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:3:10: "cmd" is empty', '3 |     cmd: ""', '  |          ^'],
    hint: 'Write what the stage runs.',
  },
  {
    yaml: stage('cmd: x', 'deps: [2020]'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:4:12: an entry of "deps" must be text, not the number 2020',
      '4 |     deps: [2020]',
      '  |            ^',
    ],
    hint: 'Put it in quotes, if the text itself is meant.',
  },
  {
    yaml: stage('cmd: x', 'outs: [{model: {cach: false}}]'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:4:21: "cach" is not a field of an output',
      '4 |     outs: [{model: {cach: false}}]',
      '  |                     ^',
    ],
    hint: 'Did you mean "cache"?',
  },
  {
    yaml: stage('cmd: x', 'outs: [a, ./b/../a]'),
    code: 'output-twice',
    message: [
      'sub/mlv.yaml:4:15: sub/a is declared as an output twice',
      '4 |     outs: [a, ./b/../a]',
      '  |               ^',
    ],
    hint: 'Take one of the two out: metrics and plots are outputs, too.',
  },
  {
    yaml: stage('cmd: x', 'deps: [../../secret]'),
    code: 'pipeline-path',
    message: [
      'sub/mlv.yaml:4:12: "../../secret" is no path in the project',
      '4 |     deps: [../../secret]',
      '  |            ^',
    ],
    hint: 'Paths are relative to "wdir", with "/" between names, and stay in the project.',
  },
  {
    yaml: stage('cmd: x', 'deps: ["s3://bucket/x"]'),
    code: 'pipeline-path',
    message: [
      'sub/mlv.yaml:4:12: "s3://bucket/x" is no path in the project',
      '4 |     deps: ["s3://bucket/x"]',
      '  |            ^',
    ],
    hint: 'Bring what is elsewhere into the project: "mlv get" copies from other repositories, a stage with "always_changed: true" can download.',
  },
  {
    yaml: stage('cmd: x', 'wdir: ..', 'outs: [.]'),
    code: 'pipeline-path',
    message: ['sub/mlv.yaml:5:12: the whole project cannot be an output', '5 |     outs: [.]', '  |            ^'],
    hint: 'Name the files and folders that the command makes.',
  },
  {
    yaml: stage('cmd: x', 'timeout: soon'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:4:14: "timeout" must be seconds, or a time like "90s" or "2h", not "soon"',
      '4 |     timeout: soon',
      '  |              ^',
    ],
    hint: 'See docs/pipelines.md for what each field takes.',
  },
  ...(
    [
      ['image: Python:3.12', 12, '"image" must be an image like "python:3.12" or "python@sha256:…", not "Python:3.12"'],
      ['secrets: db', 14, '"secrets" must be a list, not "db"'],
      [
        'secrets: [Db_Password]',
        15,
        'an entry of "secrets" must be the name of a secret in the cluster, never its value, not "Db_Password"',
      ],
      ['queue: team A', 12, '"queue" must be the name of a queue, not "team A"'],
      ['pending_timeout: soon', 22, '"pending_timeout" must be seconds, or a time like "90s" or "2h", not "soon"'],
      [
        'no_retry_exit_codes: [3, 0]',
        30,
        'an entry of "no_retry_exit_codes" must be an exit code from 1 to 255, not the number 0',
      ],
      [
        'no_retry_exit_codes: [256]',
        27,
        'an entry of "no_retry_exit_codes" must be an exit code from 1 to 255, not the number 256',
      ],
      ['checkpoint: [a]', 17, '"checkpoint" must be text, not a list'],
      ['pod: privileged', 10, '"pod" must be a map, not "privileged"'],
      ['pod: {spec: []}', 17, '"spec" must be a map, not a list'],
    ] as const
  ).map(([field, column, message]) => ({
    yaml: stage('cmd: x', field),
    code: 'pipeline-invalid',
    message: [
      `sub/mlv.yaml:4:${column}: ${message}`,
      `4 |     ${field}`,
      `  | ${' '.repeat(column - 1)}^`,
    ] as readonly string[],
    hint: 'See docs/pipelines.md for what each field takes.',
  })),
  {
    yaml: stage('cmd: x', 'pod: {tolerations: []}'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:4:11: "tolerations" is not a field of a patch of a pod',
      '4 |     pod: {tolerations: []}',
      '  |           ^',
    ],
    hint: 'Its fields are metadata, spec.',
  },
  {
    yaml: stage('cmd: x', 'checkpoint: ../../elsewhere'),
    code: 'pipeline-path',
    message: [
      'sub/mlv.yaml:4:17: "../../elsewhere" is no path in the project',
      '4 |     checkpoint: ../../elsewhere',
      '  |                 ^',
    ],
    hint: 'Paths are relative to "wdir", with "/" between names, and stay in the project.',
  },
  ...(
    [
      ['.', [], 'the stage runs in it'],
      ['..', [], 'the stage runs in it'],
      ['data/half', ['deps: [data]'], 'the stage reads or makes sub/data'],
      ['models', ['outs: [models/a, b]'], 'the stage reads or makes sub/models/a'],
      ['score.json', ['metrics: [score.json]'], 'the stage reads or makes sub/score.json'],
      ['p.yaml', ['params: [{p.yaml: null}]'], 'the stage reads or makes sub/p.yaml'],
    ] as const
  ).map(([path, others, reason]) => ({
    yaml: stage('cmd: x', `checkpoint: ${path}`, ...others),
    code: 'pipeline-path',
    message: [
      `sub/mlv.yaml:4:17: not the place for a checkpoint: ${reason}`,
      `4 |     checkpoint: ${path}`,
      '  |                 ^',
    ] as readonly string[],
    hint: 'Name a folder of its own, in which the command keeps how far it got.',
  })),
  {
    yaml: stage('cmd: x', 'tools: [python]'),
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:4:12: "tools" must be a map, not a list', '4 |     tools: [python]', '  |            ^'],
    hint: 'See docs/pipelines.md for what each field takes.',
  },
  {
    yaml: stage('cmd: x', 'env: [A=b]'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:4:11: an entry of "env" must be the name of a variable, not "A=b"',
      '4 |     env: [A=b]',
      '  |           ^',
    ],
    hint: 'See docs/pipelines.md for what each field takes.',
  },
  {
    yaml: stage('cmd: x', 'frozen: ${model.name}'),
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:4:13: "frozen" must be true or false, not "cnn"',
      '4 |     frozen: ${model.name}',
      '  |             ^',
    ],
    hint: 'See docs/pipelines.md for what each field takes.',
  },
  {
    yaml: stage('cmd: echo ${model.nam}'),
    code: 'template-unknown',
    message: [
      'sub/mlv.yaml:3:15: nothing is called nam in ${model.nam}',
      '3 |     cmd: echo ${model.nam}',
      '  |               ^',
    ],
    hint: 'Did you mean name?',
  },
  {
    yaml: stage('cmd: echo ${speed}'),
    code: 'template-unknown',
    message: [
      'sub/mlv.yaml:3:15: nothing is called speed in ${speed}',
      '3 |     cmd: echo ${speed}',
      '  |               ^',
    ],
    hint: 'Names come from params.yaml and from "vars": lr, model, layers.',
  },
  {
    yaml: stage('cmd: echo ${a..b}'),
    code: 'template-invalid',
    message: ['sub/mlv.yaml:3:15: ${a..b} is not a name', '3 |     cmd: echo ${a..b}', '  |               ^'],
    hint: 'Names are like ${lr}, ${train.lr} or ${files[0]}; \\${ stands for the two characters themselves.',
  },
  {
    yaml: stage('cmd: echo', 'deps: ["x-${layers}"]'),
    code: 'template-type',
    message: [
      'sub/mlv.yaml:4:15: ${layers} is a list, which has no place in text',
      '4 |     deps: ["x-${layers}"]',
      '  |               ^',
    ],
    hint: 'Name a value in it. Only a command takes a map, for its flags: they hold text, numbers, true or false, and lists of these.',
  },
  {
    yaml: 'vars: [{lr: 2}]\nstages: {}\n',
    code: 'vars-twice',
    message: ['sub/mlv.yaml:1:8: lr has a meaning already', '1 | vars: [{lr: 2}]', '  |        ^'],
    hint: 'A name means one thing in a file: rename one of the two, or take fewer names with "file:name,name". params.yaml is there without being named.',
  },
  {
    yaml: 'vars: [nope.yaml]\n',
    code: 'vars-missing',
    message: ['sub/mlv.yaml:1:8: sub/nope.yaml is not there', '1 | vars: [nope.yaml]', '  |        ^'],
    hint: 'Write it, or take it out of "vars".',
  },
  {
    yaml: 'vars: ["params.yaml:lr"]\n',
    code: 'vars-twice',
    message: ['sub/mlv.yaml:1:8: params.yaml:lr has a meaning already', '1 | vars: ["params.yaml:lr"]', '  |        ^'],
    hint: 'A name means one thing in a file: rename one of the two, or take fewer names with "file:name,name". params.yaml is there without being named.',
  },
  {
    yaml: 'vars: ["other.yaml:lx"]\n',
    code: 'vars-missing',
    message: ['sub/mlv.yaml:1:8: sub/other.yaml has no lx at its top', '1 | vars: ["other.yaml:lx"]', '  |        ^'],
    hint: 'Did you mean lr?',
  },
  {
    yaml: 'vars: [list.yaml]\n',
    code: 'vars-invalid',
    message: [
      'sub/mlv.yaml:1:8: sub/list.yaml holds a list where values by name were expected',
      '1 | vars: [list.yaml]',
      '  |        ^',
    ],
    hint: 'Give its values names: a map.',
  },
  {
    yaml: 'vars: [{x: "${lr}"}]\n',
    code: 'template-invalid',
    message: [
      'sub/mlv.yaml:1:12: "vars" say what names mean, and so cannot use them',
      '1 | vars: [{x: "${lr}"}]',
      '  |            ^',
    ],
    hint: 'Write the value itself.',
  },
  {
    yaml: 'stages:\n  a/b: {cmd: x}\n',
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:2:3: "a/b" cannot be the name of a stage', '2 |   a/b: {cmd: x}', '  |   ^'],
    hint: 'Letters, digits, "-", "_" and "." will do.',
  },
  {
    yaml: 'stages:\n  a: {cmd: x}\n  a: {cmd: y}\n',
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:3:3: "a" is there twice', '3 |   a: {cmd: y}', '  |   ^'],
    hint: 'Correct it in an editor; one that knows YAML shows what is wrong.',
  },
  {
    yaml: 'stages:\n  a: {cmd: x\n',
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:3:1: flow map in block collection must be sufficiently indented and end with a }',
      '3 | ',
      '  | ^',
    ],
    hint: 'Correct it in an editor; one that knows YAML shows what is wrong.',
  },
  {
    yaml: 'x: &a 1\nstages: *a\n',
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:2:9: YAML aliases are not supported', '2 | stages: *a', '  |         ^'],
    hint: 'Correct it in an editor; one that knows YAML shows what is wrong.',
  },
  {
    yaml: 'artifacts: {}\nstages: {}\n',
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:1:1: "artifacts" is not a field of a pipeline file', '1 | artifacts: {}', '  | ^'],
    hint: 'mlv has no registry of artifacts: describe an output by its desc, type, labels and meta, and take this out.',
  },
  {
    yaml: 'stages:\n  a:\n    foreach: ${lr}\n    do: {cmd: x}\n',
    code: 'pipeline-invalid',
    message: [
      'sub/mlv.yaml:3:14: "foreach" must be a list or a map, not the number 0.1',
      '3 |     foreach: ${lr}',
      '  |              ^',
    ],
    hint: 'A stage is made for each of its values.',
  },
  {
    yaml: 'stages:\n  a:\n    foreach: [1]\n    cmd: x\n',
    code: 'pipeline-invalid',
    message: ['sub/mlv.yaml:4:5: "cmd" is not a field of a stage of "foreach"', '4 |     cmd: x', '  |     ^'],
    hint: 'Its fields are foreach, do.',
  },
  {
    yaml: `stages:\n  a:\n    cmd: x\n    matrix: {${['a', 'b', 'c', 'd', 'e', 'f'].map((axis) => `${axis}: [1,2,3,4,5,6,7,8]`).join(', ')}}\n`,
    code: 'pipeline-too-large',
    message: [
      'sub/mlv.yaml:4:13: this matrix makes more than 100000 stages',
      '4 |     matrix: {a: [1,2,3,4,5,6,7,8], b: [1,2,3,4,5,6,7,8], c: [1,2,3,4,5,6,7,8], d: [1,2,3,4,5,6,7,8],',
      '  |             ^',
    ],
    hint: 'Shorten its lists, or let the command go through some of them itself.',
  },
  {
    yaml: '<<<<<<< HEAD\nstages: {}\n=======\n>>>>>>> other\n',
    code: 'pipeline-conflict',
    message: ['sub/mlv.yaml: holds conflict markers of a merge'],
    hint: 'Choose a side, "git checkout --ours -- sub/mlv.yaml" or "--theirs", or edit it; then "git add sub/mlv.yaml".',
  },
])('$message.0', ({ yaml, code, message, hint }) => {
  const error = mistake(yaml);
  expect({ code: error.code, message: error.message.split('\n'), hint: error.hint }).toEqual({ code, message, hint });
});

test('a name in a long line is shown with what is around it', () => {
  const { message } = mistake(stage(`cmd: ${'x'.repeat(500)} \${nope} ${'y'.repeat(500)}`));
  const [, line = '', caret = ''] = message.split('\n');
  expect(line.length).toBeLessThan(120);
  expect(line.slice(caret.indexOf('^')).startsWith('${nope}')).toBe(true);
});
