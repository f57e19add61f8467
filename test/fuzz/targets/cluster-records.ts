import { formatClusterResult, parseClusterResult } from '../../../src/domain/cluster-result.ts';
import { formatClusterTask, parseClusterTask } from '../../../src/domain/cluster-task.ts';
import type { Target } from '../target.ts';
import { check, checkSafePath } from '../target.ts';

const HASH = `b3:${'ab'.repeat(32)}`;
const WORDS = [
  HASH,
  '"exec":true,',
  '"files":0,',
  '"previous"',
  '"remote"',
  '../',
  '..',
  '.git',
  '__proto__',
  'null',
  '1e15',
  's3://',
];

/** What a pod reads, and what is read of it. */
export function clusterRecordTargets(): Target[] {
  return [
    {
      name: 'cluster task',
      seeds: [
        `{"code":"${HASH}","commands":["a"],"fingerprint":"${HASH}","inputs":[{"files":2,"hash":"${HASH}","path":"d","size":1,"type":"dir"},{"exec":true,"hash":"${HASH}","path":"d/x","size":0,"type":"file"}],"outs":[{"cache":true,"path":"m","persist":true,"previous":{"hash":"${HASH}","size":3,"type":"file"},"push":true}],"remote":{"endpoint":"https://a","pathStyle":true,"url":"s3://data/t"},"stage":"s","version":0,"wdir":"w"}\n`,
        `{"commands":[],"fingerprint":"${HASH}","inputs":[],"outs":[],"remote":{"url":"/a"},"stage":"s","version":0,"wdir":""}\n`,
        '{"version":1}',
      ],
      words: WORDS,
      run(input) {
        const text = input.toString('utf8');
        const task = parseClusterTask(text, 'task');
        for (const { path } of [...task.inputs, ...task.outs]) checkSafePath(path);
        if (task.wdir !== '') checkSafePath(task.wdir);
        check(!('profile' in task.remote), 'a task names no profile');
        check(formatClusterTask(task) === text, 'tasks are written in one way');
        return task;
      },
    },
    {
      name: 'cluster result',
      seeds: [
        `{"fingerprint":"${HASH}","finished":"2026-11-22T05:04:03Z","job":"0f0e0d0c-1234-5678-9abc-def012345678","outs":{"m":{"files":1,"hash":"${HASH}","size":3,"type":"dir"},"x":{"exec":true,"hash":"${HASH}","size":3,"type":"file"}},"seconds":1.5,"task":"${HASH}","version":0}\n`,
        '{"version":1}',
      ],
      words: WORDS,
      run(input) {
        const text = input.toString('utf8');
        const result = parseClusterResult(text, 'result');
        for (const path of result.outs.keys()) checkSafePath(path);
        check(formatClusterResult(result) === text, 'results are written in one way');
        return result;
      },
    },
  ];
}
