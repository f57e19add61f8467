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
