import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { megabytes } from '../harness/bench.mjs';
import { runWithOwnModules } from '../harness/own-modules.mjs';
import { hermeticEnv, mlv } from '../harness/processes.mjs';
import { commitAll, makeRepository } from '../harness/repositories.mjs';
import { traceMlv, whyNoTrace } from '../harness/trace.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const tenMillionBlobs = {
  title: 'one file out of ten million blobs on a folder remote, nothing cached: bytes read',
  run,
};

const GOAL_BYTES = 1e6;

async function run(bench) {
  const files = bench.short ? 20_000 : 10_000_000;
  const wanted = Array.from({ length: bench.samples }, (_, index) =>
    Math.floor((files * (index + 0.37)) / bench.samples),
  );
  const folder = bench.disks.scratch();
  const remote = join(folder, 'remote');
  bench.log(`writing the trees and indexes of a remote with ${files} blobs`);
  const builder = new URL('../build-remote.mjs', import.meta.url);
  const made = JSON.parse((await runWithOwnModules(builder, { remote, files, wanted })).stdout);
  const env = hermeticEnv(folder);
  const reads = [];

  async function fetchOne(round) {
    const { path, bytes, sha } = made.wanted[round];
    const target = `data/${path}`;
    const fresh = async (name) => {
      const clone = await makeRepository(join(folder, `${name}-${round}`));
      writeFileSync(join(clone, 'data.mlv'), made.pointer);
      await mlv(clone, ['remote', 'add', '-d', 'store', remote], env);
      commitAll(clone, 'data');
      return clone;
    };
    const timed = await fresh('timed');
    const measured = await mlv(timed, ['pull', target], env);
    await requireContent(join(timed, target), sha);
    if (whyNoTrace() === undefined) {
      const traced = await fresh('traced');
      const { bytesRead, filesRead } = traceMlv(traced, ['pull', target], env, remote);
      await requireContent(join(traced, target), sha);
      reads.push({ beyond: bytesRead - bytes, filesRead });
    }
    return [{ name: 'mlv pull', ...measured }];
  }

  await bench.sample(`one of ${files} blobs`, [fetchOne]);
  if (whyNoTrace() !== undefined) {
    bench.skip('bytes read beyond the file', whyNoTrace());
    return;
  }
  const worst = reads.toSorted((a, b) => b.beyond - a.beyond)[0];
  bench.judge({
    what: 'bytes read beyond the file, the most of all samples',
    value: worst.beyond,
    goal: GOAL_BYTES,
    format: megabytes,
  });
  for (const [kind, bytes] of byKind(worst.filesRead, remote))
    bench.judge({ what: `  of these from ${kind}`, value: bytes, format: megabytes });
}

async function requireContent(path, sha) {
  const { createHash } = await import('node:crypto');
  const found = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (found !== sha) throw new WrongResult(`${path} (${statSync(path).size} bytes) is not what was stored`);
}

function byKind(filesRead, remote) {
  const kinds = new Map();
  for (const [path, bytes] of filesRead) {
    const kind = path.slice(remote.length + 1).split('/')[0];
    kinds.set(kind, (kinds.get(kind) ?? 0) + bytes);
  }
  return kinds;
}
