/**
 * Loaded into mlv before it starts: gives a folder remote a clock of its own, as a bucket has. What appears there, and the file by
 * which mlv asks for the time, are dated later by the milliseconds in a file, so a test can let months go by under running commands.
 */
import { readFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { sep } from 'node:path';

const { MLV_STORE = '', MLV_STORE_CLOCK = '' } = process.env;
const { open, rename, utimes } = promises;
const isInside = (path) => typeof path === 'string' && path.startsWith(MLV_STORE + sep);
const now = () => new Date(Date.now() + Number(readFileSync(MLV_STORE_CLOCK, 'utf8')));

promises.open = async (path, flags, ...rest) => {
  const file = await open(path, flags, ...rest);
  if (isInside(path) && flags === 'wx') {
    const time = now();
    await file.utimes(time, time);
  }
  return file;
};
promises.rename = async (from, to) => {
  if (isInside(to)) {
    const time = now();
    await utimes(from, time, time);
  }
  return rename(from, to);
};
syncBuiltinESMExports();
