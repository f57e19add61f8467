import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../../../domain/errors.ts';
import type { ClusterTask } from '../../../domain/cluster-task.ts';
import type { DataVersion } from '../../../domain/pipeline.ts';
import type { RepoPath } from '../../../domain/repo-path.ts';
import { REPO_ROOT } from '../../../domain/repo-path.ts';
import type { DownloadResult } from '../../../storage/download.ts';
import { download } from '../../../storage/download.ts';
import type { Remote } from '../../../storage/remote.ts';
import { openNamedRemote } from '../../../workspace/open-remote.ts';
import { whileFetching } from '../../../workspace/progress.ts';
import type { PlacedVersion } from './lay-out.ts';
import { layOut } from './lay-out.ts';
import type { Pod, PodWorkspace } from './pod.ts';
import { makeWay, POD_REMOTE, projectFolder, wipe, withPodWorkspace } from './pod.ts';

export interface FetchedTask {
  readonly files: number;
  readonly bytes: number;
  /** Bytes that had to come from the remote. */
  readonly fetched: number;
}

/** What goes through a cache of the pod's own at a time: it takes room beside what is laid out. */
const LOT_BYTES = 256 << 20;
/** When the stage could begin. */
const FETCHED_FILE = 'fetched';

/**
 * Puts in place what a stage finds: the code, what it reads over that, what it made before and goes on with, and empty folders for what it
 * makes. What an earlier try left goes. Throws what reading a remote does, `data-unavailable`, `data-damaged`, `work-full`.
 */
export async function fetchTask(pod: Pod): Promise<FetchedTask> {
  const { task, work } = pod;
  const project = projectFolder(work);
  const home = join(work, 'home');
  for (const left of [fetchedFile(work), home]) wipe(left);
  const sum = await withPodWorkspace(pod, async (workspace) => {
    wipe(project);
    mkdirSync(project, { recursive: true });
    const laidOut = await bring(pod, workspace);
    for (const path of [join(task.wdir, 'here'), ...task.outs.map((out) => out.path)]) makeWay(workspace.root, path);
    return laidOut;
  });
  mkdirSync(home);
  writeFileSync(fetchedFile(work), '');
  return sum;
}

/** The file whose time is that of the end of `fetchTask`. */
export function fetchedFile(work: string): string {
  return join(work, FETCHED_FILE);
}

async function bring(pod: Pod, workspace: PodWorkspace): Promise<FetchedTask> {
  const { onProgress } = pod;
  const { remote } = await openNamedRemote(workspace, POD_REMOTE);
  const sum = { files: 0, bytes: 0, fetched: 0 };
  try {
    for (const lot of lotsOf(versionsOf(pod.task), workspace.isShared ? Infinity : LOT_BYTES)) {
      sum.fetched += await fetchLot(pod, { workspace, remote, lot });
      const { files, bytes } = await layOut(workspace, lot, { onProgress });
      sum.files += files;
      sum.bytes += bytes;
      if (!workspace.isShared) workspace.emptyCache();
    }
    return sum;
  } finally {
    remote.close();
  }
}

async function fetchLot(
  { onProgress }: Pod,
  given: { readonly workspace: PodWorkspace; readonly remote: Remote; readonly lot: readonly PlacedVersion[] },
): Promise<number> {
  const { workspace, remote, lot } = given;
  const result = await download({
    remote,
    cache: workspace.cache(),
    wanted: lot.map(({ path, type, hash: digest, size }) => ({ digest, type, size, name: path || 'the code' })),
    onProgress: whileFetching({ onProgress }),
  });
  requireAll(result, remote.home.name);
  return result.bytes;
}

/** In the order in which they are laid out. */
function versionsOf({ code, inputs, outs }: ClusterTask): PlacedVersion[] {
  const place = (path: RepoPath, version: DataVersion): PlacedVersion => ({ ...version, path });
  return [
    ...(code === undefined ? [] : [{ path: REPO_ROOT, type: 'dir' as const, hash: code, size: 0 }]),
    ...inputs.map((input) => place(input.path, input)),
    ...outs.flatMap(({ path, previous }) => (previous === undefined ? [] : place(path, previous))),
  ];
}

function* lotsOf(versions: readonly PlacedVersion[], most: number): Generator<PlacedVersion[]> {
  let lot: PlacedVersion[] = [];
  let bytes = 0;
  for (const version of versions) {
    if (lot.length > 0 && bytes + version.size > most) {
      yield lot;
      lot = [];
      bytes = 0;
    }
    lot.push(version);
    bytes += version.size;
  }
  if (lot.length > 0) yield lot;
}

function requireAll({ missing, damaged, failed }: DownloadResult, remote: string): void {
  const hint =
    'Is it still there? "mlv verify --remote" tells; "mlv push" from a clone that has the data sends it again.';
  if (failed.length > 0) {
    throw new MlvError({
      code: 'remote-read-failed',
      kind: 'io',
      message: `${countOf(failed)} could not be read from ${remote}: ${failed[0]?.reason ?? ''}`,
      items: failed.map(({ path, reason }) => `${path}: ${reason}`),
      hint: 'Run the stage again: that is mostly passing.',
    });
  }
  if (damaged.length > 0) {
    const items = damaged.map(({ path, how }) => `${path}: ${how}`);
    throw new MlvError({
      code: 'data-damaged',
      kind: 'corrupt',
      message: `${countOf(damaged)} ${damaged.length === 1 ? 'is' : 'are'} damaged, or lost, at ${remote}`,
      items,
      hint,
    });
  }
  if (missing.length > 0) {
    const items = missing.map(({ path }) => path);
    throw new MlvError({
      code: 'data-unavailable',
      kind: 'missing',
      message: `${countOf(missing)} ${missing.length === 1 ? 'is' : 'are'} not at ${remote}`,
      items,
      hint,
    });
  }
}

/** The first by name, and how many more there are. */
function countOf(blobs: readonly { readonly path: string }[]): string {
  const first = blobs[0]?.path ?? '';
  return blobs.length === 1 ? first : `${first} and ${blobs.length - 1} more`;
}
