import type { Transferable } from 'node:worker_threads';
import type { Digest } from '../domain/digest.ts';
import type { CacheWriter } from './cache-writer.ts';
import type { PackedRows } from './packed-rows.ts';
import type { LocalCache } from './local-cache.ts';
import { openLocalCache } from './local-cache.ts';
import type { MaterialiseResult, MaterialiseTask } from './materialise-task.ts';
import { runMaterialiseTask } from './materialise-task.ts';
import type { IngestResult, IngestTask, ScanResult, ScanTask } from './scan-task.ts';
import { runIngestTask, runScanTask } from './scan-task.ts';
import type { VerifyResult, VerifyTask } from './verify-task.ts';
import { runVerifyTask } from './verify-task.ts';

/** Makes durable what a thread has stored, and hands over the rows of its packs. */
export interface FlushTask {
  readonly type: 'flush';
}

/** Removes what a thread has begun to store and has not made durable. */
export interface AbandonTask {
  readonly type: 'abandon';
}

export interface AbandonResult {
  readonly type: 'abandon';
}

export interface FlushResult {
  readonly type: 'flush';
  readonly rows: readonly PackedRows[];
}

/** What threads can be asked to do; every task says which cache it is about. */
export type Task = (ScanTask | IngestTask | MaterialiseTask | VerifyTask | FlushTask | AbandonTask) & {
  readonly cache: CacheOptions;
};
export type TaskResult = ScanResult | IngestResult | MaterialiseResult | VerifyResult | FlushResult | AbandonResult;

export interface CacheOptions {
  readonly folder: string;
  /** Said by tasks that store something. */
  readonly packBelow: number | undefined;
  /** What is not to be stored; likewise. */
  readonly refused: readonly Digest[] | undefined;
}

/** Answers tasks one after the other, keeping the cache and its writer open in between. */
export function createTaskHandler(): (task: Task) => TaskResult | Promise<TaskResult> {
  let folder: string | undefined;
  let packBelow: number | undefined;
  let cache: LocalCache | undefined;
  let writer: CacheWriter | undefined;
  const refused = new Map<Digest, true>();

  return (task) => {
    if (cache === undefined || folder !== task.cache.folder) {
      cache?.close();
      folder = task.cache.folder;
      cache = openLocalCache({ folder, packBelow: () => packBelow ?? 0, refused: () => refused });
      writer = undefined;
      refused.clear();
    }
    packBelow = task.cache.packBelow ?? packBelow;
    for (const digest of task.cache.refused ?? []) refused.set(digest, true);
    const opened = cache;
    const store = { cache: opened, writer: () => (writer ??= opened.openWriter()) };
    switch (task.type) {
      case 'scan':
        return runScanTask(task, store);
      case 'ingest':
        return runIngestTask(task, store);
      case 'materialise':
        return runMaterialiseTask(task, opened);
      case 'verify':
        return runVerifyTask(task, opened.folder);
      case 'flush':
        return flush(writer);
      case 'abandon':
        return abandon(writer);
      default:
        return task satisfies never;
    }
  };
}

async function flush(writer: CacheWriter | undefined): Promise<FlushResult> {
  return { type: 'flush', rows: (await writer?.flush()) ?? [] };
}

async function abandon(writer: CacheWriter | undefined): Promise<AbandonResult> {
  await writer?.abandon();
  return { type: 'abandon' };
}

/** What a result hands over instead of copying. */
export function transfers(result: TaskResult): Transferable[] {
  if (result.type === 'flush') return result.rows.map(({ rows }) => rows.buffer as ArrayBuffer);
  return result.type === 'scan' || result.type === 'materialise' ? [result.records.buffer as ArrayBuffer] : [];
}
