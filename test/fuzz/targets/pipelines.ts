import { parseLock } from '../../../src/domain/lock-document.ts';
import { formatLock, parsePlainLock } from '../../../src/domain/lock-file.ts';
import { parseJsonParams } from '../../../src/domain/param-json.ts';
import { parseParamNode } from '../../../src/domain/param-document.ts';
import { checkPath } from '../../../src/domain/path-rules.ts';
import { readPipelineFile } from '../../../src/domain/pipeline-reader.ts';
import { parseRepoPath } from '../../../src/domain/repo-path.ts';
import { buildGraph } from '../../../src/domain/stage-graph.ts';
import type { Target } from '../target.ts';
import { accepted, check, checkSame } from '../target.ts';

const HASH = `b3:${'ab'.repeat(32)}`;
const LOCK = parseRepoPath('sub/mlv.lock');

export function pipelineTargets(): Target[] {
  return [
    {
      name: 'mlv.yaml',
      seeds: [
        'vars: [{a: {b: [1, "x y"]}}]\nstages:\n  t:\n    cmd: run ${a} ${a.b[0]} \\${x}\n    deps: [d, ../e]\n    params: [lr, c.json: [x.y], s.toml:]\n    outs: [o, {p/q: {cache: false, persist: true}}]\n    metrics: [m.json]\n',
        'stages:\n  f:\n    foreach: {k: {v: 1}}\n    do: {cmd: "x ${key} ${item.v}", outs: ["${key}"]}\n  m:\n    matrix: {a: [1, 2], b: [x]}\n    cmd: ["y ${item.a}", z]\n    resources: {cpu: 500m, memory: 8Gi, gpu: 1}\n    timeout: 1h30m\n    retries: 2\n    run_on: {kubernetes: p}\n    image: python:3.12\n    secrets: [db]\n    pending_timeout: 10m\n    no_retry_exit_codes: [2]\n    checkpoint: half\n    pod: {spec: {a: 1}}\n',
        'stages: {}\nmetrics: [a]\nplots: [{x: {y: [1]}}]\nparams: [b]\n',
      ],
      words: [
        '${',
        '}',
        '\\${',
        '${a.b[99]}',
        'foreach',
        'matrix',
        'do:',
        'wdir: ..',
        '../',
        '.git',
        '__proto__',
        '&a',
        '*a',
        '<<: ',
        '!!',
      ],
      run(input) {
        const document = readPipelineFile(input.toString('utf8'), parseRepoPath('sub/mlv.yaml'), () => undefined);
        for (const { deps, outs, wdir } of document.stages)
          for (const path of [...deps, ...outs.map((out) => out.path), wdir])
            check(path === '' || checkPath(path) === undefined, 'paths lie in the project');
        checkSame(JSON.parse(JSON.stringify(document)), document, 'stages are plain data');
        buildGraph(document.stages);
        return document;
      },
    },
    {
      name: 'mlv.lock',
      seeds: [
        `# What each stage last used and made. Written by mlv; belongs into Git.\nversion: 0\nstages:\n  train:\n    cmd:\n      - a\n      - "b: c"\n    wdir: w\n    deps:\n      ../d: {type: dir, hash: ${HASH}, size: 1, files: 2}\n    params:\n      p.yaml:\n        lr: 0.1\n        o: {"a":[1]}\n    env:\n      E: ${HASH}\n      F: null\n    tools:\n      py: Python 3\n    image: x\n    outs:\n      m: {hash: ${HASH}, size: 1, exec: true, cache: false, persist: true, push: false, remote: r}\n`,
        'version: 0\nstages: {}\n',
      ],
      words: [HASH, '{}', 'null', '../', '.git', '__proto__', '      ', '- ', '"', 'stages:', 'version: 1'],
      run(input) {
        const text = input.toString('utf8');
        const plain = parsePlainLock(text, LOCK);
        const stages = parseLock(text, LOCK);
        if (plain !== undefined) checkSame(plain, stages, 'mlv reads its own form as any YAML parser does');
        const written = formatLock(stages, LOCK);
        checkSame(
          accepted('the parser', () => parsePlainLock(written, LOCK)),
          stages,
          'what is written is what was read',
        );
        return stages;
      },
    },
    {
      name: 'parameters',
      seeds: ['a: &x {b: 1}\nc: {<<: *x, d: [.inf, 2001-01-01]}\n', '{"a": {"b": [1, null, 1e400]}}', 'a: |\n  text\n'],
      words: ['&x', '*x', '<<:', '.nan', '0x1F', '1e999', '__proto__', '{', '['],
      run(input) {
        const text = input.toString('utf8');
        return text.startsWith('{') ? parseJsonParams(text, 'p.json') : parseParamNode(text, 'p.yaml');
      },
    },
  ];
}
