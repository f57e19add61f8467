import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { Stage } from '../domain/pipeline.ts';
import { hashEngine } from '../platform/hash.ts';
import { forEachParallel } from '../platform/parallel.ts';
import type { Workspace } from './open.ts';
import type { VerbOptions } from './progress.ts';
import { openRootNotes } from './root-notes.ts';

const TIMEOUT_MS = 30_000;
const MAX_BYTES = 4 << 10;
const JOBS = 4;

/**
 * Which commands for versions are run: a pipeline file may come from anybody, and only who runs its stages has agreed to run what it says.
 * `asked-before` are those that ran here for a stage that was run.
 */
export type AskedTools = 'all' | 'asked-before' | 'none';

/**
 * What the commands print that tell versions of tools, by command: of standard output, or of standard error where that is empty, at most
 * the first 4 KiB. Each is run once, by the shell, in the project's root; those that are not to be asked are not in the result. Throws
 * `tool-failed`.
 */
export async function toolVersions(
  workspace: Workspace,
  stages: readonly Pick<Stage, 'tools'>[],
  { signal, asked }: VerbOptions & { readonly asked: AskedTools },
): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>();
  const tools = new Map(
    stages.flatMap((stage) => Object.entries(stage.tools).map(([tool, command]) => [command, tool])),
  );
  if (tools.size === 0 || asked === 'none') return versions;
  const notes = openRootNotes(join(workspace.ownFolder, 'state', 'asked-tools'), 'asked');
  const { hash } = hashEngine();
  const digests = new Map([...tools.keys()].map((each) => [each, digestFromBytes(hash(Buffer.from(each, 'utf8')))]));
  const before = notes.read();
  const chosen = [...tools].filter(([each]) => asked === 'all' || before.has(digests.get(each) ?? ('' as Digest)));
  await forEachParallel(chosen, { jobs: JOBS, signal }, async ([command, tool], stop) => {
    versions.set(command, await run(workspace, { command, tool, signal: stop }));
  });
  if (asked === 'all') notes.note([...digests.values()]);
  return versions;
}

function run(
  { root, environment }: Workspace,
  { command, tool, signal }: { readonly command: string; readonly tool: string; readonly signal: AbortSignal },
): Promise<string> {
  const isWindows = process.platform === 'win32';
  const [shell, ...options] = isWindows ? ['cmd.exe', '/d', '/s', '/c'] : ['/bin/sh', '-c'];
  return new Promise((resolve, reject) => {
    const child = spawn(shell ?? '', [...options, isWindows ? `"${command}"` : command], {
      cwd: root,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what the shell has started ends with it.
      detached: !isWindows,
      windowsVerbatimArguments: true,
      windowsHide: true,
    });
    const told = [child.stdout, child.stderr].map((stream) => {
      const chunks: Buffer[] = [];
      let length = 0;
      stream.on('data', (chunk: Buffer) => {
        if (length < MAX_BYTES) chunks.push(chunk);
        length += chunk.length;
      });
      return () => Buffer.concat(chunks).subarray(0, MAX_BYTES).toString('utf8').trim();
    });
    const kill = (): void => {
      if (child.pid === undefined || isWindows) return void child.kill('SIGKILL');
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // ended already
      }
    };
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      kill();
    }, TIMEOUT_MS);
    signal.addEventListener('abort', kill, { once: true });
    const finish = (why: string | undefined): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
      if (signal.aborted) return reject(signal.reason as Error);
      const [output = '', errors = ''] = told.map((text) => text());
      if (why === undefined) resolve(output === '' ? errors : output);
      else reject(toolFailed({ tool, command, why, told: errors === '' ? output : errors }));
    };
    child.once('error', (error) => finish(error.message));
    child.once('close', (code, ended) => {
      if (isLate) finish(`it took longer than ${TIMEOUT_MS / 1000} seconds`);
      else if (code !== 0) finish(code === null ? `it was ended by ${ended ?? 'a signal'}` : `it exited with ${code}`);
      else finish(undefined);
    });
  });
}

function toolFailed(given: {
  readonly tool: string;
  readonly command: string;
  readonly why: string;
  readonly told: string;
}): MlvError {
  const { tool, command, why, told } = given;
  return new MlvError({
    code: 'tool-failed',
    kind: 'io',
    message: `the version of ${tool} is not known: ${why}: ${command}`,
    items: told === '' ? [] : told.split('\n'),
    hint: 'Install the tool, or mend its command under "tools" in mlv.yaml.',
  });
}
