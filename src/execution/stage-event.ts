/** What becomes of stages, and what is told while they run: what screens show. */
import type { MlvError } from '../domain/errors.ts';
import type { StageId } from '../domain/pipeline.ts';

export type StageOutcome =
  | { readonly type: 'ran'; readonly seconds: number }
  | { readonly type: 'restored'; readonly record: Provenance | undefined }
  | { readonly type: 'up-to-date' }
  | { readonly type: 'frozen' }
  | { readonly type: 'failed'; readonly error: MlvError }
  /** It goes on in a cluster, without this process. */
  | { readonly type: 'detached'; readonly job: string }
  /** Never tried: something it needs failed. */
  | { readonly type: 'blocked'; readonly by: StageId }
  /** Never tried, or stopped, for no reason of its own. */
  | { readonly type: 'cancelled' };

/** Whose result was restored: a part of the run's record. */
export interface Provenance {
  readonly producer?: { readonly name: string; readonly email: string };
  readonly commit?: string;
  /** ISO 8601. */
  readonly finished: string;
  readonly seconds: number;
}

export type StageEvent =
  | { readonly type: 'started'; readonly stage: StageId; /** From 1. */ readonly attempt: number }
  | {
      readonly type: 'line';
      readonly stage: StageId;
      readonly stream: 'stdout' | 'stderr';
      readonly text: string;
    }
  | { readonly type: 'ended'; readonly stage: StageId; readonly outcome: StageOutcome };
