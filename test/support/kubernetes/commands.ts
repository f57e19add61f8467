/** What a cluster in a process of its own can be told, as JSON. */
import type { Account } from './access.ts';
import type { Cluster } from './cluster.ts';
import type { Fault, StreamEnd } from './faults.ts';
import type { KubeObject } from './objects.ts';
import type { NewObject } from './registry.ts';
import type { ResourceName } from './resources.ts';
import type { Order, Trouble } from './troubles.ts';

export { startCluster } from './cluster.ts';

export type Command =
  | { readonly do: 'order'; readonly order: Order }
  | { readonly do: 'trouble'; readonly trouble: Trouble; readonly pod?: string; readonly container?: string }
  | { readonly do: 'fault'; readonly fault: Fault }
  | { readonly do: 'clear-faults' }
  | { readonly do: 'cut'; readonly how: StreamEnd; readonly resource?: string; readonly subresource?: string }
  | { readonly do: 'compact' }
  /** An account of null takes the token back. */
  | { readonly do: 'token'; readonly token: string; readonly account: Account | null }
  | { readonly do: 'list'; readonly resource: ResourceName }
  | {
      readonly do: 'create';
      readonly resource: ResourceName;
      readonly object: Partial<NewObject> & Pick<NewObject, 'metadata'>;
    }
  | { readonly do: 'delete'; readonly resource: ResourceName; readonly name: string }
  /** Waits for an object of which all these parts are as told, such as `{status: {phase: 'Running'}}`. */
  | { readonly do: 'until'; readonly resource: ResourceName; readonly like: unknown; readonly ms?: number }
  /** Requests since the last such command. */
  | { readonly do: 'requests' };

/** Carries a command out; gives what it asks for, or null. */
export async function obey(cluster: Cluster, command: Command): Promise<unknown> {
  switch (command.do) {
    case 'order':
      cluster.order(command.order);
      return null;
    case 'trouble': {
      const { trouble, pod, container } = command;
      await cluster.trouble(trouble, {
        ...(pod === undefined ? {} : { pod }),
        ...(container === undefined ? {} : { container }),
      });
      return null;
    }
    case 'fault':
      cluster.faults.add(command.fault);
      return null;
    case 'clear-faults':
      cluster.faults.clear();
      return null;
    case 'cut':
      return cluster.cutStreams(command.how, command);
    case 'compact':
      cluster.compact();
      return null;
    case 'token':
      if (command.account === null) cluster.tokens.delete(command.token);
      else cluster.tokens.set(command.token, command.account);
      return null;
    case 'list':
      return cluster.list(command.resource);
    case 'create':
      return cluster.create(command.resource, command.object);
    case 'delete':
      cluster.delete(command.resource, command.name);
      return null;
    case 'until':
      return cluster.until(command.resource, (object: KubeObject) => isLike(object, command.like), command.ms);
    case 'requests':
      return cluster.requests.splice(0);
  }
  throw new Error(`no such command: ${JSON.stringify(command)}`);
}

/** Lists match where every part told is like some part that is there. */
function isLike(value: unknown, pattern: unknown): boolean {
  if (Array.isArray(pattern)) {
    return Array.isArray(value) && pattern.every((part) => value.some((each) => isLike(each, part)));
  }
  if (typeof pattern !== 'object' || pattern === null) return value === pattern;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(pattern).every(([key, part]) => isLike((value as Record<string, unknown>)[key], part));
}
