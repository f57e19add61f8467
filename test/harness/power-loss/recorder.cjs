/**
 * Loaded before mlv (`node --require`, by NODE_OPTIONS, so threads load it, too). Appends every change below the folder
 * MLV_POWER_ROOT, with its bytes, to the file MLV_POWER_JOURNAL: one write with O_APPEND for each, so all threads and processes
 * share one order. A change is noted once it is made, and before whoever made it goes on; a flush that takes a while is noted at
 * its beginning (what it covers) and at its end (from when on that is safe).
 *
 * A record: u32 length of the head, u32 length of the bytes, head (JSON), bytes. See journal.ts.
 */
'use strict';
const childProcess = require('node:child_process');
const fs = require('node:fs');
const promises = require('node:fs/promises');
const path = require('node:path');
const { isMainThread, threadId } = require('node:worker_threads');

const root = process.env.MLV_POWER_ROOT;
const code = process.env.MLV_POWER_CODE;
/** Where set, clones succeed, as plain copies: on a disk without them, what mlv does with clones is tried all the same. */
const hasClones = process.env.MLV_POWER_CLONES === '1';
const real = { ...fs };
const journal = real.openSync(process.env.MLV_POWER_JOURNAL, 'a');
/** Open files: which they are, and where the next write without an offset goes. */
const files = new Map();
let count = 0;
let isQuiet = false;

const nextId = () => `${process.pid}.${threadId}.${(count += 1)}`;
const below = (name) => {
  const absolute = path.resolve(String(name));
  if (absolute === root) return '';
  return absolute.startsWith(`${root}/`) ? absolute.slice(root.length + 1) : undefined;
};

function note(head, bytes = Buffer.alloc(0)) {
  if (isQuiet) return;
  const text = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(text.length, 0);
  lengths.writeUInt32LE(bytes.length, 4);
  const record = Buffer.concat([lengths, text, bytes]);
  if (real.writeSync(journal, record) !== record.length) throw new Error('the journal of changes is cut short');
}

/** Places in mlv's code that led here, innermost first: `main.js:12:345`. */
function site() {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 20;
  const { stack } = new Error('site');
  Error.stackTraceLimit = stackTraceLimit;
  return [...stack.matchAll(/\(?([^\s()]+):(\d+):(\d+)\)?$/gm)]
    .filter(([, file]) => file.startsWith(`${code}/`))
    .map(([, file, line, column]) => `${file.slice(code.length + 1)}:${line}:${column}`);
}

const there = (name) => real.lstatSync(name, { throwIfNoEntry: false }) !== undefined;
const bytesOf = (data) =>
  typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
const writes = (flags) =>
  typeof flags === 'string' ? /[wa+]/.test(flags) : (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) !== 0;
const truncates = (flags) => (typeof flags === 'string' ? flags.startsWith('w') : (flags & fs.constants.O_TRUNC) !== 0);
const appends = (flags) => (typeof flags === 'string' ? flags.startsWith('a') : (flags & fs.constants.O_APPEND) !== 0);

/** Before a file is opened: what is to be noted once it is. */
function opening(name, flags = 'r') {
  const at = below(name);
  if (at === undefined) return undefined;
  return { at, flags, isNew: writes(flags) && !there(name) };
}

function opened(descriptor, plan) {
  files.delete(descriptor);
  if (plan === undefined) return;
  const { at, flags, isNew } = plan;
  const file = { id: nextId(), path: at, position: 0, appends: appends(flags), isNoted: false };
  files.set(descriptor, file);
  if (!writes(flags)) return;
  file.isNoted = true;
  const mode = isNew ? real.fstatSync(descriptor).mode & 0o7777 : undefined;
  note({ o: 'open', id: file.id, path: at, isNew, truncates: truncates(flags) && !isNew, mode });
}

function wrote(descriptor, data, length, position) {
  const file = files.get(descriptor);
  if (file === undefined) return;
  const bytes = data.subarray(0, length);
  let at = position;
  if (file.appends) at = real.fstatSync(descriptor).size - length;
  else if (typeof position !== 'number') {
    at = file.position;
    file.position += length;
  }
  note({ o: 'write', id: file.id, at }, bytes);
}

function readFrom(descriptor, length, position) {
  const file = files.get(descriptor);
  if (file !== undefined && typeof position !== 'number') file.position += length;
}

function onFile(descriptor, head) {
  const file = files.get(descriptor);
  if (file === undefined) return false;
  if (!file.isNoted) {
    file.isNoted = true;
    note({ o: 'open', id: file.id, path: file.path, isNew: false, truncates: false });
  }
  note({ ...head, id: file.id });
  return true;
}

function renamed(from, to, places) {
  const [a, b] = [below(from), below(to)];
  if (a !== undefined && b !== undefined) note({ o: 'rename', path: a, to: b, site: places });
}

/** All at or below a path, what is inside first. */
function inside(name) {
  const stats = real.lstatSync(name, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (!stats.isDirectory()) return [{ path: name, isFolder: false }];
  return [...real.readdirSync(name).flatMap((entry) => inside(path.join(name, entry))), { path: name, isFolder: true }];
}

function removed(entries) {
  for (const entry of entries) {
    const at = below(entry.path);
    if (at !== undefined && !there(entry.path)) note({ o: entry.isFolder ? 'rmdir' : 'unlink', path: at });
  }
}

/** Folders that are not there yet, outermost first. */
function foldersToMake(name, isRecursive) {
  const missing = [];
  for (let each = path.resolve(String(name)); !there(each); each = path.dirname(each)) {
    missing.unshift(each);
    if (!isRecursive) break;
  }
  return missing;
}

function made(folders) {
  for (const folder of folders) {
    const at = below(folder);
    if (at !== undefined) note({ o: 'mkdir', path: at, mode: real.lstatSync(folder).mode & 0o7777 });
  }
}

const isRecursive = (options) => typeof options === 'object' && options !== null && options.recursive === true;

function copied(name, isNew) {
  const at = below(name);
  if (at === undefined) return;
  const id = nextId();
  note({ o: 'open', id, path: at, isNew, truncates: !isNew, mode: real.lstatSync(name).mode & 0o7777 });
  note({ o: 'write', id, at: 0 }, real.readFileSync(name));
}

const plainly = (mode = 0) =>
  hasClones ? mode & ~(fs.constants.COPYFILE_FICLONE_FORCE | fs.constants.COPYFILE_FICLONE) : mode;

Object.assign(fs, {
  openSync(name, flags, mode) {
    const plan = opening(name, flags);
    const descriptor = real.openSync(name, flags, mode);
    opened(descriptor, plan);
    return descriptor;
  },
  closeSync(descriptor) {
    files.delete(descriptor);
    real.closeSync(descriptor);
  },
  writeSync(descriptor, data, offset, length, position) {
    if (typeof data === 'string') {
      const done = real.writeSync(descriptor, data, offset, length);
      wrote(descriptor, Buffer.from(data), done, offset);
      return done;
    }
    const done = real.writeSync(descriptor, data, offset, length, position);
    wrote(descriptor, bytesOf(data).subarray(offset ?? 0), done, position);
    return done;
  },
  readSync(descriptor, data, offset, length, position) {
    const done = real.readSync(descriptor, data, offset, length, position);
    readFrom(descriptor, done, position);
    return done;
  },
  writeFileSync(name, data, options) {
    const plan = opening(name, options?.flag ?? 'w');
    real.writeFileSync(name, data, options);
    if (plan === undefined) return;
    const id = nextId();
    const mode = plan.isNew ? real.lstatSync(name).mode & 0o7777 : undefined;
    note({ o: 'open', id, path: plan.at, isNew: plan.isNew, truncates: !plan.isNew, mode });
    note({ o: 'write', id, at: 0 }, bytesOf(data));
  },
  ftruncateSync(descriptor, size = 0) {
    real.ftruncateSync(descriptor, size);
    onFile(descriptor, { o: 'truncate', size });
  },
  fchmodSync(descriptor, mode) {
    real.fchmodSync(descriptor, mode);
    onFile(descriptor, { o: 'mode', mode });
  },
  chmodSync(name, mode) {
    real.chmodSync(name, mode);
    const at = below(name);
    if (at !== undefined) note({ o: 'mode', path: at, mode });
  },
  utimesSync(name, accessed, modified) {
    real.utimesSync(name, accessed, modified);
    const at = below(name);
    if (at !== undefined) note({ o: 'times', path: at, time: real.lstatSync(name).mtimeMs });
  },
  fsyncSync(descriptor) {
    real.fsyncSync(descriptor);
    onFile(descriptor, { o: 'flush', site: site() });
  },
  fsync(descriptor, done) {
    const flush = nextId();
    const isOurs = onFile(descriptor, { o: 'flush', site: site(), flush });
    real.fsync(descriptor, (error) => {
      if (isOurs && !error) note({ o: 'flushed', flush });
      done(error);
    });
  },
  renameSync(from, to) {
    real.renameSync(from, to);
    renamed(from, to, site());
  },
  linkSync(existing, name) {
    real.linkSync(existing, name);
    const [a, b] = [below(existing), below(name)];
    if (a !== undefined && b !== undefined) note({ o: 'link', path: a, to: b });
  },
  symlinkSync(target, name, type) {
    real.symlinkSync(target, name, type);
    const at = below(name);
    if (at !== undefined) note({ o: 'symlink', path: at, target: String(target) });
  },
  unlinkSync(name) {
    real.unlinkSync(name);
    const at = below(name);
    if (at !== undefined) note({ o: 'unlink', path: at });
  },
  rmdirSync(name, options) {
    real.rmdirSync(name, options);
    const at = below(name);
    if (at !== undefined) note({ o: 'rmdir', path: at });
  },
  rmSync(name, options) {
    const entries = below(name) === undefined ? [] : inside(name);
    isQuiet = true; // it may come by here again
    try {
      real.rmSync(name, options);
    } finally {
      isQuiet = false;
      removed(entries);
    }
  },
  mkdirSync(name, options) {
    const folders = foldersToMake(name, isRecursive(options));
    const first = real.mkdirSync(name, options);
    made(folders);
    return first;
  },
  mkdtempSync(prefix, options) {
    const name = real.mkdtempSync(prefix, options);
    made([name]);
    return name;
  },
  copyFileSync(from, to, mode) {
    const isNew = !there(to);
    real.copyFileSync(from, to, plainly(mode));
    copied(to, isNew);
  },
});

// What mlv does not use may not slip by unseen.
for (const name of [
  'writev',
  'write',
  'writeFile',
  'appendFile',
  'rename',
  'open',
  'cp',
  'truncate',
  'createWriteStream',
])
  for (const each of [name, `${name}Sync`])
    if (fs[each] === real[each] && typeof fs[each] === 'function')
      fs[each] = (...args) => {
        if (typeof args[0] === 'string' && below(args[0]) !== undefined) throw new Error(`fs.${each} is not recorded`);
        if (typeof args[0] === 'number' && files.has(args[0])) throw new Error(`fs.${each} is not recorded`);
        return real[each](...args);
      };

const direct = { ...promises };
let isHandlePatched = false;

function patchHandle(prototype) {
  if (isHandlePatched) return;
  isHandlePatched = true;
  const handle = Object.fromEntries(
    ['write', 'read', 'truncate', 'chmod', 'close', 'sync', 'datasync'].map((name) => [name, prototype[name]]),
  );
  const flush = (name) =>
    async function flushing() {
      const id = nextId();
      const isOurs = onFile(this.fd, { o: 'flush', site: site(), flush: id });
      await handle[name].call(this);
      if (isOurs) note({ o: 'flushed', flush: id });
    };
  Object.assign(prototype, {
    async write(data, offset, length, position) {
      const { fd } = this;
      const result = await handle.write.call(this, data, offset, length, position);
      wrote(fd, bytesOf(data).subarray(offset ?? 0), result.bytesWritten, position);
      return result;
    },
    async read(data, offset, length, position) {
      const result = await handle.read.call(this, data, offset, length, position);
      readFrom(this.fd, result.bytesRead, position);
      return result;
    },
    async truncate(size = 0) {
      await handle.truncate.call(this, size);
      onFile(this.fd, { o: 'truncate', size });
    },
    async chmod(mode) {
      await handle.chmod.call(this, mode);
      onFile(this.fd, { o: 'mode', mode });
    },
    async close() {
      files.delete(this.fd);
      await handle.close.call(this);
    },
    sync: flush('sync'),
    datasync: flush('datasync'),
  });
  for (const name of ['writev', 'writeFile', 'appendFile', 'createWriteStream', 'utimes']) {
    const given = prototype[name];
    prototype[name] = function unseen(...args) {
      if (files.has(this.fd)) throw new Error(`FileHandle.${name} is not recorded`);
      return given.apply(this, args);
    };
  }
}

Object.assign(promises, {
  async open(name, flags, mode) {
    const plan = opening(name, flags);
    const handle = await direct.open(name, flags, mode);
    patchHandle(Object.getPrototypeOf(handle));
    opened(handle.fd, plan);
    return handle;
  },
  async rename(from, to) {
    const places = site();
    await direct.rename(from, to);
    renamed(from, to, places);
  },
  async rm(name, options) {
    const entries = below(name) === undefined ? [] : inside(name);
    try {
      await direct.rm(name, options);
    } finally {
      removed(entries);
    }
  },
  async mkdir(name, options) {
    const folders = foldersToMake(name, isRecursive(options));
    const first = await direct.mkdir(name, options);
    made(folders);
    return first;
  },
  async chmod(name, mode) {
    await direct.chmod(name, mode);
    const at = below(name);
    if (at !== undefined) note({ o: 'mode', path: at, mode });
  },
  async copyFile(from, to, mode) {
    const isNew = !there(to);
    await direct.copyFile(from, to, plainly(mode));
    copied(to, isNew);
  },
});

// Git: what it has changed when it ends counts as safe at once.
if (isMainThread) {
  const known = new Map();
  const gitFolder = path.join(root, 'project/.git');
  const look = () => {
    const seen = new Map();
    for (const { path: name, isFolder } of inside(gitFolder)) {
      const at = below(name);
      if (at === 'project/.git' || at.startsWith('project/.git/mlv')) continue;
      const stats = real.lstatSync(name, { bigint: true, throwIfNoEntry: false });
      if (stats !== undefined)
        seen.set(at, {
          isFolder,
          mode: Number(stats.mode) & 0o7777,
          mark: isFolder ? '' : `${stats.ino} ${stats.ctimeNs}`,
        });
    }
    return seen;
  };
  const noteGit = () => {
    const seen = look();
    for (const at of known.keys()) if (!seen.has(at)) note({ o: 'git', path: at, kind: 'gone' });
    for (const [at, { isFolder, mode, mark }] of [...seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (known.get(at)?.mark === mark) continue;
      if (isFolder) note({ o: 'git', path: at, kind: 'folder', mode });
      else note({ o: 'git', path: at, kind: 'file', mode }, real.readFileSync(path.join(root, at)));
    }
    known.clear();
    for (const [at, entry] of seen) known.set(at, entry);
  };
  for (const [at, entry] of look()) known.set(at, entry);
  const { spawn } = childProcess;
  childProcess.spawn = (...args) => {
    const child = spawn(...args);
    child.on('exit', noteGit);
    return child;
  };
}
require('node:module').syncBuiltinESMExports();
