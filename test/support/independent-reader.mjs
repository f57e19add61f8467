// Restores a dataset from a remote in a folder, by docs/formats.md alone: shares no code with mlv. (Hashing is the package's.)
//   node independent-reader.mjs REMOTE POINTER TARGET
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';

const [remote, pointerFile, target] = process.argv.slice(2);
const hash = (bytes) => Buffer.from(blake3(bytes)).toString('hex');
const require = (isRight, what) => {
  if (!isRight) throw new Error(what);
};

// Remote: every row of every index, without those of dead keys.
require(JSON.parse(readFileSync(join(remote, 'mlv.json'), 'utf8')).version === 1, 'mlv.json: another version');
const dead = new Set();
const rows = new Map();
const roots = new Set();
const names = readdirSync(join(remote, 'index'));
for (const name of names.filter((each) => /^[0-9a-f]{64}\.gc$/.test(each))) {
  const bytes = readFileSync(join(remote, 'index', name));
  require(hash(bytes) === name.slice(0, 64), `${name}: damaged`);
  const [header, ...keys] = bytes.toString('latin1').split('\n');
  require(/^mlv-gc 1 [0-9a-f]{16}$/.test(header), `${name}: another format`);
  for (const key of keys) dead.add(key);
}
for (const name of names.filter((each) => /^[0-9a-f]{64}$/.test(each)))
  readIndex(name, readFileSync(join(remote, 'index', name)));

function readIndex(name, bytes) {
  require(bytes.toString('latin1', 0, 8) === 'mlvindex' && bytes.readUInt32LE(8) === 1, `${name}: another format`);
  const [rowCount, keyCount, rootCount, replaced] = [20, 24, 28, 32].map((at) => bytes.readUInt32LE(at));
  const blocks = Math.ceil((rowCount + keyCount + rootCount) / 128);
  const fences = 64 + 32 * replaced;
  const directory = fences + 40 * Math.ceil(blocks / 128);
  const body = directory + 40 * blocks;
  require(hash(bytes.subarray(0, directory)) === name, `${name}: damaged head`);
  require(bytes.length === body + 48 * (rowCount + keyCount + rootCount), `${name}: another size`);
  const check = (fenceAt, from, to) => {
    require(bytes.compare(bytes, fenceAt, fenceAt + 8, from, from + 8) === 0, `${name}: damaged fence`);
    require(hash(bytes.subarray(from, to)) ===
      bytes.toString('hex', fenceAt + 8, fenceAt + 40), `${name}: damaged part`);
  };
  for (let page = 0; page * 128 < blocks; page++) {
    check(fences + 40 * page, directory + 5120 * page, Math.min(directory + 5120 * (page + 1), body));
  }
  for (let block = 0; block < blocks; block++) {
    check(directory + 40 * block, body + 6144 * block, Math.min(body + 6144 * (block + 1), bytes.length));
  }
  const cell = (number) => body + 48 * number;
  const keys = Array.from({ length: keyCount }, (_, number) => {
    const at = cell(rowCount + number);
    const digest = bytes.toString('hex', at, at + 32);
    const nonce = bytes.toString('hex', at + 32, at + 40);
    const kind = bytes[at + 40];
    require(kind !== 2 && kind < 4, `${name}: a key that needs a later reader`);
    const suffix = nonce === '0'.repeat(16) ? '' : `.${nonce}`;
    return { kind, path: `${kind === 1 ? 'objects' : 'packs'}/${digest.slice(0, 2)}/${digest}${suffix}` };
  });
  for (let row = 0; row < rowCount; row++) {
    const at = cell(row);
    const key = keys[bytes.readUInt32LE(at + 32)];
    const place = { ...key, offset: bytes.readUIntLE(at + 36, 6), length: bytes.readUIntLE(at + 42, 6) };
    if (!dead.has(key.path)) rows.set(bytes.toString('hex', at, at + 32), place);
  }
  for (let root = 0; root < rootCount; root++) {
    const at = cell(rowCount + keyCount + root);
    roots.add(bytes.toString('hex', at, at + 32));
  }
}

function readBlob(digest, size) {
  const place = rows.get(digest);
  require(place !== undefined, `${digest}: not on the remote`);
  const bytes = Buffer.alloc(place.length);
  const file = openSync(join(remote, place.path), 'r');
  for (let done = 0, read = -1; done < bytes.length && read !== 0; done += read) {
    read = readSync(file, bytes, done, bytes.length - done, place.offset + done);
  }
  closeSync(file);
  require(hash(bytes) === digest &&
    (size === undefined || size === bytes.length), `${digest}: damaged in ${place.path}`);
  return bytes;
}

// Tree: one character for each byte, so that comparing strings is comparing bytes.
const NUMBER = '(0|[1-9][0-9]*)';
const ENTRY = new RegExp(`^([0-9a-f]{64}) ${NUMBER} ([fxld]) (.+)$`);
const NODE = new RegExp(`^([0-9a-f]{64}) ${NUMBER} ${NUMBER} (.+)$`);

function linesOf(text, pattern) {
  require(text === '' || text.endsWith('\n'), 'a tree object without line end');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => pattern.exec(line) ?? require(false, `a malformed line: ${line}`));
}

function endsPage(path, level) {
  let h = 0x811c9dc5;
  for (const character of path) h = Math.imul(h ^ character.charCodeAt(0), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= h >>> 16;
  return ((h >>> (10 * level)) & 1023) === 0;
}

function checkSplit(lines, text, level, isLast) {
  const sizes = lines.map(([line]) => line.length + 1);
  require(lines.length > 0 &&
    lines.length <= 16_384 &&
    text.length - sizes.at(-1) < 4_194_304, 'a page of a wrong size');
  const ends = lines.map((line) => endsPage(line[4], level));
  require(!ends.slice(0, -1).includes(true), 'a page that goes on after its end');
  require(isLast || ends.at(-1) || lines.length === 16_384 || text.length >= 4_194_304, 'a page that ends too early');
}

function* readNodes(nodes, level, isLast) {
  for (const [index, [, digest, files, size, lastPath]] of nodes.entries()) {
    const text = readBlob(digest).toString('latin1');
    const last = isLast && index === nodes.length - 1;
    const lines = linesOf(text, level === 0 ? ENTRY : NODE);
    checkSplit(lines, text, level, last);
    const counted =
      level === 0
        ? lines.filter((line) => line[3] !== 'd').map((line) => [1, Number(line[2])])
        : lines.map((line) => [Number(line[2]), Number(line[3])]);
    const sums = counted.reduce((sum, [count, bytes]) => [sum[0] + count, sum[1] + bytes], [0, 0]);
    require(sums[0] === Number(files) &&
      sums[1] === Number(size) &&
      lines.at(-1)[4] === lastPath, `${digest}: wrong sums`);
    if (level === 0) yield* lines;
    else yield* readNodes(lines, level - 1, last);
  }
}

function* readTree(digest) {
  require(rows.get(digest)?.kind === 3, `${digest}: no tree, or not complete`);
  const [, level, rest] =
    /^mlv-tree 1 ([012])\n(.*)$/s.exec(readBlob(digest).toString('latin1')) ?? require(false, 'another format');
  const nodes = linesOf(rest, NODE);
  require(nodes.length <= 4_096 && rest.length <= 4_194_304, 'a root that is too large');
  yield* readNodes(nodes, Number(level), true);
}

/** The path for the file system, after all checks of its form. */
function plainPath(written) {
  require(!/[\0-\x1f\x7f]|%(?!0[0-9A-F]|1[0-9A-F]|7F|25)/.test(written), `a path with a wrong escape: ${written}`);
  const bytes = Buffer.from(
    written.replace(/%(..)/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16))),
    'latin1',
  );
  const path = new TextDecoder('utf8', { fatal: true, ignoreBOM: true }).decode(bytes);
  checkPath(path);
  return path;
}

function checkPath(path) {
  require(Buffer.byteLength(path) <= 4_096 && !/[\0\\]/.test(path), `a path that is not allowed: ${path}`);
  for (const name of path.split('/')) {
    const visible = name.replace(/\p{Default_Ignorable_Code_Point}/gu, '');
    const isReserved = name === '' || name === '.' || name === '..' || /^[A-Za-z]:/.test(name);
    const isTaken = /^(\.git|\.mlv|git~1|mlv~1)[. ]*(:|$)/i.test(visible);
    require(!isReserved && !isTaken && Buffer.byteLength(name) <= 255, `a name that is not allowed: ${path}`);
  }
}

function checkTarget(link, path) {
  const [climb] = /^(\.\.\/)*/.exec(link);
  require(climb.length / 3 <= path.split('/').length - 1, `a link that leads out: ${path}`);
  checkPath(link.slice(climb.length));
}

const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(readFileSync(pointerFile, 'utf8'))?.[1];
require(field('version') === '1', 'a pointer of another format');
const digest = field('hash').replace(/^b3:/, '');
const mode = (kind) => (kind === 'x' ? 0o755 : 0o644);
const total = { files: 0, bytes: 0 };

if (field('type') === 'file') {
  total.bytes = Number(field('size'));
  writeFileSync(target, readBlob(digest, total.bytes));
  chmodSync(target, mode(field('exec') === 'true' ? 'x' : 'f'));
} else {
  mkdirSync(target, { recursive: true });
  const links = [];
  const files = new Set();
  let before = '';
  for (const [, content, size, kind, written] of readTree(digest)) {
    require(written > before, `a path out of order: ${written}`);
    before = written;
    const path = plainPath(written);
    files.add(written);
    for (let at = written.indexOf('/'); at >= 0; at = written.indexOf('/', at + 1)) {
      require(!files.has(written.slice(0, at)), `a file that is a folder: ${written.slice(0, at)}`);
    }
    if (kind === 'd') mkdirSync(join(target, path), { recursive: true });
    else {
      total.files += 1;
      total.bytes += Number(size);
      const bytes = readBlob(content, Number(size));
      mkdirSync(dirname(join(target, path)), { recursive: true });
      if (kind === 'l') links.push([path, bytes.toString('utf8')]);
      else writeFileSync(join(target, path), bytes, { mode: mode(kind) });
    }
  }
  for (const [path, link] of links) {
    checkTarget(link, path);
    symlinkSync(link, join(target, path));
  }
  require(total.files === Number(field('files')) &&
    total.bytes === Number(field('size')), 'not what the pointer counts');
}
process.stdout.write(`${JSON.stringify({ ...total, wasPushed: roots.has(digest) })}\n`);
