/**
 * Loaded before mlv: disks behave as network file systems do. NETWORK_DISK says how, as JSON:
 * grain: milliseconds between two times that files can have; ahead: how far the server's clock is ahead, in milliseconds;
 * stale: the file below `under` that is the so-manieth to be opened for reading has gone stale (ESTALE), and is there when it is opened again;
 * silly: what is removed or replaced stays as .nfs…, as long as some process has it open; bootId, host: whose machine this is.
 */
const fs = require('node:fs');
const os = require('node:os');
const { dirname, join } = require('node:path');
const { syncBuiltinESMExports } = require('node:module');

const {
  grain = 1,
  ahead = 0,
  stale = 0,
  silly = false,
  under = '/',
  bootId,
  host,
} = JSON.parse(process.env.NETWORK_DISK ?? '{}');

/** Times as the server has them. */
function served(stats) {
  if (stats === undefined || stats === null) return stats;
  for (const name of ['atime', 'mtime', 'ctime', 'birthtime']) {
    if (typeof stats[`${name}Ms`] === 'bigint') {
      const [step, shift] = [BigInt(grain), BigInt(ahead)];
      const ms = ((stats[`${name}Ms`] + shift) / step) * step;
      stats[`${name}Ms`] = ms;
      stats[`${name}Ns`] = grain === 1 ? stats[`${name}Ns`] + shift * 1_000_000n : ms * 1_000_000n;
    } else {
      const ms = stats[`${name}Ms`] + ahead;
      stats[`${name}Ms`] = grain === 1 ? ms : Math.floor(ms / grain) * grain;
    }
  }
  return stats;
}

const real = { ...fs };
for (const name of ['statSync', 'lstatSync', 'fstatSync']) {
  fs[name] = (...args) => served(real[name](...args));
}
for (const name of ['stat', 'lstat']) {
  const { [name]: own } = fs.promises;
  fs.promises[name] = async (...args) => served(await own(...args));
}
for (const name of ['utimesSync', 'lutimesSync', 'futimesSync']) {
  const back = (time) => (time instanceof Date ? time.getTime() : Number(time) * 1000) - ahead;
  fs[name] = (file, atime, mtime) => real[name](file, back(atime) / 1000, back(mtime) / 1000);
}

let opened = 0;
function maybeStale(path, flags) {
  const isRead = flags === undefined || flags === 'r' || (typeof flags === 'number' && (flags & 3) === 0);
  // What Node opens itself is not on that disk.
  if (stale === 0 || !isRead || typeof path !== 'string' || !path.startsWith(under) || ++opened !== stale) return;
  throw Object.assign(new Error(`ESTALE: stale file handle, open '${path}'`), {
    code: 'ESTALE',
    errno: -116,
    syscall: 'open',
    path,
  });
}
fs.openSync = (path, flags, mode) => {
  maybeStale(path, flags);
  return real.openSync(path, flags, mode);
};
fs.readFileSync = (path, options) => {
  if (path === '/proc/sys/kernel/random/boot_id' && bootId !== undefined) return `${bootId}\n`;
  maybeStale(path, options?.flag);
  return real.readFileSync(path, options);
};
const { open } = fs.promises;
fs.promises.open = async (path, flags, mode) => {
  maybeStale(path, flags);
  const file = await open(path, flags, mode);
  const { stat } = file;
  file.stat = async (...args) => served(await stat.apply(file, args));
  return file;
};

let left = 0;
/** Another process may have it open. */
function keepSilly(path) {
  if (!silly || !real.lstatSync(path, { throwIfNoEntry: false })?.isFile()) return;
  const name = `.nfs${process.pid.toString(16).padStart(16, '0')}${(++left).toString(16).padStart(8, '0')}`;
  try {
    real.linkSync(path, join(dirname(path), name));
  } catch {
    // gone meanwhile
  }
}
for (const name of ['unlinkSync', 'rmSync']) {
  fs[name] = (path, ...rest) => {
    keepSilly(path);
    return real[name](path, ...rest);
  };
}
fs.renameSync = (from, to) => {
  keepSilly(to);
  return real.renameSync(from, to);
};
fs.linkSync = (from) => {
  throw Object.assign(new Error(`ENOTSUP: operation not supported, link '${from}'`), {
    code: 'ENOTSUP',
    syscall: 'link',
    path: from,
  });
};
if (host !== undefined) os.hostname = () => host;
syncBuiltinESMExports();
