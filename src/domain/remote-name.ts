const REMOTE_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** What a remote's name may be, in words. */
export const REMOTE_NAME_RULE = 'letters, digits, "-" and "_", at most 64, starting with a letter or digit';

/** True for a name that a remote may have: usable in a setting's key without quotes. */
export function isRemoteName(name: string): boolean {
  return REMOTE_NAME.test(name);
}
