import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';

/** What could not be transferred however often it was tried, while the rest could. */
export interface FailedBlob {
  readonly digest: Digest;
  readonly path: string;
  readonly reason: string;
}

/** Failures that may be those of one object. All others, of credentials or a full store, concern the remote as a whole. */
const OF_ONE_OBJECT = new Set(['remote-read-failed', 'remote-write-failed', 'remote-unreachable', 'remote-denied']);
/** So many without a success between them are no failures of single objects. */
const IN_A_ROW = 5;

/** Keeps account of what fails, so that one failing object does not stop the rest. */
export function createFailures() {
  const failed = new Map<Digest, FailedBlob>();
  let inARow = 0;
  return {
    /** Notes what belongs to a request that failed; throws the error again where going on makes no sense. */
    note(blobs: readonly { readonly digest: Digest; readonly path: string }[], error: unknown): void {
      if (!(error instanceof MlvError) || !OF_ONE_OBJECT.has(error.code) || ++inARow >= IN_A_ROW) throw error;
      for (const { digest, path } of blobs) failed.set(digest, { digest, path, reason: error.message });
    },
    succeeded(): void {
      inARow = 0;
    },
    has: (digest: Digest): boolean => failed.has(digest),
    count: (): number => failed.size,
    list: (): FailedBlob[] => [...failed.values()],
  };
}
