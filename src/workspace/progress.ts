import type { DownloadProgress } from '../storage/download.ts';

/** What a long operation says of itself; the screen decides what to show and when. */
export interface Progress {
  /** Verb in the present: "hashing", "checking out", "uploading". */
  readonly phase: string;
  /** Done so far. */
  readonly files: number;
  readonly bytes: number;
  /** Where known. */
  readonly totalFiles?: number;
  readonly totalBytes?: number;
}

/** Options that every verb takes. */
export interface VerbOptions {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What a download says of itself, said of a verb. */
export function whileFetching({ onProgress }: VerbOptions): ((progress: DownloadProgress) => void) | undefined {
  return (
    onProgress &&
    (({ blobs, bytes, totalBlobs, totalBytes }) =>
      onProgress({
        phase: 'fetching',
        files: blobs,
        bytes,
        ...(totalBlobs > 0 && { totalFiles: totalBlobs, totalBytes }),
      }))
  );
}
