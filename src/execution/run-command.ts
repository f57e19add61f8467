/** One command of a stage, with all the processes that it starts. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from '../workspace/open.ts';
import { isGroupAlive, signalGroup } from '../platform/process-group.ts';

export interface RunCommandOptions {
  readonly command: string;
  /** Where it runs; exists. */
  readonly folder: string;
  readonly environment: Environment;
  /** Called with the process that leads the group before the command begins, and with undefined once the group has ended. */
  readonly onGroup: (leader: number | undefined) => void;
  readonly onOutput: (stream: 'stdout' | 'stderr', bytes: Buffer) => void;
  /** Asks it to end (SIGINT, as Ctrl-C does; after the grace SIGTERM). */
  readonly interrupted: AbortSignal;
  /** Ends it (SIGTERM; after the grace SIGKILL). */
  readonly timedOut: AbortSignal;
  /** Ends it at once (SIGKILL). */
  readonly killed: AbortSignal;
  readonly graceMs: number;
}

/** How its shell ended. */
export interface CommandEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** True where it left processes behind that did not end by themselves. */
  readonly hasLeftovers: boolean;
}

/** The command begins when it is told to, on standard input: never, when mlv is killed before it has noted the process group. */
const GATE = 'read -r mlv_gate && exec /bin/sh -c "$0" </dev/null';
/** For processes that the shell did not wait for, but that are about to end. */
const LINGER_MS = 1_000;
const PAUSE_MS = 20;

/**
 * Runs a command by the shell, in a process group of its own, and resolves once none of the group runs any more and all of its output
 * was handed over. Rejects with Node's error where no process could be started.
 */
export async function runCommand(options: RunCommandOptions): Promise<CommandEnd> {
  const { onOutput, graceMs } = options;
  const child = start(options);
  const exited = new Promise<Pick<CommandEnd, 'code' | 'signal'>>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  child.stdin.on('error', () => undefined); // it was killed at the gate
  child.stdout.on('data', (bytes: Buffer) => onOutput('stdout', bytes));
  child.stderr.on('data', (bytes: Buffer) => onOutput('stderr', bytes));

  const leader = child.pid;
  if (leader === undefined) {
    await exited;
    throw new Error('a process without a number has ended');
  }
  const over = new AbortController();
  const onAbort = (signal: AbortSignal, act: () => void): void => {
    if (signal.aborted) act();
    else signal.addEventListener('abort', act, { once: true, signal: over.signal });
  };
  const escalate = (first: 'SIGINT' | 'SIGTERM', then: 'SIGTERM' | 'SIGKILL'): void => {
    signalGroup(leader, first);
    sleep(graceMs, undefined, { signal: over.signal }).then(
      () => signalGroup(leader, then),
      () => undefined,
    );
  };
  try {
    options.onGroup(leader);
    child.stdin.end('\n');
    onAbort(options.interrupted, () => escalate('SIGINT', 'SIGTERM'));
    onAbort(options.timedOut, () => escalate('SIGTERM', 'SIGKILL'));
    onAbort(options.killed, () => signalGroup(leader, 'SIGKILL'));
    const end = await exited;
    const hasLeftovers = !(await hasGroupEnded(leader, LINGER_MS));
    if (hasLeftovers) {
      signalGroup(leader, 'SIGTERM');
      if (!(await hasGroupEnded(leader, graceMs))) signalGroup(leader, 'SIGKILL');
    }
    // What left the group may keep the pipes open for ever.
    await Promise.race([closed, sleep(LINGER_MS, undefined, { signal: over.signal })]);
    return { ...end, hasLeftovers };
  } catch (error) {
    signalGroup(leader, 'SIGKILL');
    throw error;
  } finally {
    over.abort();
    child.stdout.destroy();
    child.stderr.destroy();
    if (await hasGroupEnded(leader, LINGER_MS)) options.onGroup(undefined);
  }
}

function start({ command, folder, environment }: RunCommandOptions) {
  const options = { cwd: folder, env: { ...environment }, stdio: 'pipe', windowsHide: true } as const;
  return process.platform === 'win32'
    ? spawn('cmd.exe', ['/d', '/s', '/c', `"${command}"`], { ...options, windowsVerbatimArguments: true })
    : spawn('/bin/sh', ['-c', GATE, command], { ...options, detached: true });
}

async function hasGroupEnded(leader: number, waitMs: number): Promise<boolean> {
  for (const deadline = performance.now() + waitMs; isGroupAlive(leader); await sleep(PAUSE_MS))
    if (performance.now() >= deadline) return false;
  return true;
}
