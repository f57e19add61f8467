import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** Names and versions of all that the figures depend on. */
export function describeMachine() {
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${readDistribution()}, Linux ${release()}`.replace(
      'Linux',
      process.platform === 'linux' ? 'Linux' : process.platform,
    ),
    versions: [`node ${process.versions.node}`, ...['cp', 'find', 'git', 'b3sum', 'strace'].map(versionOf)].join(' · '),
    load: loadavg()[0],
  };
}

/** The first line of what `PROGRAM --version` prints. */
export function versionOf(program) {
  try {
    return execFileSync(program, ['--version'], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .split('\n')[0];
  } catch {
    return `no ${program}`;
  }
}

function readDistribution() {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown system';
  } catch {
    return 'unknown system';
  }
}
