import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { onCleanup } from './cleanup.mjs';

export const MLV = fileURLToPath(new URL('../../../bin/mlv.js', import.meta.url));

/** The kernel keeps the highest value itself, so asking now and then misses only what the last moments add. */
const MEMORY_POLL_MS = 20;

/** An environment in which no setting of the user or the machine counts. */
export function hermeticEnv(home) {
  return {
    PATH: process.env.PATH,
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
    DVC_NO_ANALYTICS: '1',
  };
}

/**
 * Runs a command to its end. Gives back `seconds`, `peak` (bytes: the largest resident set of the process, all of its
 * threads included, its children not; only with `memory: true`) and `stdout` (only with `output: true`). Throws when it fails.
 */
export function run(command, args, { cwd, env, memory = false, output = false }) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', output ? 'pipe' : 'ignore', 'pipe'] });
    const kill = onCleanup(() => child.kill('SIGKILL'));
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name]?.setEncoding('utf8').on('data', (part) => (text[name] += part));
    }
    let peak = 0;
    const look = () => (peak = Math.max(peak, highWaterMark(child.pid)));
    const poll = memory ? setInterval(look, MEMORY_POLL_MS) : undefined;
    let seconds = 0;
    child.on('exit', () => {
      seconds = (performance.now() - started) / 1000;
      clearInterval(poll);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      kill();
      if (code === 0) resolve({ seconds, ...(memory ? { peak } : {}), ...(output ? { stdout: text.stdout } : {}) });
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}\n${text.stderr}${text.stdout}`));
    });
  });
}

/** Bytes; 0 when the process is gone or this system has no /proc. */
function highWaterMark(pid) {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Runs mlv as its users do, and measures. */
export function mlv(cwd, args, env, options = {}) {
  return run(process.execPath, [MLV, ...args], { cwd, env, memory: true, ...options });
}

/** Whether a program can be started at all. */
export function hasProgram(name) {
  try {
    execFileSync('sh', ['-c', `command -v "${name}"`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
