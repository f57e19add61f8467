import { closeSync, openSync } from 'node:fs';
import { digestFromBytes } from '../domain/digest.ts';
import type { TreeEntry } from '../domain/tree.ts';
import type { TreePath } from '../domain/tree-path.ts';
import { DIGEST_OFFSET, RECORD_BYTES, recordKind, recordSize } from '../storage/file-record.ts';
import type { StatBlock, StatCache, StatCacheWriter } from '../storage/stat-cache.ts';
import { blockHash, NO_STAT_CACHE, readBlock, writeStatCache } from '../storage/stat-cache.ts';

/** The entries of a block of records. */
export function* entriesOf(block: StatBlock): Generator<TreeEntry> {
  if (block.records.length === 0) return;
  let at = 0;
  for (const path of block.paths.split('\0')) {
    const kind = recordKind(block.records, at);
    if (kind !== undefined) {
      yield {
        path: path as TreePath,
        kind,
        size: recordSize(block.records, at),
        digest: digestFromBytes(block.records, at + DIGEST_OFFSET),
      };
    }
    at += RECORD_BYTES;
  }
}

/** Another process has replaced the stat cache while this one was reading it. */
export class StatCacheReplaced extends Error {}

/**
 * Compares a new scan's blocks with those of the last one. As long as they are the same nothing is written or handed on; from the
 * first difference all are, those before it read back. Throws StatCacheReplaced when those cannot be read any more.
 */
export function followStatCache(options: {
  readonly previous: (StatCache & { sameContext: boolean }) | undefined;
  /** Undefined to keep none. */
  readonly file: string | undefined;
  readonly take: (block: StatBlock) => void;
}) {
  const { previous, file, take } = options;
  let same = 0;
  let writer: StatCacheWriter | undefined;

  function* previousBlocks(count: number): Generator<StatBlock> {
    if (previous === undefined) return;
    const fd = openSync(previous.path, 'r');
    try {
      for (const place of previous.blocks.slice(0, count)) {
        const block = readBlock(fd, place);
        if (block === undefined) throw new StatCacheReplaced(previous.path);
        yield block;
      }
    } finally {
      closeSync(fd);
    }
  }

  const openWriter = (): StatCacheWriter => (file === undefined ? NO_STAT_CACHE : writeStatCache(file));

  function diverge(): StatCacheWriter {
    const opened = openWriter();
    try {
      for (const block of previousBlocks(same)) {
        opened.add(block);
        take(block);
      }
    } catch (error) {
      opened.abandon();
      throw error;
    }
    return opened;
  }

  const isUnchanged = (): boolean =>
    writer === undefined && previous?.sameContext === true && same === previous.blocks.length;
  return {
    previous,
    isUnchanged,
    /** The blocks of this scan that were not handed on, because no difference came after them. */
    heldBack: (): Iterable<StatBlock> => (writer === undefined ? previousBlocks(same) : []),
    onBlock(block: StatBlock): void {
      if (writer === undefined && previous?.blocks[same]?.hash === blockHash(block)) {
        same += 1;
        return;
      }
      writer ??= diverge();
      writer.add(block);
      take(block);
    },
    /** Returns what kept the new stat cache from being written, where something did. */
    finish(summary: Parameters<StatCacheWriter['finish']>[0]): unknown {
      if (isUnchanged() && previous?.generation === summary.generation && previous.root === summary.root)
        return undefined;
      const opened = writer ?? openWriter();
      if (writer === undefined) for (const block of previousBlocks(same)) opened.add(block);
      return opened.finish(summary);
    },
    abandon(): void {
      writer?.abandon();
    },
  };
}
