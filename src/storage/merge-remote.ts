import { hashEngine } from '../platform/hash.ts';
import { MlvError } from '../domain/errors.ts';
import { ALWAYS } from '../domain/index-head.ts';
import { INDEX_FOLDER } from '../domain/remote-layout.ts';
import type { IndexFile } from './index-file.ts';
import type { IsLeftOut } from './merge-indexes.ts';
import { mergeIndexes, planMerges, replacedBy } from './merge-indexes.ts';
import type { Remote } from './remote.ts';

/** Merging so many bytes of indexes is always worth while; more only together with as many bytes of data. */
const MERGE_BYTES = 16 << 20;
/** A client that listed before the merge may be reading what was merged away. */
const KEEP_REPLACED_MS = 60 * 60 * 1000;

/**
 * Merges indexes of one size class when there are many, and deletes what was merged away long ago. Only makes reading
 * cheaper: what cannot be done now, or is not allowed, is left to another push. Needs a fresh listing.
 */
export async function mergeRemoteIndexes(remote: Remote, sentBytes: number, signal?: AbortSignal): Promise<void> {
  try {
    await mergeAll(remote, Math.max(MERGE_BYTES, sentBytes), signal);
    await deleteReplaced(remote, signal);
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
  }
}

async function mergeAll(remote: Remote, maxBytes: number, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const groups = planMerges(remote.indexes().map((index) => ({ ...index.head, index })));
    const [group] = groups.filter(
      (members) => members.reduce((sum, { fileLength }) => sum + fileLength, 0) <= maxBytes,
    );
    if (group === undefined) return;
    const inputs: IndexFile[] = [];
    for (const { index } of group) inputs.push(await index.whole(signal));
    // Rows of dead keys stay: what is in them may have to be copied.
    const isLeftOut: IsLeftOut = ({ kind }, { head }) => kind === 'tree-pack' && !remote.isVouching(head);
    for (const merged of mergeIndexes({ inputs, isLeftOut, asOf: ALWAYS, hash: hashEngine().hash }))
      await remote.addIndex(merged, signal);
  }
}

async function deleteReplaced(remote: Remote, signal?: AbortSignal): Promise<void> {
  const listed = remote.listed();
  const now = listed.reduce((latest, { modified }) => Math.max(latest, modified), 0);
  const old = listed.filter(({ modified }) => now - modified > KEEP_REPLACED_MS);
  const isReplaced = replacedBy(old.flatMap(({ head }) => (head === undefined ? [] : [head])));
  for (const { name, head } of listed) {
    if (isReplaced({ name, prefix: head?.prefix ?? { bits: 0, value: 0 } }))
      await remote.home.delete(INDEX_FOLDER + name, signal);
  }
}
