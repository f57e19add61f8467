/**
 * What the pod's own containers run: `fetch` before the stage, `push` after it. A program of its own, in one file that Node runs by itself;
 * it says what it does on standard error, and how it ended by its exit code.
 */
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { formatBytes, formatCount } from '../../../domain/amount-text.ts';
import { MAX_CLUSTER_TASK_BYTES, parseClusterTask } from '../../../domain/cluster-task.ts';
import { digestFromBytes } from '../../../domain/digest.ts';
import { MlvError } from '../../../domain/errors.ts';
import { isJobUid } from '../../../domain/remote-layout.ts';
import { readSmallFile } from '../../../platform/durable-write.ts';
import { hashEngine } from '../../../platform/hash.ts';
import { serveTasks } from '../../../platform/worker-pool.ts';
import { createTaskHandler, transfers } from '../../../storage/tasks.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { fetchTask } from './fetch.ts';
import type { Pod } from './pod.ts';
import { progressLines } from './progress-lines.ts';
import { pushTask } from './push.ts';

/** Kubernetes takes no more. */
const MAX_MESSAGE_BYTES = 4_096;
const TERMINATION_LOG = '/dev/termination-log';
/** Where nothing is, nor can be put by the stage. */
const NOWHERE = '/nonexistent';

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Throws `pod-usage`, `cluster-task-…`. */
function readPod(): Omit<Pod, 'onProgress'> {
  const { env } = process;
  const given = (name: string): string => {
    const value = env[name];
    if (value !== undefined && value !== '') return value;
    throw usage(`${name} is not set`);
  };
  const work = resolve(given('MLV_WORK'));
  const job = given('MLV_JOB_UID');
  if (!isJobUid(job)) throw usage(`MLV_JOB_UID is not the UID of a Job: ${job.slice(0, 100)}`);
  const file = given('MLV_TASK');
  const bytes = readSmallFile(file, MAX_CLUSTER_TASK_BYTES);
  if (bytes === undefined) throw usage(`there is no task at ${file}`);
  const taskHash = digestFromBytes(hashEngine().hash(bytes));
  if (taskHash !== given('MLV_TASK_HASH').replace(/^b3:/, '')) {
    throw new MlvError({
      code: 'cluster-task-other',
      kind: 'corrupt',
      message: `${file} is not the task that the Job names, but b3:${taskHash}`,
      hint: 'Somebody changed the ConfigMap. Delete the Job, and run the stage again.',
    });
  }
  const task = parseClusterTask(bytes.toString('utf8'), file);
  mkdirSync(work, { recursive: true });
  const cache = env['MLV_CACHE'] ? resolve(env['MLV_CACHE']) : undefined;
  return {
    task,
    taskHash,
    job,
    work: realpathSync.native(work),
    // What is in the pod's own volume the stage could have changed.
    cache: cache?.startsWith(`${work}/`) === true ? undefined : cache,
    environment: { ...env },
    tell,
  };
}

async function run(verb: string | undefined): Promise<void> {
  if (verb !== 'fetch' && verb !== 'push') throw usage('its argument is "fetch" or "push"');
  const pod = readPod();
  const lines = progressLines(tell);
  try {
    if (verb === 'fetch') {
      const { files, bytes, fetched } = await fetchTask({ ...pod, onProgress: lines.onProgress });
      tell(`laid out ${formatCount(files)} files, ${formatBytes(bytes)}; ${formatBytes(fetched)} came from the remote`);
    } else {
      const { files, bytes, sent, wasDone } = await pushTask({ ...pod, onProgress: lines.onProgress });
      tell(
        wasDone
          ? 'what this Job made is on record already'
          : `took in ${formatCount(files)} files, ${formatBytes(bytes)}; sent ${formatBytes(sent)}`,
      );
    }
  } finally {
    lines.end();
  }
}

function usage(message: string): MlvError {
  return new MlvError({
    code: 'pod-usage',
    kind: 'usage',
    message,
    hint: 'mlv starts this program in pods of its own; it is not meant to be run by hand.',
  });
}

/** One line of JSON that tells of an error, for the log and for the status of the pod. */
function lineOf(error: unknown): string {
  const isExpected = error instanceof MlvError;
  const text = isExpected ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  const code = isExpected ? error.code : 'bug';
  const hint = isExpected ? error.hint : 'That is a mistake in mlv: please report it.';
  for (let most = MAX_MESSAGE_BYTES; ; most = Math.floor(most * 0.8)) {
    const line = JSON.stringify({
      code,
      message: text.slice(0, most),
      ...(hint !== undefined && { hint: hint.slice(0, most) }),
    });
    if (Buffer.byteLength(line) < MAX_MESSAGE_BYTES) return line;
  }
}

function end(error: unknown): void {
  const line = lineOf(error);
  if (error instanceof MlvError) for (const item of error.items.slice(0, 20)) tell(item);
  tell(line);
  try {
    writeFileSync(process.env['MLV_TERMINATION_LOG'] || TERMINATION_LOG, `${line}\n`);
  } catch {
    // The log has it.
  }
  process.exitCode = exitCodeOf(error);
}

async function main(): Promise<void> {
  // Whoever is the first process of a container hears no signal unless it listens.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => process.exit(EXIT.terminated));
  // The home is on a volume that the stage writes to: a profile there could have the SDK run any program, with this container's secrets.
  process.env['HOME'] = NOWHERE;
  delete process.env['AWS_PROFILE'];
  // The S3 SDK would tell of the end of this Node.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  // Whoever the stage runs as, it is of the volume's group.
  process.umask(0o002);
  try {
    await run(process.argv[2]);
  } catch (error) {
    end(error);
  }
}

if (isMainThread) void main();
else serveTasks(createTaskHandler(), transfers);
