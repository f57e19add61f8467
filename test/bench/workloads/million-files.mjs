import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageName, writeMany } from '../harness/data.mjs';
import { megabytes } from '../harness/bench.mjs';
import { settle } from '../harness/disks.mjs';
import { hermeticEnv, mlv } from '../harness/processes.mjs';
import {
  commitAll,
  git,
  listFiles,
  makeRepository,
  newFiles,
  requireSame,
  touchBytes,
} from '../harness/repositories.mjs';
import { traceMlv, whyNoTrace } from '../harness/trace.mjs';
import { WrongResult } from '../harness/wrong-result.mjs';

export const millionFiles = {
  title: 'one file changed among a million: what add, push and a colleague write, send and read',
  run,
};

/** A path of pages: the page that changed, and the root. A million files make some 980 pages, which one root can list. */
const TREE_OBJECTS = 2;
/** Headers, tables and footers of two packs, and an index of three rows. */
const FRAME_BYTES = 2_000;
const PACK_FOOTER_BYTES = 48;

async function run(bench) {
  const files = bench.short ? 5_000 : 1_000_000;
  const folders = bench.short ? 5 : 1_000;
  const [fs] = bench.fileSystems(['ext4']);
  bench.log(`writing ${files} files of 4 to 16 bytes`);
  const disk = bench.disks.fresh({ fs, bytes: 24 * 2 ** 30, inodes: files * 3 + 20_000 });
  const at = (name) => join(disk.folder, name);
  const env = hermeticEnv(disk.folder);
  const repo = await makeRepository(at('repo'));
  writeMany(join(repo, 'data'), { files, folders, size: (index) => 4 + (index % 13), seed: 5 });
  await mlv(repo, ['remote', 'add', '-d', 'store', at('remote')], env);

  // The first time, everything travels; once, since it takes minutes.
  await bench.sample(
    'all of them',
    [
      async () => [
        { name: 'mlv add', ...(await timed(repo, ['add', 'data'])) },
        { name: 'mlv push', ...(await timed(repo, ['push'], () => commitAll(repo, 'data'))) },
        {
          name: 'mlv pull (clone)',
          ...(await timed(at('clone'), ['pull'], () => git(disk.folder, 'clone', '--quiet', 'repo', 'clone'))),
        },
      ],
    ],
    { samples: 1 },
  );

  async function timed(cwd, args, before = () => {}) {
    before();
    settle(disk.folder);
    return mlv(cwd, args, env);
  }

  const sent = [];
  async function changeOne(round) {
    const path = join(
      'data',
      imageName(Math.floor((files * (round + 1)) / (bench.samples + 2)), Math.ceil(files / folders)),
    );
    touchBytes(join(repo, path), `changed ${round}`);
    const before = { cache: listFiles(join(repo, '.git/mlv/cache')), remote: listFiles(at('remote')) };
    const adding = await timed(repo, ['add', 'data']);
    const cached = newFiles(before.cache, listFiles(join(repo, '.git/mlv/cache')));
    const pushing = await timed(repo, ['push'], () => commitAll(repo, `change ${round}`));
    const pushed = newFiles(before.remote, listFiles(at('remote')));
    git(at('clone'), 'pull', '--quiet');
    const { pulling, read } = await pull(round);
    requireSame(join(repo, path), join(at('clone'), path));
    sent.push({ cached, pushed, read, ...inspect(pushed) });
    return [
      { name: 'mlv add', ...adding },
      { name: 'mlv push', ...pushing },
      ...(pulling === undefined ? [] : [{ name: 'mlv pull', ...pulling }]),
    ];
  }

  /** The last one is traced instead of timed. */
  async function pull(round) {
    if (round < bench.samples || whyNoTrace() !== undefined) return { pulling: await timed(at('clone'), ['pull']) };
    return { read: traceMlv(at('clone'), ['pull'], env, at('remote')) };
  }

  /** What lies in the packs that were sent, by their footers (docs/formats.md, "Pack"). */
  function inspect(pushed) {
    const found = { blobs: 0, trees: 0, content: 0 };
    for (const { path, size } of pushed.filter((file) => file.path.startsWith('packs/'))) {
      const pack = readFileSync(join(at('remote'), path));
      const footer = pack.subarray(-PACK_FOOTER_BYTES);
      const rows = footer.readUInt32LE(8);
      found[pack.readUInt32LE(12) === 1 ? 'trees' : 'blobs'] += rows;
      found.content += size - 32 - rows * 48 - PACK_FOOTER_BYTES;
    }
    return found;
  }

  await bench.sample(`one of ${files} changed`, [changeOne], { samples: bench.samples + 1 });
  const most = (value) => Math.max(...sent.map(value));
  const total = (list) => list.reduce((sum, { size }) => sum + size, 0);
  const frame = ({ pushed, content }) => total(pushed) - content;
  bench.judge({ what: 'blobs sent', value: most(({ blobs }) => blobs), goal: 1 });
  bench.judge({ what: 'tree objects sent', value: most(({ trees }) => trees), goal: TREE_OBJECTS });
  bench.judge({
    what: 'files written on the remote (two packs, an index)',
    value: most(({ pushed }) => pushed.length),
    goal: 3,
  });
  bench.judge({
    what: 'bytes sent that are neither the blob nor its path of pages',
    value: most(frame),
    goal: FRAME_BYTES,
    format: megabytes,
  });
  bench.judge({ what: 'bytes sent in all', value: most(({ pushed }) => total(pushed)), format: megabytes });
  bench.judge({ what: 'files written in the cache', value: most(({ cached }) => cached.length) });
  bench.judge({ what: 'bytes written in the cache', value: most(({ cached }) => total(cached)), format: megabytes });
  const last = sent.at(-1);
  if (last.read === undefined) bench.skip('bytes that the colleague reads', whyNoTrace());
  else
    bench.judge({
      what: 'bytes that the colleague reads from the remote',
      value: last.read.bytesRead,
      goal: total(last.pushed),
      format: megabytes,
    });
  if (most(({ blobs }) => blobs) < 1) throw new WrongResult('a change was not sent');
  requireSame(join(repo, 'data'), join(at('clone'), 'data'));
  disk.close();
}
