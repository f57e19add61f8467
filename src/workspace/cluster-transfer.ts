import { MAX_CLUSTER_RESULT_BYTES, parseClusterResult } from '../domain/cluster-result.ts';
import type { ClusterInput } from '../domain/cluster-task.ts';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { DataVersion, LockedOutput, Stage } from '../domain/pipeline.ts';
import { POINTER_VERSION } from '../domain/pointer.ts';
import type { JobUid } from '../domain/remote-layout.ts';
import { jobKey } from '../domain/remote-layout.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import type { CodeTree } from './code-tree.ts';
import type { Workspace } from './open.ts';
import { openNamedHome } from './open-remote.ts';
import type { VerbOptions } from './progress.ts';
import { learnPurges } from './purge-record.ts';
import { pushVersions } from './push.ts';
import { missingOnRemotes } from './restore-outputs.ts';
import type { WantedVersion } from './transfer-scope.ts';

export interface SentToCluster {
  /** What the remote lacked. */
  readonly blobs: number;
  readonly bytes: number;
}

/**
 * Sends what a stage finds to the remote that its cluster uses, whatever is said of where that data belongs: what the remote has need not be
 * here. Throws `cluster-data-missing`, `remote-write-failed`, and what writing to a remote does.
 */
export async function sendToCluster(
  workspace: Workspace,
  options: VerbOptions & {
    /** Name of the remote. */
    readonly remote: string;
    readonly code: CodeTree | undefined;
    readonly inputs: readonly ClusterInput[];
  },
): Promise<SentToCluster> {
  const { remote, code, inputs } = options;
  await learnPurges(workspace);
  const versions = inputs.map((input) => wanted(input.path, input));
  if (code !== undefined) {
    const { root: hash, bytes: size, files } = code;
    versions.push(wanted('the code' as RepoPath, { type: 'dir', hash, size, files }));
  }
  const { remotes, missing, needsRepair, failed } = await pushVersions(workspace, versions, options);
  if (missing.length > 0) {
    throw new MlvError({
      code: 'cluster-data-missing',
      kind: 'missing',
      message: `${missing.length} of the files that the stage reads are neither in the cache nor on remote ${remote}, which the cluster uses`,
      items: missing,
      hint: needsRepair
        ? 'Some are damaged in the cache: mlv verify --repair'
        : 'Bring them here from where they are, and they are sent on: mlv fetch',
    });
  }
  const [first] = failed;
  if (first !== undefined) {
    throw new MlvError({
      code: 'remote-write-failed',
      kind: 'io',
      message: `${first.path} could not be stored on remote ${remote}: ${first.reason}`,
      items: failed.map(({ path, reason }) => `${path}: ${reason}`),
      hint: 'Try again later: what has been sent is not sent again.',
    });
  }
  const sum = { blobs: 0, bytes: 0 };
  for (const { blobs, bytes } of remotes) {
    sum.blobs += blobs;
    sum.bytes += bytes;
  }
  return sum;
}

function wanted(path: RepoPath, { type, hash, size, files, exec }: DataVersion): WantedVersion {
  const pointer = {
    version: POINTER_VERSION,
    type,
    hash,
    size,
    ...(files !== undefined && { files }),
    ...(exec !== undefined && { exec }),
  } as const;
  return { path, pointer, selection: 'all', revision: undefined };
}

/** What a Job made of a stage. */
export interface HarvestedResult {
  readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
  readonly seconds: number;
  readonly finished: string;
}

/**
 * What a Job made, as its record on the remote tells: of this task, with all that the stage declares, and all of it there. Undefined where
 * there is no record. Throws `cluster-result-invalid`, `cluster-result-version`, `cluster-result-missing`, and what reading a remote does.
 */
export async function readClusterResult(
  workspace: Workspace,
  options: Pick<VerbOptions, 'signal'> & {
    /** Name of the remote. */
    readonly remote: string;
    readonly job: JobUid;
    /** Digest of the task's text. */
    readonly task: Digest;
    readonly fingerprint: Digest;
    readonly stage: Stage;
  },
): Promise<HarvestedResult | undefined> {
  const { remote, job, task, fingerprint, stage, signal } = options;
  const { home } = await openNamedHome(workspace, remote);
  const name = `${jobKey(job)} on remote ${remote}`;
  let text: string;
  try {
    text = (await home.readAll(jobKey(job), MAX_CLUSTER_RESULT_BYTES, signal)).toString('utf8');
  } catch (error) {
    if (error instanceof MlvError && error.code === 'object-missing') return undefined;
    throw error;
  }
  const result = parseClusterResult(text, name);
  const isAsked = result.job === job && result.task === task && result.fingerprint === fingerprint;
  const outs = new Map<RepoPath, LockedOutput>();
  for (const { path, cache, persist, push, remote: own } of stage.outs) {
    const version = result.outs.get(path);
    if (version !== undefined)
      outs.set(path, { ...version, cache, persist, push, ...(own !== undefined && { remote: own }) });
  }
  if (!isAsked || outs.size !== stage.outs.length || outs.size !== result.outs.size) throw ofAnother(name, stage);
  // Whatever is said of where they belong, that is where the pod has put them.
  const versions = [...outs.values()].map((output) => ({ ...output, push: true }));
  const missing = await missingOnRemotes(workspace, versions, { remote, signal });
  const lost = [...outs].filter(([, { hash }]) => missing.has(hash)).map(([path]) => path);
  if (lost.length > 0) throw notThere(name, lost);
  const { seconds, finished } = result;
  return { outs, seconds, finished };
}

function ofAnother(name: string, { id }: Stage): MlvError {
  return new MlvError({
    code: 'cluster-result-invalid',
    kind: 'corrupt',
    message: `${name} is the record of another task than the one that ran for stage ${id}`,
    hint: `No two Jobs have one UID: somebody else wrote it. Run the stage again: mlv repro --force ${id}`,
  });
}

function notThere(name: string, items: readonly string[]): MlvError {
  return new MlvError({
    code: 'cluster-result-missing',
    kind: 'missing',
    message: `${name} tells of outputs that the remote does not have`,
    items,
    hint: 'Did somebody collect, or purge, there? "mlv verify --remote" tells more; the stage can be run again.',
  });
}
