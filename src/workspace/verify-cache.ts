import { closeSync, existsSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import type { MlvError } from '../domain/errors.ts';
import type { PurgeRecord } from '../domain/purge-record.ts';
import { digestOfBytes } from '../platform/hash.ts';
import { readAt } from '../platform/read-write.ts';
import { cacheFolders } from '../storage/cache-layout.ts';
import type { BlobLocation } from '../storage/local-cache.ts';
import type { Reached } from '../storage/reach.ts';
import type { CacheSurvey } from '../storage/verify-cache.ts';
import { surveyCache } from '../storage/verify-cache.ts';
import type { Workspace } from './open.ts';
import { referenceOf } from './references.ts';
import { repairFromOthers } from './repair-cache.ts';
import { createStorageTasks } from './task-runner.ts';
import { withRemovalLock } from './removal-lock.ts';
import type { VerifyOptions } from './verify.ts';
import type { MissingList, Problem, VerifyResult } from './verify-result.ts';
import { createDamagePaths, createMissingList, sumMissing, treeProblem } from './verify-result.ts';
import type { ScopedVersion, VerifyScope } from './verify-scope.ts';
import { reachAll } from './verify-scope.ts';

const THREADS_FROM = 64 << 20;
const HINT = 'mlv verify --repair';

/** Verifies the cache, and what the versions name in it. While it is mended, nobody else removes anything. */
export function verifyCache(workspace: Workspace, scope: VerifyScope, options: VerifyOptions): Promise<VerifyResult> {
  const verify = (): Promise<VerifyResult> => verifyNow(workspace, scope, options);
  if (options.repair !== true) return verify();
  return withRemovalLock(workspace, { command: 'mlv verify --repair' }, verify);
}

async function verifyNow(workspace: Workspace, scope: VerifyScope, options: VerifyOptions): Promise<VerifyResult> {
  const { signal, onProgress } = options;
  const tasks = createStorageTasks(workspace.cache(), signal);
  try {
    if (isMuch(workspace.cacheFolder)) await tasks.useThreads();
    const survey = await surveyCache({
      folder: workspace.cacheFolder,
      run: (task) => tasks.run(task),
      jobs: tasks.capacity(),
      onProgress: onProgress && (({ files, bytes }) => onProgress({ phase: 'verifying', files, bytes })),
      signal,
    });
    try {
      const found = examine(survey, scope, workspace.purged());
      const { loose, packs, indexes, bytes } = survey.counts;
      const side = { side: 'cache', where: survey.folder, blobs: loose, packs, indexes, bytes };
      const problems = [...scope.problems, ...found.problems];
      const result = {
        versions: scope.versions.length,
        sides: [{ ...side, unindexed: survey.untold.size }],
        problems,
        ...sumMissing([found.missing]),
        notInCache: found.notInCache,
        repaired: [],
        seed: undefined,
        clean: problems.length + found.missing.items.length === 0,
      };
      const needsRepair = found.missing.items.length + survey.damages.length + survey.untold.size > 0;
      if (options.repair !== true || !needsRepair) return result;
      const repaired = await repairFromOthers(workspace, { survey, scope, tasks, read: readGood(survey), options });
      // What the cache cannot mend: pointers, records, trees that are not well formed.
      const isMended = problems.every(({ kind }) => ['blob', 'pack', 'index'].includes(kind));
      return { ...result, repaired: [repaired], clean: isMended && repaired.lost.length === 0 };
    } finally {
      survey.close();
    }
  } finally {
    await tasks.close();
  }
}

/** True when reading it all takes longer than starting threads. */
function isMuch(cacheFolder: string): boolean {
  const { loose, packs } = cacheFolders(cacheFolder);
  let bytes = 0;
  for (const folder of [packs, loose]) {
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
      if (bytes > THREADS_FROM) return true;
    }
  }
  return false;
}

interface Findings {
  readonly problems: readonly Problem[];
  readonly missing: MissingList;
  readonly notInCache: number;
}

/** What the versions name, as far as the survey found it good. */
function examine(survey: CacheSurvey, { versions }: VerifyScope, purged: PurgeRecord): Findings {
  const problems: Problem[] = [];
  const missing = createMissingList();
  const hits = createDamagePaths(survey.damages);
  let notInCache = 0;
  const read = readGood(survey);
  const isPurged = ({ kind, digest }: Reached): boolean => kind === 'blob' && purged.has(digest);
  for (const { item } of reachAll(versions, 'expected', { read })) {
    const { digest, path, files } = item;
    if (isPurged(item)) continue;
    if (survey.locate(digest) === undefined && !hits.has(digest)) missing.note({ path, digest, files });
  }
  const onInvalid = (error: MlvError, { path }: ScopedVersion): void => {
    problems.push(treeProblem('cache', error, path));
  };
  for (const { version, item } of reachAll(versions, 'all', { read, onInvalid })) {
    const location = survey.locate(item.digest);
    const { path, pointer } = version;
    if (location === undefined) {
      if (hits.has(item.digest)) hits.add(item.digest, item.path);
      else if (!missing.has(item.digest) && !isPurged(item)) notInCache += item.files;
    } else if (pointer.type === 'file' && location.length !== pointer.size) {
      const kind = version.made === undefined ? 'pointer' : 'lock';
      const reason = `its ${kind} says ${pointer.size} bytes, and its content has ${location.length}`;
      const hint = `git restore ${referenceOf(version)}`;
      problems.push({ side: 'workspace', kind, where: version.name, reason, blobs: 0, paths: [path], hint });
    }
  }
  for (const damage of survey.damages) {
    const { kind, where, reason, digests } = damage;
    problems.push({ side: 'cache', kind, where, reason, blobs: digests.size, paths: hits.of(damage), hint: HINT });
  }
  return { problems, missing, notInCache };
}

/** Reads tree objects that the survey found good. */
function readGood(survey: CacheSurvey): (digest: Digest) => Buffer | undefined {
  return (digest) => {
    const location = survey.locate(digest);
    return location === undefined ? undefined : readLocation(location, digest);
  };
}

/** Bytes of a tree object, compared once more: what is parsed is what was hashed. */
function readLocation({ path, offset, length }: BlobLocation, digest: Digest): Buffer | undefined {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.allocUnsafe(length);
    const isGood = readAt(file, bytes, offset, length) === length && digestOfBytes(bytes) === digest;
    return isGood ? bytes : undefined;
  } finally {
    closeSync(file);
  }
}
