/** A container as a local process, the first of a process group that ends with it as a container's processes do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerLog } from './container-log.ts';

export interface ContainerProcess {
  /** With 128 and the number of the signal where one ended it. */
  readonly exited: Promise<{ exitCode: number }>;
  /**
   * Only the first process gets it, as the runtime's does, and only where it has a handler: within a container it is the init process,
   * which the kernel spares. SIGKILL ends all of them.
   */
  signal(name: NodeJS.Signals): void;
}

export interface ProcessOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly log: ContainerLog;
}

/** How long output may still come from what has left the process group. */
const OUTPUT_MS = 500;
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** Ended with this process, should it end without closing its clusters. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
});

/** Rejects where the program cannot be started. */
export async function startProcess({ command, env, workingDir, log }: ProcessOptions): Promise<ContainerProcess> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: workingDir,
    env: { ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (chunk: Buffer) => log.append(name, chunk));
  const exited = waitForEnd(child, log);
  exited.catch(() => undefined);
  await once(child, 'spawn');
  running.add(child);
  child.on('exit', () => running.delete(child));
  return {
    exited,
    signal(name) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      if (name === 'SIGKILL' || isCaught(child, name)) signalGroup(child, name);
    },
  };
}

/** What the runtime says of a program that it cannot start. */
export function startErrorMessage(program: string, error: unknown): string {
  const isPath = program.includes('/');
  const missing = isPath ? `stat ${program}: no such file or directory` : 'executable file not found in $PATH';
  const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? missing : 'permission denied';
  return (
    'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start ' +
    `container process: error during container init: exec: "${program}": ${why}`
  );
}

/** By the mask of signals that a process handles; where the system does not tell, all are. */
function isCaught({ pid }: ChildProcess, name: NodeJS.Signals): boolean {
  try {
    const [, mask = '0'] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return ((BigInt(`0x${mask}`) >> BigInt((SIGNALS[name] ?? 1) - 1)) & 1n) === 1n;
  } catch {
    return process.platform !== 'linux';
  }
}

async function waitForEnd(child: ChildProcess, log: ContainerLog): Promise<{ exitCode: number }> {
  const closed = once(child, 'close');
  closed.catch(() => undefined);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  signalGroup(child, 'SIGKILL');
  await Promise.race([closed, sleep(OUTPUT_MS)]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  log.close();
  return { exitCode: code ?? 128 + (SIGNALS[signal ?? ''] ?? 0) };
}

function signalGroup({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(name === 'SIGKILL' ? -pid : pid, name);
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
