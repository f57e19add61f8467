import type { DigestSet } from '../domain/digest-set.ts';
import { hasErrorCode, MlvError } from '../domain/errors.ts';

/** Something in a cache or on a remote that is not as it was written. */
export interface Damage {
  readonly kind: 'blob' | 'pack' | 'object' | 'index' | 'tombstones' | 'description' | 'tree' | 'root' | 'unreadable';
  /** Path on this disk, or key on the remote; of a tree or root its digest. */
  readonly where: string;
  readonly reason: string;
  /** Blobs that cannot be had there. They may be elsewhere. */
  readonly digests: DigestSet;
}

/** What a machine lacks while it looks, or a network that fails, says nothing of what was looked at. */
const NO_DAMAGE = [
  'EMFILE',
  'ENFILE',
  'ENOSPC',
  'EDQUOT',
  'ENOMEM',
  'ESTALE',
  'ETIMEDOUT',
  'remote-unreachable',
] as const;

/** What is wrong, from what reading it threw: damage or the disk's refusal. Anything else is thrown on. */
export function damageReason(error: unknown): string {
  if (isNoDamage(error)) throw error;
  if (error instanceof MlvError && error.kind !== 'interrupted') return error.message;
  if (error instanceof Error && 'syscall' in error) return `it cannot be read: ${error.message}`;
  throw error;
}

/** True where it is this machine, or the network, that is in trouble. */
export function isNoDamage(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (hasErrorCode(cause, ...NO_DAMAGE)) return true;
  }
  return false;
}

export function manyDamaged(count: number): string {
  return `${count} of its blobs ${count === 1 ? 'is' : 'are'} not what ${count === 1 ? 'its digest says' : 'their digests say'}`;
}
