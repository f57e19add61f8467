import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { DataVersion } from '../../../domain/pipeline.ts';
import { MlvError } from '../../../domain/errors.ts';
import type { RepoPath } from '../../../domain/repo-path.ts';
import type { CheckoutStep } from '../../../domain/three-way.ts';
import { treePathFromText, treePathToText } from '../../../domain/tree-path.ts';
import { readEntries, summarise } from '../../../domain/tree-reader.ts';
import type { TreeEntry } from '../../../domain/tree.ts';
import { NO_ROOM } from '../../../storage/materialise-task.ts';
import { materialise } from '../../../workspace/materialise.ts';
import type { VerbOptions } from '../../../workspace/progress.ts';
import { NO_RECORDS } from '../../../workspace/record-seeker.ts';
import { createStorageTasks } from '../../../workspace/task-runner.ts';
import type { PodWorkspace } from './pod.ts';
import { makeWay, wipe } from './pod.ts';

/** Something to be laid out in the project: '' for all of it. */
export interface PlacedVersion extends Pick<DataVersion, 'type' | 'hash' | 'exec'> {
  readonly path: RepoPath;
  /** Of a file. */
  readonly size: number;
}

/**
 * Writes versions that the cache has into the project, one over the other. Every byte is compared with its digest, but for what a reflink
 * brings out of a cache that was filled just now. Throws `blob-missing`, `blob-corrupt`, `work-full`, `work-not-written`, `path-beyond-symlink`.
 */
export async function layOut(
  workspace: PodWorkspace,
  versions: readonly PlacedVersion[],
  options: VerbOptions,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const sum = { files: 0, bytes: 0 };
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    for (const version of versions) {
      const { root, entries, totalFiles } = placeOf(workspace, version);
      const { written, bytes, problems } = await materialise({
        ...options,
        workspace,
        root,
        boundary: workspace.root,
        links: workspace.links,
        *steps(): Generator<CheckoutStep> {
          for (const want of entries()) yield { action: 'write', path: want.path, want, found: undefined };
        },
        records: () => NO_RECORDS,
        tasks,
        totalFiles,
        isEmpty: true,
        onBlock: () => {},
      });
      const [problem] = problems;
      if (problem !== undefined) throw notWritten(join(root, treePathToText(problem.path)), problem);
      sum.files += written;
      sum.bytes += bytes;
    }
    return sum;
  } finally {
    await tasks.close();
  }
}

/** Makes room for a version; returns the folder that its entries are relative to. */
function placeOf(workspace: PodWorkspace, { path, type, hash, size, exec }: PlacedVersion) {
  const at = path === '' ? workspace.root : makeWay(workspace.root, path);
  if (path !== '') wipe(at);
  if (type === 'file') {
    const kind = exec === true ? ('x' as const) : ('f' as const);
    const entry: TreeEntry = { path: treePathFromText(basename(at)), kind, size, digest: hash };
    return { root: dirname(at), entries: () => [entry], totalFiles: 1 };
  }
  mkdirSync(at, { recursive: true });
  const { read } = workspace.cache();
  return { root: at, entries: () => readEntries(hash, read), totalFiles: summarise(hash, read).files };
}

function notWritten(path: string, problem: { readonly kind: string; readonly reason: string }): MlvError {
  const message = `${path} cannot be written: ${problem.reason}`;
  if (problem.kind === 'missing') return new MlvError({ code: 'blob-missing', kind: 'missing', message });
  if (problem.kind === 'corrupt') return new MlvError({ code: 'blob-corrupt', kind: 'corrupt', message });
  if (problem.reason === NO_ROOM) {
    const hint = 'Give the stage more room: "resources: {disk: …}".';
    return new MlvError({ code: 'work-full', kind: 'io', message, hint });
  }
  return new MlvError({ code: 'work-not-written', kind: 'io', message });
}
