/** Two users of a machine, in one group, with a clone each of one project; only root can run commands as them. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lutimesSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Files } from './folders.ts';
import { manyFiles, writeFiles } from './folders.ts';
import type { TestRepository } from './git.ts';
import type { MlvOptions, MlvRig } from './mlv.ts';
import type { SharedProject } from './shared-project.ts';
import { shareProject } from './shared-project.ts';
import { told } from './told.ts';

export const isRoot = process.getuid?.() === 0;
export const WHY_ROOT = 'only root can run commands as two users';
const GROUP = 64_000;
const USERS = [64_001, 64_002];

export interface User extends TestRepository {
  readonly as: MlvOptions;
  /** What a command of this user prints that succeeds. */
  mlv(...args: string[]): Promise<string>;
  /** Writes files that belong to this user. */
  put(files: Files): void;
}

export interface TwoUsers extends SharedProject {
  /** A folder of the group, with nothing in it; by setting, both clones' cache. */
  readonly cache: string;
  readonly a: User;
  readonly b: User;
}

/** Makes them, with `data` (small files) and `model` pushed. `umasks` are theirs, as a shell takes them. */
export async function makeTwoUsers(
  rig: MlvRig,
  name: string,
  { umasks, env = {} }: { readonly umasks: readonly [string, string]; readonly env?: Readonly<Record<string, string>> },
): Promise<TwoUsers> {
  chmodSync(rig.folder, 0o755);
  const origin = await shareProject(rig, name, { ...manyFiles(120, 'data/'), model: 'first' }, 'data', 'model');
  await told(rig, origin.root, ['push']);
  const cache = join(rig.folder, `${name}-cache`);
  mkdirSync(cache);
  chownSync(cache, USERS[0] ?? 0, GROUP);
  execFileSync('chmod', ['-R', 'a+rwX', origin.remote]);
  const users = USERS.map((uid, index): User => {
    const home = join(rig.folder, `${name}-home-${uid}`);
    const clone = origin.clone(`${name}-home-${uid}/clone`);
    const { root } = clone;
    execFileSync('chown', ['-R', `${uid}:${GROUP}`, home]);
    chmodSync(home, 0o750);
    // Git passes no setting of the environment on to where it reads another repository.
    const settings = join(home, 'gitconfig');
    writeFileSync(settings, '[safe]\n\tdirectory = *\n');
    const as: MlvOptions = {
      uid,
      gid: GROUP,
      umask: umasks[index] ?? '',
      env: { HOME: home, GIT_CONFIG_GLOBAL: settings, ...env },
    };
    return {
      ...clone,
      as,
      mlv: (...args) => told(rig, root, args, as),
      put(files) {
        writeFiles(root, files);
        for (const path of Object.keys(files))
          execFileSync('chown', ['-R', `${uid}:${GROUP}`, join(root, path.split('/')[0] ?? '')]);
      },
    };
  });
  const [a, b] = users;
  if (a === undefined || b === undefined) throw new Error('there are two users');
  return { ...origin, cache, a, b };
}

/** Both keep what they have in the folder of their group. */
export async function shareCacheOf({ cache, a, b }: TwoUsers): Promise<void> {
  for (const { mlv } of [a, b]) {
    await mlv('config', '--local', 'cache.dir', cache);
    await mlv('config', '--local', 'cache.shared', 'group');
  }
}

/** What somebody has made of his clone is open to the group. */
export function openToGroup({ root }: User): void {
  execFileSync('chmod', ['-R', 'g+rX', root]);
}

/** Folders and files that not everybody of the group may use as the others. */
export function notShared(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mode, gid } = statSync(path);
    const isRight = entry.isDirectory() ? (mode & 0o7777) === 0o2775 : (mode & 0o440) === 0o440;
    return isRight && gid === GROUP ? [] : [`${path.slice(folder.length + 1)} ${(mode & 0o7777).toString(8)} ${gid}`];
  });
}

/** Makes everything in a folder look as if it was used, or thrown away, so many days ago. */
export function age(folder: string, days: number): void {
  const then = new Date(Date.now() - days * 24 * 60 * 60 * 1000);
  for (const name of readdirSync(folder, { recursive: true })) lutimesSync(join(folder, String(name)), then, then);
}

/** Gives a folder to the group, as the documentation says. */
export function giveToGroup(folder: string): void {
  execFileSync('chown', ['-R', `:${GROUP}`, folder]);
  execFileSync('chmod', ['-R', 'o-rwx,g+rwX', folder]);
  execFileSync('find', [folder, '-type', 'd', '-exec', 'chmod', '2775', '{}', '+']);
}
