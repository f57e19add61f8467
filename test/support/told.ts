/** Runs mlv and takes what it tells people, in the two forms there are. */
import type { MlvOptions, MlvRig } from './mlv.ts';

/** A command that waits for another's lock says so, where that takes long. */
const WAITING = /^waiting: .*\n/gm;

/** What it printed besides. */
export function withoutWaiting(stderr: string): string {
  return stderr.replaceAll(WAITING, '');
}

/** What a command that succeeds prints; throws when it fails, or prints to stderr. */
export async function told(rig: MlvRig, cwd: string, args: readonly string[], options?: MlvOptions): Promise<string> {
  const { code, stdout, stderr } = await rig.mlv(cwd, ['--no-progress', ...args], options);
  if (code !== 0 || withoutWaiting(stderr) !== '')
    throw new Error(`mlv ${args.join(' ')} exited with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** What a command prints with `--json`, parsed. */
export async function data<T = Record<string, unknown>>(
  rig: MlvRig,
  cwd: string,
  args: readonly string[],
  options?: MlvOptions,
): Promise<T> {
  return JSON.parse(await told(rig, cwd, ['--json', ...args], options)) as T;
}

/** What a command that fails prints to stderr; throws when it succeeds, prints results, has no hint, or shows a stack. */
export async function refusal(
  rig: MlvRig,
  cwd: string,
  args: readonly string[],
  options?: MlvOptions & { readonly code?: number },
): Promise<string> {
  const { code, stdout, stderr } = await rig.mlv(cwd, ['--no-progress', ...args], options);
  const lines = stderr.trimEnd().split('\n');
  const isTold =
    lines[0]?.startsWith('error: ') === true && lines.at(-1)?.startsWith('hint: ') === true && !/^ +at /m.test(stderr);
  if (code === (options?.code ?? 1) && stdout === '' && isTold) return stderr;
  throw new Error(`mlv ${args.join(' ')} exited with ${code}, and not with a proper error:\n${stdout}${stderr}`);
}
