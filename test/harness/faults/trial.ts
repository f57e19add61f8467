/** One push or pull with something going wrong: what it said and asked, and what bytes are where afterwards. */
import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Audit } from '../../support/audit.ts';
import { auditFiles, auditRemote, readBucket, readLooseCache, readStore } from '../../support/audit.ts';
import { writeFiles } from '../../support/folders.ts';
import type { MlvResult } from '../../support/mlv.ts';
import { makeMlvRig } from '../../support/mlv.ts';
import { OWNER, startRig } from '../../support/s3-server/rig.ts';
import type { S3Server } from '../../support/s3-server/server.ts';
import { told } from '../../support/told.ts';

export type Verb = 'push' | 'pull';

/** Where a trial takes place; what arranges a fault may change it. */
export interface Stage {
  readonly verb: Verb;
  readonly server: S3Server;
  /** For things of its own. */
  readonly folder: string;
  /** Of the command while it goes wrong. */
  readonly env: Record<string, string>;
  /** Done before the command is run again. */
  readonly mends: (() => void | Promise<void>)[];
  /** Done at the end. */
  readonly cleanUps: (() => void)[];
  /** Puts the project's data into the bucket: the small files an hour before the large one. */
  fill(what: 'small files' | 'all'): Promise<void>;
  /** Runs mlv, with nothing going wrong, in the project that has all data. */
  atSource(...args: string[]): Promise<string>;
  /** A small disk of this trial's own, made when it is first asked for. */
  disk(megabytes?: number): string;
  /** Moves the clone. */
  moveTo(root: string): void;
  /** A folder takes the bucket's place. */
  useFolderRemote(folder: string): Promise<void>;
}

export interface Measured {
  readonly exit: number | undefined;
  /** What an error said, or the last part of a result: with the first path it names, and what varies replaced. */
  readonly message: string;
  readonly hint: string;
  readonly requests: number;
  readonly seconds: number;
  /** After the command when it ended well, otherwise after it was run again. */
  readonly lost: number;
  /** After the command, and after it was run again. */
  readonly wrong: number;
  /** Of the second run, where the first one failed. */
  readonly exitAgain: number | undefined;
  readonly output: string;
}

export interface TrialSite {
  run(verb: Verb, name: string, arrange: (stage: Stage) => void | Promise<void>): Promise<Measured>;
  dispose(): void;
}

/** Small files that go into one pack, and one that goes in two parts and comes in two ranges. */
const LARGE_BYTES = (16 << 20) + 300_000;
const SMALL_FILES = 40;
const CREDENTIALS = {
  AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
  AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
};
const PREFIX = 'team';
const HOUR_MS = 3_600_000;

/** Makes the project that all trials share, and a bucket that has its data: the large file an hour after the small ones. */
export async function makeTrialSite(): Promise<TrialSite> {
  const rig = makeMlvRig();
  const { root, git } = await rig.project('project');
  const small = Array.from({ length: SMALL_FILES }, (_, index) => [`data/${index}.bin`, noise(1000 + index)] as const);
  const files = { ...Object.fromEntries(small), model: noise(LARGE_BYTES) };
  const cache = join(root, '.git/mlv/cache');
  const source = await startRig();
  const env = { ...CREDENTIALS, AWS_ENDPOINT_URL_S3: source.endpoint };
  await told(rig, root, ['remote', 'add', '-d', 'store', `s3://data/${PREFIX}`]);
  writeFiles(root, files);
  await told(rig, root, ['add', 'data', 'model']);
  git('commit', '--quiet', '--all', '-m', 'data');
  await told(rig, root, ['push', 'data'], { env });
  const before = new Set(source.bucket().objects().keys());
  await told(rig, root, ['push'], { env });
  const stored = await Promise.all(
    Array.from(source.bucket().objects().keys(), async (key) => [key, await source.bucket().get(key)] as const),
  );
  await source.close();
  const blobs = readLooseCache(cache);

  function openStage(verb: Verb, folder: string, server: S3Server) {
    const at = { root: join(folder, 'clone'), remote: undefined as string | undefined };
    const disk = join(folder, 'disk');
    const stage: Stage = {
      verb,
      server,
      folder,
      env: {},
      mends: [],
      cleanUps: [],
      async fill(what) {
        for (const [key, bytes] of stored) {
          if (what === 'small files' && !before.has(key)) continue;
          server.clockOffsetMs = before.has(key) ? -HOUR_MS : 0;
          await server.bucket().put(key, bytes);
        }
        server.clockOffsetMs = 0;
      },
      atSource: (...args) => told(rig, root, args, { env: { ...CREDENTIALS, AWS_ENDPOINT_URL_S3: server.endpoint } }),
      disk(megabytes) {
        if (existsSync(disk)) return disk;
        mkdirSync(disk);
        execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', disk], { stdio: 'ignore' });
        stage.cleanUps.push(() => execFileSync('umount', [disk]));
        return disk;
      },
      moveTo(to) {
        cpSync(at.root, to, { recursive: true });
        at.root = to;
      },
      async useFolderRemote(to) {
        at.remote = to;
        await told(rig, at.root, ['remote', 'modify', '--local', 'store', 'url', to]);
      },
    };
    return { stage, at };
  }

  async function run(verb: Verb, name: string, arrange: (stage: Stage) => void | Promise<void>): Promise<Measured> {
    const folder = join(rig.folder, `${verb}-${name.replaceAll(/\W+/g, '-')}`);
    mkdirSync(folder);
    const server = await startRig({ folder });
    const { stage, at } = openStage(verb, folder, server);
    const plain = { ...CREDENTIALS, AWS_ENDPOINT_URL_S3: server.endpoint };
    const own = (): string => stage.env['MLV_CACHE_DIR'] ?? (verb === 'push' ? cache : join(at.root, '.git/mlv/cache'));
    const remote = (): Promise<Map<string, Buffer>> | Map<string, Buffer> =>
      at.remote === undefined ? readBucket(server.bucket(), `${PREFIX}/`) : readStore(at.remote);
    const audit = async (): Promise<Audit> =>
      verb === 'push' ? auditRemote(await remote(), blobs) : auditFiles(at.root, files, own());
    const execute = (): Promise<MlvResult> =>
      rig.mlv(at.root, ['--no-progress', verb], { env: { ...plain, ...stage.env, MLV_CACHE_DIR: own() } });
    try {
      if (verb === 'pull') await stage.fill('all');
      git('clone', '--quiet', root, at.root);
      await arrange(stage);
      const began = performance.now();
      const first = await execute();
      const seconds = (performance.now() - began) / 1000;
      const requests = server.requests.length;
      server.faults.clear();
      for (const mend of stage.mends) await mend();
      const found = await audit();
      if (first.code !== 0) delete stage.env['HTTP_PROXY'];
      const again = first.code === 0 ? undefined : await execute();
      const last = again === undefined ? found : await audit();
      return {
        exit: first.code,
        ...wordsOf(first, server, folder),
        requests,
        seconds,
        lost: last.lost,
        wrong: found.wrong + (again === undefined ? 0 : last.wrong),
        exitAgain: again?.code,
        output: `${first.stdout}${first.stderr}${again === undefined ? '' : `again: ${again.stdout}${again.stderr}`}`,
      };
    } finally {
      await server.close();
      for (const cleanUp of stage.cleanUps) cleanUp();
      rmSync(folder, { recursive: true, force: true });
    }
  }

  return { run, dispose: rig.dispose };
}

/** Message and hint of an error, or of what a result lists as missing or failed; '' where there is neither. */
function wordsOf({ stdout, stderr }: MlvResult, server: S3Server, folder: string): { message: string; hint: string } {
  const lines = `${stdout}${stderr}`.trimEnd().split('\n');
  const start = lines.findIndex((line) => /^(error|missing|failed): /.test(line));
  if (start < 0) return { message: '', hint: '' };
  const hintAt = lines.findIndex((line, index) => index > start && line.startsWith('hint: '));
  const [first = '', item, ...others] = lines.slice(start, hintAt < 0 ? undefined : hintAt);
  const shown = [
    first.replace(/^error: /, ''),
    ...(item === undefined ? [] : [`${item.trim()}${others.length > 0 ? ', …' : ''}`]),
  ];
  const message = shown
    .join(': ')
    .replaceAll(folder, '')
    .replaceAll(`127.0.0.1:${server.port}`, 'HOST')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'PROXY')
    .replaceAll(/[0-9a-f]{2}\/[0-9a-f]{62,64}/g, '…')
    .replaceAll(/[0-9a-f]{32,64}/g, '…')
    .replaceAll(/(remotes\/…\/)[^:]+/g, '$1…')
    .replaceAll(/tried \d+ times in [\d.]+ s/g, 'tried N times in N s');
  return { message, hint: lines[hintAt] ?? '' };
}

/** Bytes without pattern, the same ones in every run; other ones for another length. */
function noise(length: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, String(length)), Buffer.alloc(16)).update(Buffer.alloc(length));
}
