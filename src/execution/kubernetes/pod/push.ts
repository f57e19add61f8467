import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterResult } from '../../../domain/cluster-result.ts';
import { formatClusterResult, MAX_CLUSTER_RESULT_BYTES, parseClusterResult } from '../../../domain/cluster-result.ts';
import { MlvError } from '../../../domain/errors.ts';
import type { DataVersion } from '../../../domain/pipeline.ts';
import { jobKey } from '../../../domain/remote-layout.ts';
import type { RepoPath } from '../../../domain/repo-path.ts';
import { statsAt } from '../../../platform/stats-at.ts';
import type { Home } from '../../../storage/home.ts';
import { upload } from '../../../storage/upload.ts';
import type { UploadResult } from '../../../storage/upload.ts';
import { openNamedHome, openNamedRemote } from '../../../workspace/open-remote.ts';
import { requireAddable } from '../../../workspace/require-addable.ts';
import { takeSnapshot } from '../../../workspace/snapshot.ts';
import { createStorageTasks } from '../../../workspace/task-runner.ts';
import { fetchedFile } from './fetch.ts';
import type { Pod, PodWorkspace } from './pod.ts';
import { POD_REMOTE, requireWay, withPodWorkspace } from './pod.ts';

export interface PushedTask {
  readonly files: number;
  readonly bytes: number;
  /** Bytes that the remote lacked. */
  readonly sent: number;
  /** True where an earlier push of the same Job has done it all. */
  readonly wasDone: boolean;
}

/**
 * Sends what a stage has made, and then the record of it. Where there is one of this Job already, it stays: all that it names is there.
 * Throws `output-not-made`, `output-beyond-symlink`, `path-is-symlink`, `path-is-special`, `path-ignored`, `output-unreadable`,
 * `cluster-result-conflict`, `data-damaged`, and what writing to a remote does.
 */
export async function pushTask(pod: Pod): Promise<PushedTask> {
  const { task, taskHash, job, work } = pod;
  const seconds = secondsSince(fetchedFile(work));
  return withPodWorkspace(pod, async (workspace) => {
    const { home } = await openNamedHome(workspace, POD_REMOTE);
    if (await isRecorded(home, pod)) return { files: 0, bytes: 0, sent: 0, wasDone: true };
    const outs = await storeAll(pod, workspace);
    const sent = await sendAll(pod, workspace, outs);
    const result: ClusterResult = {
      job,
      task: taskHash,
      fingerprint: task.fingerprint,
      outs,
      seconds,
      finished: new Date().toISOString().replace(/\.\d+/, ''),
    };
    await home.write(jobKey(job), [Buffer.from(formatClusterResult(result))]);
    const sum = { files: 0, bytes: 0 };
    for (const { size, files = 1 } of outs.values()) {
      sum.files += files;
      sum.bytes += size;
    }
    return { ...sum, sent: sent.bytes, wasDone: false };
  });
}

/** Whether what this Job made is on record. */
async function isRecorded(home: Home, { job, task, taskHash }: Pod): Promise<boolean> {
  const key = jobKey(job);
  let text: string;
  try {
    text = (await home.readAll(key, MAX_CLUSTER_RESULT_BYTES)).toString('utf8');
  } catch (error) {
    const isAbsent = error instanceof MlvError && (error.code === 'object-missing' || error.code === 'remote-missing');
    if (isAbsent) return false;
    throw error;
  }
  const found = parseClusterResult(text, `${key} at ${home.name}`);
  const sorted = (paths: Iterable<RepoPath>): string => [...paths].sort().join('\0');
  const isOurs = found.job === job && found.task === taskHash && found.fingerprint === task.fingerprint;
  if (isOurs && sorted(found.outs.keys()) === sorted(task.outs.map(({ path }) => path))) return true;
  throw new MlvError({
    code: 'cluster-result-conflict',
    kind: 'corrupt',
    message: `${key} at ${home.name} is the record of another task`,
    hint: 'No two Jobs have one UID: somebody else wrote it. Run the stage again: mlv repro --force STAGE',
  });
}

/** Takes the outputs into the cache. */
async function storeAll(pod: Pod, workspace: PodWorkspace): Promise<Map<RepoPath, DataVersion>> {
  const { task, onProgress } = pod;
  const { root } = workspace;
  const isThere = (path: RepoPath): boolean => statsAt(join(root, path)) !== undefined;
  const lacking = task.outs.map(({ path }) => path).filter((path) => !isThere(path));
  if (lacking.length > 0) throw notMade(lacking);
  for (const { path } of task.outs) {
    requireWay(root, path, 'output-beyond-symlink');
    requireAddable(workspace, path);
  }
  const stored = new Map<RepoPath, DataVersion>();
  const tasks = createStorageTasks(workspace.cache());
  try {
    for (const { path } of task.outs) {
      const record = { path, base: undefined, selected: 'all' } as const;
      const snapshot = await takeSnapshot({ workspace, path, record, tasks, store: true, onProgress });
      const { content, problems, bytes: size, files } = snapshot;
      if (problems.length > 0) throw unreadable(path, problems);
      if (content === undefined) throw notMade([path]);
      const { type, hash, exec } = content;
      stored.set(path, { type, hash, size, ...(type === 'dir' && { files }), ...(exec && { exec: true }) });
    }
    return stored;
  } finally {
    await tasks.close();
  }
}

async function sendAll(
  { onProgress }: Pod,
  workspace: PodWorkspace,
  outs: ReadonlyMap<RepoPath, DataVersion>,
): Promise<UploadResult> {
  const { remote } = await openNamedRemote(workspace, POD_REMOTE);
  try {
    const result = await upload({
      remote,
      cache: workspace.cache(),
      roots: [...outs].map(([path, { hash: digest, type }]) => ({ digest, type, name: path })),
      renewNotes: true,
      onProgress: ({ blobs, bytes }) => onProgress({ phase: 'uploading', files: blobs, bytes }),
    });
    const { missing, damaged, failed } = result;
    const [lost] = [...missing, ...damaged];
    if (lost !== undefined) {
      // It was there a moment ago.
      throw new MlvError({
        code: 'blob-corrupt',
        kind: 'corrupt',
        message: `${lost.path} is damaged, or lost, in the cache`,
      });
    }
    const [first] = failed;
    if (first !== undefined) {
      throw new MlvError({
        code: 'remote-write-failed',
        kind: 'io',
        message: `${first.path} could not be stored at ${remote.home.name}: ${first.reason}`,
        hint: 'Run the stage again: that is mostly passing.',
      });
    }
    return result;
  } finally {
    remote.close();
  }
}

/** Of the stage, as far as a file tells that anybody may have written to. */
function secondsSince(file: string): number {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  return stats === undefined ? 0 : Math.max(0, Math.round(Date.now() - stats.mtimeMs) / 1000);
}

function notMade(paths: readonly RepoPath[]): MlvError {
  return new MlvError({
    code: 'output-not-made',
    kind: 'missing',
    message: `the stage did not make ${paths.join(', ')}`,
    hint: 'Its commands succeeded all the same: let them write there, or correct "outs" of the stage.',
  });
}

function unreadable(path: RepoPath, problems: readonly { readonly path: string; readonly reason: string }[]): MlvError {
  const items = problems.map((each) => `${path}/${each.path}: ${each.reason}`);
  return new MlvError({
    code: 'output-unreadable',
    kind: 'refused',
    message: `${items[0] ?? path}${items.length > 1 ? `, and ${items.length - 1} more` : ''}`,
    items,
    hint: 'Let the stage make files, folders, and links that lead to what is in the same output.',
  });
}
