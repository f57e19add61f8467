// Counts what a command reads from certain files, by tracing its system calls.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram, MLV } from './processes.mjs';

const READS = ['read', 'pread64', 'readv', 'preadv', 'preadv2', 'copy_file_range', 'sendfile'];
const CALLS = [...READS, 'open', 'openat', 'openat2', 'mmap', 'ioctl'];
const LINE = /^(\w+)\((.*)\)\s+= (-?\d+)/;

/** Why commands cannot be traced here; undefined when they can. */
export function whyNoTrace() {
  return hasProgram('strace') ? undefined : 'strace is not installed';
}

/**
 * Runs mlv under strace. Gives back for the files below `folder`: `bytesRead`, `filesRead` (path → bytes), `filesOpened`
 * (paths of what was opened, folders left out). Bytes that come by `mmap` or a reflink count as the whole of the file.
 */
export function traceMlv(cwd, args, env, folder) {
  const target = mkdtempSync(join(cwd, '.git/trace-'));
  try {
    // A file for each thread, so that no call is split over two lines.
    const strace = [
      '-ff',
      '-y',
      '-s',
      '0',
      '--seccomp-bpf',
      '-e',
      `trace=${CALLS.join(',')}`,
      '-o',
      join(target, 'thread'),
    ];
    const command = [...strace, process.execPath, MLV, ...args];
    // Calls that go through a ring are not traced.
    execFileSync('strace', command, {
      cwd,
      env: { ...env, UV_USE_IO_URING: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const filesRead = new Map();
    const filesOpened = [];
    for (const name of readdirSync(target)) {
      for (const line of readFileSync(join(target, name), 'latin1').split('\n'))
        count(line, folder, filesRead, filesOpened);
    }
    const bytesRead = [...filesRead.values()].reduce((sum, bytes) => sum + bytes, 0);
    return { bytesRead, filesRead, filesOpened };
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}

function count(line, folder, filesRead, filesOpened) {
  const [, call, args, result] = LINE.exec(line) ?? [];
  const value = Number(result);
  if (call === undefined || value < 0) return;
  if (call.startsWith('open')) {
    const path = /= \d+<(.*)>$/.exec(line)?.[1] ?? '';
    if (path.startsWith(`${folder}/`) && !args.includes('O_DIRECTORY')) filesOpened.push(path);
    return;
  }
  const path = [...args.matchAll(/\d+<([^>]*)>/g)]
    .map((match) => match[1])
    .find((name) => name.startsWith(`${folder}/`));
  if (path === undefined) return;
  if (READS.includes(call)) filesRead.set(path, (filesRead.get(path) ?? 0) + value);
  else if (call === 'mmap' || args.includes('FICLONE'))
    filesRead.set(path, (filesRead.get(path) ?? 0) + Number(/, (\d+), PROT/.exec(args)?.[1] ?? 0));
}
