// Sends a sparse file of so many bytes to a bucket, or fetches one, through mlv's own modules for large objects. With `most`
// it ends when about so many bytes have gone. Prints what they hash to with `way: 'hash'`. Bundled and run by s3-terabyte.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestFromBytes } from '../../src/domain/digest.ts';
import { hashEngine } from '../../src/platform/hash.ts';
import { fetchLarge } from '../../src/storage/download-large.ts';
import { createRequestEngine } from '../../src/storage/request-engine.ts';
import { openS3Home } from '../../src/storage/s3-home.ts';

const LOOK_MS = 100;
/** So much of what has arrived is on the disk at once. */
const KEPT_BYTES = 2 ** 30;

const { way, folder, length, digest, most = Infinity } = JSON.parse(process.argv[2]);
const stop = new AbortController();
const enough = new Error('enough has been seen');
if (way === 'hash') console.log(hashZeros());
else await transfer(way === 'push' ? push : fetch);

async function transfer(move) {
  const engine = createRequestEngine({ name: 's3://data' });
  const options = { bucket: 'data', prefix: '', settings: {}, environment: process.env, folder, engine };
  const timer = setInterval(() => bytesRead() > most && stop.abort(enough), LOOK_MS);
  try {
    await move(openS3Home(options));
  } catch (error) {
    if (error !== enough) throw error;
  } finally {
    clearInterval(timer);
  }
}

async function push(home) {
  const path = join(folder, 'sparse');
  writeFileSync(path, '');
  truncateSync(path, length);
  await home.writeFile('objects/00/zeros', { path, offset: 0, length, digest }, stop.signal);
}

async function fetch(home) {
  let arrived = 0;
  let removed = 0;
  const path = await fetchLarge({
    home,
    place: { key: { kind: 'object', hash: digest }, offset: 0, length },
    digest,
    partialPath: join(folder, 'partial'),
    pool: home.limits.pool,
    onBytes(bytes) {
      arrived += bytes;
      if (arrived - removed < KEPT_BYTES) return;
      removed = arrived;
      // Gone from the disk, and the file as long as before: what was hashed is not read again.
      const [name] = readdirSync(folder).filter((each) => each.startsWith('partial'));
      execFileSync('fallocate', ['--punch-hole', '--offset', '0', '--length', String(removed), join(folder, name)]);
    },
    signal: stop.signal,
  });
  if (path === undefined) throw new Error('what arrived is not what the digest says');
}

/** By this process, from files and connections. */
function bytesRead() {
  return Number(/^rchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1]);
}

function hashZeros() {
  const hasher = hashEngine().createHasher();
  const zeros = Buffer.alloc(16 << 20);
  for (let left = length; left > 0; left -= zeros.length)
    hasher.update(zeros.subarray(0, Math.min(left, zeros.length)));
  return digestFromBytes(hasher.digest());
}
