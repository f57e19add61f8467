import { MlvError } from '../domain/errors.ts';

/** The error for what a remote should have given. `what` names it: `the list of what data holds`. */
export function unreadable(
  code: string,
  { what, remote, reason }: { readonly what: string; readonly remote: string; readonly reason: string },
): MlvError {
  return new MlvError({
    code,
    kind: 'io',
    message: `${what} could not be fetched from remote ${remote}: ${reason}`,
    hint: 'Try again later.',
  });
}

/** The error for what neither the cache has nor the remote, whole. */
export function unavailable(code: string, what: string, remote: string): MlvError {
  return new MlvError({
    code,
    kind: 'missing',
    message: `${what} is neither in the cache nor, whole, on remote ${remote}`,
    hint: 'Push it from where it is: "mlv push" in the clone that recorded it.',
  });
}
