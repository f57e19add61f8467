/** Runs the built program as people do, in temporary folders and out of reach of the user's settings. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hermeticEnv, makeRepository, makeTemporaryFolder, repositoryAt, type TestRepository } from './git.ts';

/** The program, built. */
export const BIN = fileURLToPath(new URL('../../bin/mlv.js', import.meta.url));

export interface MlvResult {
  /** Exit code; undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface MlvOptions {
  /** Added to the hermetic environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Runs it as this user, and as a member of this group or one of the same number; only root can. */
  readonly uid?: number;
  readonly gid?: number;
  /** As a shell takes it: `077`. */
  readonly umask?: string;
  /** How many files it may have open. */
  readonly openFiles?: number;
}

/** A command that runs. */
export interface RunningMlv {
  readonly process: ChildProcess;
  readonly result: Promise<MlvResult>;
}

export interface MlvRig {
  /** A new folder for everything; its real path. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs `mlv ARGS` in a folder to its end. */
  mlv(cwd: string, args: readonly string[], options?: MlvOptions): Promise<MlvResult>;
  /** Starts it, for tests that talk to it while it runs. */
  start(cwd: string, args: readonly string[], options?: MlvOptions): RunningMlv;
  /** A new Git repository, without and with `mlv init`. */
  repository(name: string): TestRepository;
  project(name: string): Promise<TestRepository>;
  /** Removes the folder. */
  dispose(): void;
}

/** Makes a rig; `npm run build` must have been run. */
export function makeMlvRig(): MlvRig {
  const folder = makeTemporaryFolder();
  const home = join(folder, 'home');
  mkdirSync(home);
  // Nobody gives credentials by chance: a machine in a cloud would.
  const env = { ...hermeticEnv(home), TERM: 'xterm-256color', AWS_EC2_METADATA_DISABLED: 'true' };

  let template: Promise<string> | undefined;
  const rig: MlvRig = {
    folder,
    env,
    start(cwd, args, options = {}) {
      const { umask, openFiles, uid, gid = uid } = options;
      const command = [process.execPath, BIN, ...args];
      const limits = [
        ...(umask === undefined ? [] : [`umask ${umask}`]),
        ...(openFiles === undefined ? [] : [`ulimit -n ${openFiles}`]),
      ];
      const [program = '', ...words] =
        limits.length === 0 ? command : ['sh', '-c', [...limits, 'exec "$0" "$@"'].join('; '), ...command];
      const child = spawn(program, words, {
        cwd,
        env: { ...env, ...options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
      });
      return { process: child, result: resultOf(child) };
    },
    mlv: (cwd, args, options) => rig.start(cwd, args, options).result,
    repository: (name) => makeRepository(join(folder, name)),
    async project(name) {
      // Most tests want one, some of them several: copied, each takes a tenth of the time.
      template ??= makeTemplate(rig);
      const root = join(folder, name);
      cpSync(await template, root, { recursive: true });
      return repositoryAt(root);
    },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
  return rig;
}

/** A project as "mlv init" leaves it; nothing in it tells where it is. */
async function makeTemplate(rig: MlvRig): Promise<string> {
  const { root } = rig.repository('.template');
  const { code, stderr } = await rig.mlv(root, ['init']);
  if (code !== 0) throw new Error(stderr);
  return root;
}

function resultOf(child: ChildProcess): Promise<MlvResult> {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? undefined, ...output }));
  });
}
