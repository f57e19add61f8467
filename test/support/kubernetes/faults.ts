/** Troubles of the API server and of what is between it and the client, ordered by tests. */
import type { Target } from './target.ts';

/** How a stream ends: as it should, with a broken connection, without another word, or with the news that its version is too old. */
export type StreamEnd = 'end' | 'reset' | 'stall' | 'gone';

export type FaultAction =
  /** An error of the API server. */
  | {
      readonly kind: 'status';
      readonly code: number;
      readonly message?: string;
      readonly reason?: string;
      readonly retryAfter?: number;
    }
  /** An answer of something else, such as a proxy's page. */
  | { readonly kind: 'raw'; readonly status: number; readonly body: string; readonly type?: string }
  /** Waits so many milliseconds first. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Breaks the connection before anything is done. */
  | { readonly kind: 'reset' }
  /** Does what was asked for, then breaks the connection. */
  | { readonly kind: 'lose-answer' }
  /** Answers, and closes the connection in the middle of the body. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** Answers with this warning, too. */
  | { readonly kind: 'warning'; readonly text: string }
  /** Ends a watch or a log after so many events or lines. */
  | { readonly kind: 'cut'; readonly after: number; readonly how: StreamEnd };

export interface Fault {
  /** All that is named has to match; nothing named matches every request. */
  readonly on?: {
    readonly verb?: Target['verb'];
    readonly resource?: string;
    readonly subresource?: string;
    /** Has to occur in the name, of the object created or asked for. */
    readonly name?: string;
    readonly user?: string;
  };
  /** The first of the matching requests that is hit, counted from 1. */
  readonly nth?: number;
  /** How many are hit from there on; one unless told, -1 for all. */
  readonly times?: number;
  readonly action: FaultAction;
}

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

export interface FaultSubject {
  readonly verb: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly user: string;
}

export function openFaults(): Faults & { take(subject: FaultSubject): FaultAction | undefined } {
  let entries: { fault: Fault; matched: number; added: AddedFault }[] = [];
  return {
    add(fault) {
      const added = {
        hits: 0,
        remove() {
          entries = entries.filter((each) => each.added !== added);
        },
      };
      entries.push({ fault, matched: 0, added });
      return added;
    },
    clear() {
      entries = [];
    },
    take(subject) {
      for (const entry of entries) {
        const { fault, added } = entry;
        if (!matches(fault, subject)) continue;
        entry.matched++;
        const times = fault.times === -1 ? Number.POSITIVE_INFINITY : (fault.times ?? 1);
        if (entry.matched < (fault.nth ?? 1) || added.hits >= times) continue;
        added.hits++;
        return fault.action;
      }
      return undefined;
    },
  };
}

function matches({ on = {} }: Fault, subject: FaultSubject): boolean {
  if (on.verb !== undefined && on.verb !== subject.verb) return false;
  if (on.resource !== undefined && on.resource !== subject.resource) return false;
  if (on.subresource !== undefined && on.subresource !== subject.subresource) return false;
  if (on.user !== undefined && on.user !== subject.user) return false;
  return on.name === undefined || subject.name.includes(on.name);
}
