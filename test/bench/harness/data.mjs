// Random content that is the same at every run: the key stream of AES, which no disk and no tool can compress.
import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ZEROS = Buffer.alloc(1 << 20);

/** A function that gives the next so many bytes of the stream that this seed stands for. */
function createStream(seed) {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (bytes) => {
    if (bytes <= ZEROS.length) return cipher.update(ZEROS.subarray(0, bytes));
    const parts = [];
    for (let left = bytes; left > 0; left -= ZEROS.length)
      parts.push(cipher.update(ZEROS.subarray(0, Math.min(left, ZEROS.length))));
    return Buffer.concat(parts);
  };
}

/** Names as image sets have them: a folder for each class, files numbered over all. */
export function imageName(index, perFolder) {
  const folder = Math.floor(index / perFolder);
  const wnid = `n${String(1_440_764 + folder * 2_749).padStart(8, '0')}`;
  return `${wnid}/${wnid}_${String((index * 7_919) % 1_000_003).padStart(6, '0')}.jpg`;
}

/** Writes `files` files into about `folders` folders; `size` gives the bytes of each. */
export function writeMany(folder, { files, folders, size, seed }) {
  const next = createStream(seed);
  const perFolder = Math.ceil(files / folders);
  for (let index = 0; index < files; index++) {
    const path = join(folder, imageName(index, perFolder));
    if (index % perFolder === 0) mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, next(size(index)));
  }
}

/** Writes one large file. */
export function writeLarge(path, bytes, seed) {
  const next = createStream(seed);
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'wx');
  for (let done = 0; done < bytes; done += ZEROS.length) writeSync(file, next(Math.min(ZEROS.length, bytes - done)));
  closeSync(file);
}
