/** Runs mlv under strace to its end, or to a kill. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hasErrorCode } from '../../../src/domain/errors.ts';
import { BIN } from '../../support/mlv.ts';
import { type Call, readCalls, TRACED } from './calls.ts';
import type { Command } from './killer.ts';
import { phaseOf } from './phases.ts';

/**
 * When it is killed: at the nth call of a name in whatever thread comes to it first, by strace itself, before the call is made; or once
 * the nth call of a phase was seen, with Git and all it started; or after milliseconds, alone or with all it started.
 */
export type Aim =
  | { readonly at: 'call'; readonly name: string; readonly nth: number }
  | { readonly at: 'sight'; readonly phase: string; readonly nth: number }
  | { readonly at: 'time'; readonly ms: number; readonly withChildren: boolean };

export interface TracedRun {
  /** Undefined: ended by a signal. */
  readonly code: number | undefined;
  readonly output: string;
  readonly ms: number;
  readonly calls: readonly Call[];
}

/** Resolves when everything that it started has ended, too. */
export async function runTraced({ folder, args, env }: Command, aim?: Aim): Promise<TracedRun> {
  const root = join(folder, 'project');
  const fifo = join(folder, 'trace');
  execFileSync('mkfifo', [fifo]);
  const trace = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
  const started = performance.now();
  const inject = aim?.at === 'call' ? [`inject=${aim.name}:signal=KILL:when=${aim.nth}`] : [];
  // Slowly enough for the kill to come before the next of them.
  if (aim?.at === 'sight') inject.push('inject=?rename,renameat2,?unlink,?link,?symlink,fsync:delay_exit=3000');
  const options = ['-DD', '-f', '-yy', '-s', '160', '-o', fifo, '-e', `trace=${TRACED}`];
  const child = spawn(
    'strace',
    [...options, ...inject.flatMap((each) => ['-e', each]), process.execPath, BIN, '--no-progress', ...args],
    // A process group of its own; io_uring would hide calls.
    { cwd: root, env: { ...env, UV_USE_IO_URING: '0' }, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const kill = (withChildren: boolean): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const commands = withChildren ? groupsOfCommands(root) : [];
    process.kill(withChildren ? -child.pid : child.pid, 'SIGKILL');
    for (const group of commands) killGroup(group);
  };
  const timer = aim?.at === 'time' ? setTimeout(() => kill(aim.withChildren), aim.ms) : undefined;
  const reader = readCalls(folder, root);
  let left = aim?.at === 'sight' ? aim.nth : 0;
  createInterface({ input: trace.stdout }).on('line', (line) => {
    const path = reader.read(line)?.path;
    if (aim?.at !== 'sight' || path === undefined || phaseOf(path) !== aim.phase) return;
    left -= 1;
    if (left === 0) kill(true);
  });
  const [code] = await Promise.all([
    new Promise<number | null>((done, failed) => child.on('close', done).on('error', failed)),
    new Promise((done) => trace.on('close', done)),
  ]);
  clearTimeout(timer);
  rmSync(fifo);
  return { code: code ?? undefined, output, ms: performance.now() - started, calls: reader.calls };
}

/** Commands of stages have process groups of their own, which mlv notes. */
function groupsOfCommands(root: string): number[] {
  const claims = join(root, '.git/mlv/claims');
  if (!existsSync(claims)) return [];
  return readdirSync(claims).flatMap((name) => {
    const note = join(claims, name, 'run.json');
    if (!existsSync(note)) return [];
    const leader = /"leader":\{"pid":(\d+)/.exec(readFileSync(note, 'utf8'))?.[1];
    return leader === undefined ? [] : [Number(leader)];
  });
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (!hasErrorCode(error, 'ESRCH')) throw error;
  }
}
