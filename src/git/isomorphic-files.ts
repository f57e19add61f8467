import { promises as fs, type Stats } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import type { GitLayout } from './layout.ts';

/** isomorphic-git reads a pack whole, and keeps it. */
const PACK_LIMIT = 256 * 1024 * 1024;

/** The part of `node:fs` that isomorphic-git uses. */
export interface IsomorphicFiles {
  readonly promises: Readonly<
    Record<'readFile', (path: string, options?: object | string) => Promise<Buffer | string>> &
      Record<'writeFile', (path: string, data: Uint8Array | string) => Promise<void>> &
      Record<'mkdir' | 'rmdir' | 'unlink', (path: string) => Promise<void>> &
      Record<'stat' | 'lstat', (path: string) => Promise<Stats>> &
      Record<'readdir', (path: string) => Promise<string[]>> &
      Record<'readlink', (path: string) => Promise<Buffer>> &
      Record<'symlink', (target: string, path: string) => Promise<void>>
  >;
}

export interface IsomorphicFilesOptions {
  /** Called before a pack is read, with its size in bytes. */
  readonly onPack: (size: number) => void;
  /** Where `index` is read from and written to instead. */
  readonly index?: string;
}

/**
 * The file system as isomorphic-git is to see it: a linked work tree's Git folder with the shared parts in their place,
 * files written whole (temporary file, rename), and no pack larger than memory should hold.
 */
export function isomorphicFiles(layout: GitLayout, options: IsomorphicFilesOptions): IsomorphicFiles {
  const real = (path: string): string => realPath(layout, options, path);
  let written = 0;
  return {
    promises: {
      async readFile(path, readOptions) {
        const target = real(path);
        if (/\.(?:pack|idx)$/.test(target)) await checkPack(target, options.onPack);
        return fs.readFile(target, readOptions as { encoding: 'utf8' });
      },
      async writeFile(path, data) {
        const target = real(path);
        const isObject = target.startsWith(join(layout.commonDir, 'objects'));
        const temporary = `${target}.mlv-${process.pid}-${++written}`;
        try {
          await fs.writeFile(temporary, data, { mode: isObject ? 0o444 : 0o666, flag: 'wx' });
          await fs.rename(temporary, target);
        } catch (error) {
          await fs.rm(temporary, { force: true });
          throw error;
        }
      },
      mkdir: async (path) => fs.mkdir(real(path)),
      rmdir: async (path) => fs.rmdir(real(path)),
      unlink: async (path) => fs.unlink(real(path)),
      stat: async (path) => fs.stat(real(path)),
      lstat: async (path) => fs.lstat(real(path)),
      readdir: async (path) => fs.readdir(real(path)),
      readlink: async (path) => fs.readlink(real(path), { encoding: 'buffer' }),
      symlink: async (target, path) => fs.symlink(target, real(path)),
    },
  };
}

/** Shared by all work trees (gitrepository-layout(5)); the rest is each work tree's own. */
const SHARED = /^(?:objects|refs|packed-refs|config|info|shallow)(?:\/|$)/;
const OWN_REFS = /^refs\/(?:bisect|worktree|rewritten)(?:\/|$)/;

function realPath(layout: GitLayout, options: IsomorphicFilesOptions, path: string): string {
  const prefix = `${layout.gitDir}/`;
  if (!path.startsWith(prefix)) return path;
  const inner = path.slice(prefix.length);
  if (inner === 'index' && options.index !== undefined) return options.index;
  return SHARED.test(inner) && !OWN_REFS.test(inner) ? join(layout.commonDir, inner) : path;
}

async function checkPack(path: string, onPack: (size: number) => void): Promise<void> {
  const pack = path.replace(/idx$/, 'pack');
  let size: number;
  try {
    ({ size } = await fs.stat(pack));
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return;
    throw error;
  }
  // Its index alone takes several times its size in memory, so that is not read either.
  if (size > PACK_LIMIT) throw unsupportedPack(pack, size);
  if (path === pack) onPack(size);
}

function unsupportedPack(path: string, size: number): MlvError {
  return new MlvError({
    code: 'git-unsupported-pack',
    kind: 'unsupported',
    message: `The Git pack ${path} has ${Math.round(size / 1024 ** 2)} MiB, too much to read without the git program`,
    hint: 'Install git, or work in a shallow clone (git clone --depth 1)',
  });
}

/** Forgets the packs it has read once they would exceed the limit together. */
export function packCache(): { readonly current: () => object; readonly onPack: (size: number) => void } {
  let cache = {};
  let held = 0;
  return {
    current: () => cache,
    onPack(size) {
      if (held + size > PACK_LIMIT) {
        cache = {};
        held = 0;
      }
      held += size;
    },
  };
}
