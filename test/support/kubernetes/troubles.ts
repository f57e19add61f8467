/** What can happen to pods and nodes, and when: ordered by tests, beforehand or at once. */

export type Trouble =
  /** A container's processes are killed from outside. */
  | { readonly kind: 'kill'; readonly signal?: NodeJS.Signals }
  /** The kernel ends a container that has used its memory up. */
  | { readonly kind: 'oom' }
  /** The kubelet ends the pod since its node is short of something. */
  | { readonly kind: 'evict'; readonly resource: 'memory' | 'ephemeral-storage' }
  /**
   * The kubelet ends the pod since it is over its own limit of disk space; that is no disruption. Where the container then exits 0,
   * the pod has succeeded by its phase, and only an event tells; others saw `Failed`, which `phase` asks for.
   */
  | {
      readonly kind: 'exceed-disk';
      readonly volume?: string;
      readonly limit?: string;
      readonly exitCode?: number;
      readonly phase?: 'Failed';
    }
  /** The scheduler wants the place for a pod of a higher priority. */
  | { readonly kind: 'preempt' }
  /** The node is cordoned, and its pods are evicted through the API. */
  | { readonly kind: 'drain' }
  /** The node is shut down in good order. */
  | { readonly kind: 'shutdown' }
  /** The node is gone without a word; its object goes after so many milliseconds, and only then its pods have failed. */
  | { readonly kind: 'lose-node'; readonly goneMs?: number }
  /**
   * The pod's sandbox is gone. A pod that is never restarted fails; with `isRerun` its init containers run again from the first, as
   * kubelets do whose runtime has forgotten the containers, too.
   */
  | { readonly kind: 'lose-sandbox'; readonly isRerun?: boolean }
  /** The container's log begins anew; what was in it before cannot be read any more. */
  | { readonly kind: 'rotate-log'; readonly endsFollowers?: boolean };

export interface Order {
  readonly on?: {
    /** Has to occur in the pod's name. */
    readonly pod?: string;
    readonly container?: string;
    /** When a container has started (as it is unless told), when it prints a line with this in it, or when it has ended. */
    readonly moment?: 'start' | 'end' | { readonly line: string };
  };
  /** So many milliseconds after that moment. */
  readonly afterMs?: number;
  /** The first of the moments that counts, from 1. */
  readonly nth?: number;
  /** How many there are from there on; one unless told, -1 for all. */
  readonly times?: number;
  readonly trouble: Trouble;
}

export interface Moment {
  readonly pod: string;
  readonly container: string;
  readonly kind: 'start' | 'end' | 'line';
  readonly line?: string;
}

export interface Orders {
  add(order: Order): void;
  /** What is to happen at this moment. */
  take(moment: Moment): Order[];
}

export function openOrders(): Orders {
  const entries: { order: Order; matched: number; hits: number }[] = [];
  return {
    add(order) {
      entries.push({ order, matched: 0, hits: 0 });
    },
    take(moment) {
      const due: Order[] = [];
      for (const entry of entries) {
        const { order } = entry;
        if (!matches(order, moment)) continue;
        entry.matched++;
        const times = order.times === -1 ? Number.POSITIVE_INFINITY : (order.times ?? 1);
        if (entry.matched < (order.nth ?? 1) || entry.hits >= times) continue;
        entry.hits++;
        due.push(order);
      }
      return due;
    },
  };
}

function matches({ on = {} }: Order, { pod, container, kind, line = '' }: Moment): boolean {
  if (on.pod !== undefined && !pod.includes(on.pod)) return false;
  if (on.container !== undefined && on.container !== container) return false;
  const { moment = 'start' } = on;
  return typeof moment === 'object' ? kind === 'line' && line.includes(moment.line) : kind === moment;
}
