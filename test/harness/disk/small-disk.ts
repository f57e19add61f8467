/** Disks in memory that are as small, full or read-only as a test wants them; only root can mount them. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';

export interface SmallDisk {
  /** Leaves so many bytes (in whole pages) free, or so many names. */
  leave(room: { readonly bytes: number } | { readonly names: number }): void;
  /** More room than anything needs. */
  makeRoom(): void;
  setReadOnly(isReadOnly: boolean): void;
  unmount(): void;
}

const PAGE = 4096;
const PLENTY = 256 << 20;
const MANY = 100_000;

/** Why there can be no such disks here; undefined where there can. */
export const noDisks: string | undefined =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'only root can mount a disk in memory' : undefined;

/** Mounts one at a new folder. It goes when it is unmounted, and when this process dies, however it does. */
export function mountSmallDisk(folder: string): SmallDisk {
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${PLENTY},nr_inodes=${MANY}`, 'tmpfs', folder]);
  // Its end of the pipe closes with this process.
  const guard = spawn('sh', ['-c', 'cat > /dev/null; umount -l "$1" 2> /dev/null', 'sh', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  const remount = (options: string): void => void execFileSync('mount', ['-o', `remount,${options}`, folder]);
  return {
    leave(room) {
      const { blocks, bfree, bsize, files, ffree } = statfsSync(folder);
      if ('names' in room) remount(`nr_inodes=${files - ffree + room.names}`);
      // No size at all would be no limit.
      else remount(`size=${Math.max(PAGE, (blocks - bfree) * bsize + room.bytes)}`);
    },
    makeRoom: () => remount(`size=${PLENTY},nr_inodes=${MANY}`),
    setReadOnly: (isReadOnly) => remount(isReadOnly ? 'ro' : 'rw'),
    unmount() {
      execFileSync('umount', [folder]);
      guard.stdin.end();
    },
  };
}
