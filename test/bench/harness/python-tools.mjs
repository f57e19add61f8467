// Tools of Python that mlv is compared with: as they are installed, or installed now into a folder that later runs find again.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The tool's program. Undefined, and told, where it cannot be had. One that is on the PATH may lack an extra that is required. */
export function findPythonTool(bench, { program, requirement = program }) {
  if (requirement === program && runs(program)) return program;
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'mlv-bench', requirement);
  const installed = join(folder, 'bin', program);
  if (existsSync(installed)) return installed;
  if (bench.short) return void bench.skip(requirement, 'it is not installed, and --short installs nothing');
  bench.log(`installing ${requirement}`);
  try {
    execFileSync('python3', ['-m', 'venv', folder], { stdio: 'pipe' });
    execFileSync(join(folder, 'bin/pip'), ['install', '--quiet', requirement], { stdio: 'pipe', timeout: 600_000 });
    return installed;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    const [reason] = String(error.stderr ?? error.message)
      .trim()
      .split('\n')
      .slice(-1);
    return void bench.skip(requirement, `it could not be installed: ${reason}`);
  }
}

function runs(program) {
  try {
    execFileSync(program, ['--help'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
