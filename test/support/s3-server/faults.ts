/** Failures that a test asks for: which requests they hit, and what happens to those. */
import type { Operation } from './target.ts';

export type FaultAction =
  /** Answers so, and does nothing else. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly code: string;
      readonly message?: string;
      /** Seconds. */
      readonly retryAfter?: number;
    }
  /** Sends the client elsewhere. */
  | { readonly kind: 'redirect'; readonly status: 301 | 307; readonly location?: string; readonly region?: string }
  /** Waits so many milliseconds before anything else. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Takes the request and never answers. */
  | { readonly kind: 'hang' }
  /** Resets the connection: at once, once so many bytes of the body came, or once so many bytes of the answer's body went. */
  | { readonly kind: 'reset'; readonly afterRequestBytes?: number; readonly afterResponseBytes?: number }
  /** Answers as it should, then closes the connection without a word, so that its next use fails. */
  | { readonly kind: 'close-idle' }
  /** Closes the connection after so many bytes of the body that Content-Length promised. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** Sends so many bytes of the body, and a Content-Length (and Content-Range) that says there are no more. */
  | { readonly kind: 'shorten'; readonly bytes: number }
  /** Flips a bit of the body, in the middle where no place is told. */
  | { readonly kind: 'alter'; readonly at?: number }
  /** Answers 200 with the whole object to a request for a range. */
  | { readonly kind: 'ignore-range' }
  | { readonly kind: 'drip'; readonly bytesPerSecond: number }
  /** Answers 200, then blanks, then an error in the body. With `isPerformed`, the work is done all the same. */
  | { readonly kind: 'late-error'; readonly code: string; readonly isPerformed: boolean }
  /** The whole request is read, then the connection dies without an answer: after the work, or instead of it. */
  | { readonly kind: 'lose-answer'; readonly isPerformed: boolean }
  /** A listing that ends after so many keys and says it is complete. */
  | { readonly kind: 'cut-listing'; readonly keys: number }
  /** A listing with every key twice. */
  | { readonly kind: 'duplicate-keys' }
  /** A listing without what was written after this time, in milliseconds. */
  | { readonly kind: 'stale-listing'; readonly after: number };

export interface Fault {
  /** All that is named has to match; nothing named matches every request. */
  readonly on?: {
    readonly method?: string;
    readonly operation?: Operation;
    /** For listings the prefix. A text has to occur in it. */
    readonly key?: string | RegExp;
  };
  /** The first of the matching requests that is hit, counted from 1. */
  readonly nth?: number;
  /** How many are hit from there on; one unless told, Infinity for all. */
  readonly times?: number;
  readonly action: FaultAction;
}

/** A fault that has been added. */
interface AddedFault {
  /** How many requests it hit. */
  hits: number;
  remove(): void;
}

export interface Faults {
  /** The first one added that applies to a request is the only one that does. */
  add(fault: Fault): AddedFault;
  clear(): void;
}

interface FaultSubject {
  readonly method: string;
  readonly operation: Operation;
  readonly key: string;
}

export function openFaults(): Faults & { take(subject: FaultSubject): FaultAction | undefined } {
  let entries: { fault: Fault; matched: number; added: AddedFault }[] = [];
  return {
    add(fault) {
      const entry = {
        fault,
        matched: 0,
        added: {
          hits: 0,
          remove() {
            entries = entries.filter((each) => each !== entry);
          },
        },
      };
      entries.push(entry);
      return entry.added;
    },
    clear() {
      entries = [];
    },
    take(subject) {
      for (const entry of entries) {
        const { fault, added } = entry;
        if (!matches(fault, subject)) continue;
        entry.matched++;
        if (entry.matched < (fault.nth ?? 1) || added.hits >= (fault.times ?? 1)) continue;
        added.hits++;
        return fault.action;
      }
      return undefined;
    },
  };
}

function matches({ on = {} }: Fault, { method, operation, key }: FaultSubject): boolean {
  if (on.method !== undefined && on.method !== method) return false;
  if (on.operation !== undefined && on.operation !== operation) return false;
  if (on.key === undefined) return true;
  return typeof on.key === 'string' ? key.includes(on.key) : on.key.test(key);
}
