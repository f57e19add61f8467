/** What a Job made: written by its pod once all of that is on the remote, and only then is the stage's run a success. */
import { canonicalJson } from './canonical-json.ts';
import type { Digest } from './digest.ts';
import { formatDigest } from './digest.ts';
import { MlvError } from './errors.ts';
import { otherVersion } from './format-version.ts';
import { digestOf, fieldsOf, parseJson, versionFields, versionOf } from './json-record.ts';
import { checkPath } from './path-rules.ts';
import type { DataVersion } from './pipeline.ts';
import type { JobUid } from './remote-layout.ts';
import { isJobUid } from './remote-layout.ts';
import type { RepoPath } from './repo-path.ts';

export interface ClusterResult {
  readonly job: JobUid;
  /** Digest of the task's text. */
  readonly task: Digest;
  readonly fingerprint: Digest;
  readonly outs: ReadonlyMap<RepoPath, DataVersion>;
  /** That the stage took. */
  readonly seconds: number;
  /** By the clock of the node, in UTC: `2026-11-22T05:04:03Z`. */
  readonly finished: string;
}

/** Not final yet. */
const CLUSTER_RESULT_VERSION = 0;
/** A larger one is refused unread. */
export const MAX_CLUSTER_RESULT_BYTES = 1 << 20;

const TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;

/** The one text of a result: canonical JSON in a line. */
export function formatClusterResult(result: ClusterResult): string {
  const { job, task, fingerprint, outs, seconds, finished } = result;
  const fields = {
    version: CLUSTER_RESULT_VERSION,
    job,
    task: formatDigest(task),
    fingerprint: formatDigest(fingerprint),
    outs: new Map([...outs].map(([path, version]) => [path, versionFields(version)] as const)),
    seconds,
    finished,
  };
  return `${canonicalJson(new Map(Object.entries(fields)))}\n`;
}

/** The result that a text is, named `name` in messages. It has no other form than that. Throws `cluster-result-invalid`, `cluster-result-version`. */
export function parseClusterResult(text: string, name: string): ClusterResult {
  const invalid = (what: string): MlvError =>
    new MlvError({
      code: 'cluster-result-invalid',
      kind: 'corrupt',
      message: `${name}: ${what}`,
      hint: 'It was not written by mlv. Run the stage again: mlv repro --force STAGE',
    });
  if (text.length > MAX_CLUSTER_RESULT_BYTES || Buffer.byteLength(text) > MAX_CLUSTER_RESULT_BYTES)
    throw invalid(`it is larger than ${MAX_CLUSTER_RESULT_BYTES} bytes`);
  const fields = fieldsOf(parseJson(text));
  const version = fields?.get('version');
  if (fields === undefined || typeof version !== 'number') throw invalid('this is no result of a Job');
  if (version !== CLUSTER_RESULT_VERSION)
    throw otherVersion('cluster-result', name, { version, reads: CLUSTER_RESULT_VERSION });
  const [job, seconds, finished] = ['job', 'seconds', 'finished'].map((key) => fields.get(key));
  if (typeof job !== 'string' || !isJobUid(job)) throw invalid('"job" must be the UID of a Job');
  const task = digestOf(fields.get('task'));
  const fingerprint = digestOf(fields.get('fingerprint'));
  if (task === undefined || fingerprint === undefined) throw invalid('a digest must be "b3:" and 64 hex digits');
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds < Infinity))
    throw invalid('"seconds" must be a number from 0');
  if (typeof finished !== 'string' || !TIME.test(finished)) throw invalid('"finished" must be a time in UTC');
  const made = fieldsOf(fields.get('outs'));
  if (made === undefined) throw invalid('"outs" must be a map');
  const outs = new Map<RepoPath, DataVersion>();
  for (const [path, node] of made) {
    const shown = JSON.stringify(path.slice(0, 300));
    const reason = checkPath(path);
    if (reason !== undefined) throw invalid(`no path of an output: ${shown}: ${reason}`);
    const each = fieldsOf(node);
    const found = each && versionOf(each);
    if (found === undefined) throw invalid(`this is no version of an output: ${shown}`);
    outs.set(path as RepoPath, found);
  }
  const inside = [...outs.keys()].find((path) => foldersAbove(path).some((folder) => outs.has(folder)));
  if (inside !== undefined) throw invalid(`a path lies inside of another: ${JSON.stringify(inside.slice(0, 300))}`);
  const result: ClusterResult = { job, task, fingerprint, outs, seconds, finished };
  // Nor are there fields that nobody knows.
  if (formatClusterResult(result) !== text) throw invalid('it is not in the one form that it has');
  return result;
}

function foldersAbove(path: RepoPath): RepoPath[] {
  const folders: RepoPath[] = [];
  for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1))
    folders.push(path.slice(0, end) as RepoPath);
  return folders;
}
