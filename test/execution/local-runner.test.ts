import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MlvError } from '../../src/domain/errors.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { isGroupAlive } from '../../src/platform/process-group.ts';
import type { ProjectFolders } from '../../src/workspace/open.ts';
import { begin, logsOf, newProject } from './stage-rig.ts';

let folders: ProjectFolders;

beforeEach(() => void (folders = newProject()));
afterEach(() => rmSync(folders.root, { recursive: true, force: true }));

function errorOf(done: Promise<unknown>): Promise<MlvError> {
  return done.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: MlvError) => error,
  );
}

function file(name: string): string {
  return join(folders.root, name);
}

describe('commands', () => {
  test('run one after another in wdir, with the environment given and the name of the stage, and nothing to read', async () => {
    execFileSync('mkdir', [file('sub')]);
    const run = begin(
      folders,
      { wdir: 'sub' as RepoPath, commands: ['echo "$MLV_STAGE $FOO" > a; pwd', 'cat a; cat'] },
      { environment: { PATH: process.env['PATH'], FOO: 'bar' } },
    );
    expect((await run.done).seconds).toBeGreaterThan(0);
    expect(run.lines).toEqual([file('sub'), 'train bar']);
  });

  test('quotes, several lines and shell syntax reach the shell as they are', async () => {
    const run = begin(folders, { commands: [`x='a  b'\nfor y in 1 2; do echo "$x" "$y" 'it'"'"'s'; done`] });
    await run.done;
    expect(run.lines).toEqual(["a  b 1 it's", "a  b 2 it's"]);
  });

  test('what follows a failure is not run', async () => {
    const commands = [
      'for i in 1 2 3 4 5 6 7 8 9 10 11; do echo "line $i"; done; : a command too long to be told; echo last >&2; exit 3',
      'touch b',
    ];
    const run = begin(folders, { commands });
    const error = await errorOf(run.done);
    expect(error.code).toBe('stage-failed');
    expect(error.message).toBe(`stage train failed: \`${commands[0]?.slice(0, 100)} …\` exited with 3`);
    expect(error.hint).toBe('mlv logs train shows all that it printed.');
    expect(error.items).toHaveLength(10);
    expect(error.items).toContain('last');
    expect(existsSync(file('b'))).toBe(false);
  });

  test.each([
    ['no-such-program', 'exited with 127 (command not found)', 'PATH'],
    ['./plain', 'exited with 126 (not executable)', 'chmod'],
    ['kill -KILL $$', 'was killed by SIGKILL', 'memory'],
    ["sh -c 'kill -KILL $$'; exit $?", 'exited with 137 (killed by SIGKILL)', 'memory'],
    ['kill -SEGV $$', 'was killed by SIGSEGV', 'mlv logs'],
  ])('%s is told in words', async (command, words, hint) => {
    writeFileSync(file('plain'), 'echo\n');
    const error = await errorOf(begin(folders, { commands: [command] }).done);
    expect(error.message).toBe(`stage train failed: \`${command}\` ${words}`);
    expect(error.hint).toContain(hint);
  });

  test('a folder that is not there is told before anything runs', async () => {
    const error = await errorOf(begin(folders, { wdir: 'none' as RepoPath }).done);
    expect(error.code).toBe('stage-wdir-missing');
  });

  test('what a command leaves running is ended', async () => {
    const run = begin(folders, { commands: ['sleep 1000 & echo $!'] }, { graceMs: 100 });
    await run.done;
    expect(isRunning(Number(run.lines[0]))).toBe(false);
    expect(logsOf(folders)[0]).toContain('# mlv: ended processes that the command had left running');
  });

  test('what is about to end by itself is left to', async () => {
    const run = begin(folders, { commands: ['(sleep 0.2; echo late > late) & echo early'] });
    await run.done;
    expect(readFileSync(file('late'), 'utf8')).toBe('late\n');
  });
});

describe('output', () => {
  test('is told by line and logged unaltered', async () => {
    const commands = [
      String.raw`printf 'a\n\nb\r\n10%%\r 50%%\r100%%\nlatin \351\n\342\202'; sleep 0.05; printf '\254 no end'`,
      'echo x',
    ];
    const run = begin(folders, { commands });
    await run.done;
    expect(run.lines).toEqual(['a', '', 'b', '100%', 'latin \ufffd', '€ no end', 'x']);
    expect(logsOf(folders)).toEqual([
      [
        '# mlv: stage train, started TIME',
        `$ ${commands[0]}`,
        'a\n\nb\r\n10%\r 50%\r100%\nlatin \xe9\n\xe2\x82\xac no end',
        '$ echo x',
        'x',
        '# mlv: succeeded after TIME',
        '',
      ].join('\n'),
    ]);
  });

  test('keeps the order between stdout and stderr where the command waits', async () => {
    const run = begin(folders, {
      commands: ['for i in 1 2 3; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done'],
    });
    await run.done;
    expect(run.lines).toEqual(['out 1', 'err 1', 'out 2', 'err 2', 'out 3', 'err 3']);
  });

  test('of 100 MB takes bounded memory', async () => {
    let longest = 0;
    let characters = 0;
    let most = 0;
    const before = process.memoryUsage.rss();
    const run = begin(
      folders,
      { commands: ["head -c 50000000 /dev/zero | tr '\\0' x", "yes '0123456789abcdef' | head -c 50000000"] },
      {
        onLine(_, text) {
          longest = Math.max(longest, text.length);
          characters += text.length;
          if (characters % 1024 === 0) most = Math.max(most, process.memoryUsage.rss());
        },
      },
    );
    await run.done;
    expect(longest).toBeLessThanOrEqual(16_384);
    expect(characters).toBeGreaterThan(97_000_000);
    expect(most - before).toBeLessThan(150e6);
    const logs = join(folders.sharedFolder, 'logs');
    const [log = ''] = readdirSync(logs, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.log'));
    expect(statSync(join(logs, log)).size).toBeGreaterThan(100_000_000);
  });

  test('the last ten logs are kept', async () => {
    for (let round = 0; round < 12; round++) await begin(folders, { commands: [`echo round ${round}`] }).done;
    const logs = logsOf(folders);
    expect(logs).toHaveLength(10);
    expect(logs[0]).toContain('round 2');
    expect(logs.at(-1)).toContain('round 11');
  });
});

describe('interruption', () => {
  test('the first one gives the whole tree the signal, and time to end', async () => {
    const run = begin(folders, {
      commands: [`trap 'sleep 0.1; echo saved > saved; exit 0' INT; echo ready; while :; do sleep 0.02; done`],
    });
    await run.line(/^ready/);
    run.interrupt();
    const error = await errorOf(run.done);
    expect([error.code, error.kind]).toEqual(['stage-interrupted', 'interrupted']);
    expect(readFileSync(file('saved'), 'utf8')).toBe('saved\n');
    expect(logsOf(folders)[0]).toMatch(/\n# mlv: interrupted after TIME\n$/);
  });

  test('grandchildren get it, too', async () => {
    const run = begin(folders, { commands: [`sh -c 'echo $$; while :; do sleep 0.02; done'; true`] });
    const grandchild = Number(await run.line(/^\d+$/));
    expect(isRunning(grandchild)).toBe(true);
    run.interrupt();
    await errorOf(run.done);
    expect(isRunning(grandchild)).toBe(false);
  });

  test('the second one kills what does not listen', async () => {
    const run = begin(folders, {
      commands: [`trap 'echo deaf' INT TERM; echo ready $$; sh -c 'trap "" INT TERM; while :; do sleep 0.02; done'`],
    });
    const leader = Number((await run.line(/^ready/)).split(' ')[1]);
    run.interrupt();
    run.kill();
    expect((await errorOf(run.done)).code).toBe('stage-interrupted');
    expect(isGroupAlive(leader)).toBe(false);
  });

  test('what does not end in time gets a stronger signal', async () => {
    const run = begin(
      folders,
      { commands: [`trap '' INT; trap 'echo term; exit 1' TERM; echo ready; while :; do sleep 0.02; done`] },
      { graceMs: 50 },
    );
    await run.line(/^ready/);
    run.interrupt();
    await errorOf(run.done);
    expect(run.lines.at(-1)).toBe('term');
  });

  test('no command starts after it', async () => {
    const run = begin(folders, {
      commands: ['trap "exit 0" INT; echo ready; while :; do sleep 0.02; done', 'touch b'],
      retries: 3,
    });
    await run.line(/^ready/);
    run.interrupt();
    await errorOf(run.done);
    expect(existsSync(file('b'))).toBe(false);
  });
});

describe('timeout and retries', () => {
  test('a try that takes too long is ended with all that it started, and told', async () => {
    const run = begin(
      folders,
      { commands: [`trap '' TERM; echo $$; sh -c 'trap "" TERM; while :; do sleep 0.02; done'`], timeout: 0.2 },
      { graceMs: 50 },
    );
    const error = await errorOf(run.done);
    expect(error.code).toBe('stage-timeout');
    expect(error.message).toContain('still ran after the timeout of 0.2 s');
    expect(isGroupAlive(Number(run.lines[0]))).toBe(false);
  });

  test('a failure is tried again from the first command, as often as the stage says', async () => {
    const attempts: number[] = [];
    const run = begin(
      folders,
      { commands: ['echo x >> tries', 'test $(wc -l < tries) = 3'], retries: 4 },
      { onAttempt: (attempt) => void attempts.push(attempt) },
    );
    await run.done;
    expect(attempts).toEqual([1, 2, 3]);
    expect(
      logsOf(folders)[0]
        ?.split('\n')
        .filter((line) => line.startsWith('# mlv: try')),
    ).toEqual([
      '# mlv: try 1 of 5 failed after TIME: stage train failed: `test $(wc -l < tries) = 3` exited with 1',
      '# mlv: try 2 of 5',
      '# mlv: try 2 of 5 failed after TIME: stage train failed: `test $(wc -l < tries) = 3` exited with 1',
      '# mlv: try 3 of 5',
    ]);
  });

  test('a timeout is one of the tries', async () => {
    const run = begin(folders, {
      commands: ['echo x >> tries; test -e ok || { touch ok; sleep 1000; }'],
      timeout: 1,
      retries: 1,
    });
    await run.done;
    expect(readFileSync(file('tries'), 'utf8')).toBe('x\nx\n');
  });

  test('when no tries are left, the last failure is told', async () => {
    const run = begin(folders, { commands: ['echo x >> tries; exit $(wc -l < tries)'], retries: 2 });
    expect((await errorOf(run.done)).message).toContain('exited with 3');
  });
});

/** Not counting what has ended, but whose parent never asked. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
