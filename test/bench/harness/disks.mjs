// Fresh file systems: making files is up to ten times slower on a disk where many were deleted, so each sample gets an
// image of its own, mounted through a loop device. Where that is not possible, plain folders stand in, and the bench says so.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onCleanup } from './cleanup.mjs';
import { hasProgram } from './processes.mjs';

const MAKERS = {
  // The inode tables are zero in a new image anyway; zeroing them in the background would disturb the first samples.
  ext4: {
    program: 'mkfs.ext4',
    args: (inodes) => ['-q', '-F', '-m', '0', '-N', String(inodes)],
    mount: 'noinit_itable',
  },
  // Copies of one image have one identity, which xfs would refuse to mount twice.
  xfs: { program: 'mkfs.xfs', args: () => ['-q', '-f'], mount: 'nouuid' },
  btrfs: { program: 'mkfs.btrfs', args: () => ['-q', '-f'], mount: 'defaults' },
};

/** All file systems that `makeDisks` knows. */
export const FILE_SYSTEMS = Object.keys(MAKERS);

/** Makes the folder that everything lives in. */
export function makeDisks() {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'mlv-bench-')));
  const dispose = onCleanup(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;
  const name = (kind) => join(root, `${kind}-${++count}`);
  const reasons = new Map();
  const mounted = new Set();

  function mount(image, fs) {
    const folder = name('disk');
    mkdirSync(folder);
    quiet('mount', ['-o', `loop,${MAKERS[fs].mount}`, image, folder]);
    const unmount = onCleanup(() => {
      if (isMounted(folder)) unmountAnyhow(folder);
      rmSync(folder, { recursive: true, force: true });
      rmSync(image, { force: true });
    });
    const disk = { folder, fs, image, close: () => mounted.delete(disk) && unmount() };
    mounted.add(disk);
    return disk;
  }

  const disks = {
    /** Removes everything. */
    dispose() {
      for (const disk of mounted) disk.close();
      dispose();
    },

    /** A folder that outlives single disks. */
    scratch: () => {
      const folder = name('scratch');
      mkdirSync(folder);
      return folder;
    },

    /** Why a file system cannot be had; undefined when it can. */
    whyNot(fs) {
      if (!reasons.has(fs)) reasons.set(fs, tryFileSystem(fs));
      return reasons.get(fs);
    },

    /** A new disk of so many bytes (its image is sparse) and files. A plain folder where `whyNot` says so. */
    fresh({ fs, bytes, inodes }) {
      if (disks.whyNot(fs) !== undefined) return plainFolder();
      const image = name('image');
      writeFileSync(image, '');
      truncateSync(image, bytes);
      quiet(MAKERS[fs].program, [...MAKERS[fs].args(inodes), image]);
      return mount(image, fs);
    },

    /** Ends a disk and keeps what is on it, to be copied by `thaw`. */
    freeze(disk) {
      if (disk.image === undefined) return disk;
      const image = name('frozen');
      execFileSync('sync', ['-f', disk.folder]);
      quiet('umount', [disk.folder]);
      renameSync(disk.image, image);
      disk.close();
      return { fs: disk.fs, image, close: () => rmSync(image, { force: true }) };
    },

    /** A new disk with what a frozen one had. */
    thaw(frozen) {
      if (frozen.image === undefined) {
        const disk = plainFolder();
        cpSync(frozen.folder, disk.folder, { recursive: true, verbatimSymlinks: true });
        return disk;
      }
      const image = name('image');
      quiet('cp', ['--sparse=always', frozen.image, image]);
      quiet('sync', [image]);
      return mount(image, frozen.fs);
    },
  };
  return disks;

  function plainFolder() {
    const folder = name('folder');
    mkdirSync(folder);
    return { folder, fs: 'plain folder', close: () => rmSync(folder, { recursive: true, force: true }) };
  }

  function tryFileSystem(fs) {
    if (process.platform !== 'linux') return 'loop mounts need Linux';
    if (process.getuid() !== 0) return 'loop mounts need root';
    for (const program of [MAKERS[fs].program, 'mount', 'umount']) {
      if (!hasProgram(program)) return `${program} is not installed`;
    }
    const image = name('try');
    try {
      writeFileSync(image, '');
      truncateSync(image, 512 << 20);
      quiet(MAKERS[fs].program, [...MAKERS[fs].args(1000), image]);
      mount(image, fs).close();
      return undefined;
    } catch (error) {
      return String(error.stderr ?? error.message).trim();
    } finally {
      rmSync(image, { force: true });
    }
  }
}

function quiet(command, args) {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function isMounted(folder) {
  return readFileSync('/proc/mounts', 'latin1').includes(` ${folder} `);
}

function unmountAnyhow(folder) {
  try {
    quiet('umount', [folder]);
  } catch {
    quiet('umount', ['--lazy', folder]);
  }
}

/** Brings all bytes below a folder into memory, and what was written before to the disk. */
export function settle(folder, ...warm) {
  if (warm.length > 0) {
    execFileSync('sh', ['-c', 'find "$@" -type f -print0 | xargs -0 cat > /dev/null', 'sh', ...warm], {
      stdio: 'ignore',
    });
  }
  execFileSync('sync', ['-f', folder]);
}
