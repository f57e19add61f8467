/** The containers of a pod as processes of this machine: the built `pod.cjs`, alone in a folder, against the strict S3 server. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ClusterResult, parseClusterResult } from '../../../src/domain/cluster-result.ts';
import { type ClusterTask, formatClusterTask } from '../../../src/domain/cluster-task.ts';
import type { DataVersion, StageId } from '../../../src/domain/pipeline.ts';
import { isJobUid, jobKey, type JobUid } from '../../../src/domain/remote-layout.ts';
import type { RepoPath } from '../../../src/domain/repo-path.ts';
import { podBundle } from '../../../src/execution/kubernetes/pod-bundle.ts';
import { type LocalCache, openLocalCache } from '../../../src/storage/local-cache.ts';
import { openRemote } from '../../../src/storage/remote.ts';
import { createRequestEngine } from '../../../src/storage/request-engine.ts';
import { openS3Home } from '../../../src/storage/s3-home.ts';
import { upload } from '../../../src/storage/upload.ts';
import { download } from '../../../src/storage/download.ts';
import { addTree, digestOf, type Files, readTree } from '../../storage/transfer-rig.ts';
import { useCredentials } from '../../storage/s3-rig.ts';
import { makeTemporaryFolder } from '../git.ts';
import { OWNER, startRig } from '../s3-server/rig.ts';
import type { S3Server, S3ServerOptions } from '../s3-server/server.ts';

export interface ContainerEnd {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly stderr: string;
  /** What it left for the pod's status: JSON, where it failed. */
  readonly termination: { readonly code: string; readonly message: string; readonly hint?: string } | undefined;
}

export interface ContainerOptions {
  /** Over what it gets otherwise; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Told once it runs, to be killed. */
  readonly onStart?: (child: ChildProcess) => void;
}

export interface PodRig {
  readonly server: S3Server;
  readonly folder: string;
  /** The pod's volume. */
  readonly work: string;
  readonly project: string;
  /** The claim. */
  readonly cache: string;
  readonly job: JobUid;
  /** Puts a folder, or a file, on the remote. */
  publish(files: Files): Promise<DataVersion>;
  publishFile(content: string | Buffer, exec?: true): Promise<DataVersion>;
  /** A task with nothing in it but this. */
  task(parts?: Partial<ClusterTask>): ClusterTask;
  /** Writes the task to where containers find it. */
  give(task: ClusterTask): void;
  run(verb: 'fetch' | 'push', options?: ContainerOptions): Promise<ContainerEnd>;
  /** Runs a shell script as the stage's container would. */
  stage(script: string): Promise<number | undefined>;
  /** The record of the Job. */
  result(): Promise<ClusterResult | undefined>;
  /** The files of a version, as the remote has them. */
  contentOf(version: DataVersion): Promise<Record<string, string | undefined> | string>;
  dispose(): Promise<void>;
}

/** `npm run build` must have been run. */
export async function makePodRig(
  options: Partial<S3ServerOptions> & { readonly sharedCache?: boolean } = {},
): Promise<PodRig> {
  const { sharedCache = true, ...serverOptions } = options;
  const folder = makeTemporaryFolder();
  const server = await startRig(serverOptions);
  Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/nonexistent' });
  useCredentials(OWNER);
  const runtime = join(folder, 'runtime');
  mkdirSync(runtime);
  // As the kubelet mounts a ConfigMap: each file is a link to one in a folder that can be replaced at once.
  const mounted = (path: string, name: string): string => {
    mkdirSync(join(path, '..2026_11_22'));
    symlinkSync('..2026_11_22', join(path, '..data'));
    symlinkSync(`..data/${name}`, join(path, name));
    return join(path, '..2026_11_22', name);
  };
  copyFileSync(podBundle(), mounted(runtime, 'pod.cjs'));
  const paths = {
    work: join(folder, 'work'),
    project: join(folder, 'work/project'),
    cache: join(folder, 'claim'),
    task: join(folder, 'task', 'task.json'),
    termination: join(folder, 'termination-log'),
  };
  for (const path of [paths.work, paths.cache, join(folder, 'task')]) mkdirSync(path);
  mounted(join(folder, 'task'), 'task.json');
  const settings = { endpoint: server.endpoint, region: 'us-east-1' };
  const remote = { url: 's3://data/team', ...settings };
  const job = randomUUID();
  if (!isJobUid(job)) throw new Error('unreachable');
  let taskHash = '';
  let caches = 0;

  const home = () =>
    openS3Home({
      bucket: 'data',
      prefix: 'team',
      settings,
      environment: {},
      folder: join(folder, 'notes'),
      engine: createRequestEngine({ name: remote.url }),
    });
  const open = () => openRemote({ home: home(), mirrorFolder: join(folder, 'mirror') });
  const newCache = (): LocalCache =>
    openLocalCache({ folder: join(folder, `cache-${++caches}`), packBelow: () => 1 << 20 });

  async function send(cache: LocalCache, version: DataVersion): Promise<void> {
    const opened = await open();
    const { hash: digest, type } = version;
    await upload({ remote: opened, cache, roots: [{ digest, type, name: 'data' }], renewNotes: false });
    opened.close();
    cache.close();
  }

  return {
    server,
    folder,
    work: paths.work,
    project: paths.project,
    cache: paths.cache,
    job,
    async publish(files) {
      const cache = newCache();
      const { digest: hash, size } = await addTree(cache, files);
      const count = Object.values(files).filter((file) => !isEmptyFolder(file)).length;
      const version: DataVersion = { type: 'dir', hash, size, files: count };
      await send(cache, version);
      return version;
    },
    async publishFile(content, exec) {
      const cache = newCache();
      const bytes = Buffer.from(content as string);
      const writer = cache.openWriter();
      writer.put(Buffer.from(digestOf(bytes), 'hex'), bytes, 'data');
      await writer.finish();
      const version: DataVersion = { type: 'file', hash: digestOf(bytes), size: bytes.length, ...(exec && { exec }) };
      await send(cache, version);
      return version;
    },
    task: (parts = {}) => ({
      stage: 'train' as StageId,
      fingerprint: digestOf('fingerprint'),
      commands: ['true'],
      wdir: '' as RepoPath,
      code: undefined,
      inputs: [],
      outs: [],
      remote,
      ...parts,
    }),
    give(task) {
      const text = formatClusterTask(task);
      writeFileSync(paths.task, text);
      taskHash = digestOf(text);
    },
    run(verb, { env = {}, onStart } = {}) {
      rmSync(paths.termination, { force: true });
      const given = {
        MLV_TASK: paths.task,
        MLV_TASK_HASH: taskHash,
        MLV_WORK: paths.work,
        MLV_CACHE: sharedCache ? paths.cache : join(paths.work, 'cache'),
        MLV_JOB_UID: job,
        MLV_TERMINATION_LOG: paths.termination,
        HOME: join(paths.work, 'home'),
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
        AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
        ...env,
      };
      const child = spawn(process.execPath, [join(runtime, 'pod.cjs'), verb], {
        cwd: runtime,
        env: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      onStart?.(child);
      return new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code) => {
          const left = existsSync(paths.termination) ? readFileSync(paths.termination, 'utf8') : undefined;
          const termination = left === undefined ? undefined : (JSON.parse(left) as ContainerEnd['termination']);
          resolve({ code: code ?? undefined, stderr, termination });
        });
      });
    },
    stage(script) {
      const env = { PATH: process.env['PATH'] ?? '', HOME: join(paths.work, 'home') };
      const child = spawn('/bin/sh', ['-c', script], { cwd: paths.project, env, stdio: 'ignore' });
      return new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code) => resolve(code ?? undefined));
      });
    },
    async result() {
      const key = `team/${jobKey(job)}`;
      if (!server.bucket().objects().has(key)) return undefined;
      return parseClusterResult((await server.bucket().get(key)).toString('utf8'), 'the record');
    },
    async contentOf({ type, hash: digest, size }) {
      const cache = newCache();
      const opened = await open();
      const result = await download({ remote: opened, cache, wanted: [{ digest, type, size, name: 'data' }] });
      opened.close();
      if (result.missing.length + result.damaged.length > 0) throw new Error('not all of it is on the remote');
      const content =
        type === 'file' ? cache.read(digest).toString('utf8') : readTree(cache, { digest, type, size, name: 'data' });
      cache.close();
      return content;
    },
    async dispose() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function isEmptyFolder(file: Files[string]): boolean {
  return typeof file === 'object' && 'kind' in file && file.kind === 'd';
}
