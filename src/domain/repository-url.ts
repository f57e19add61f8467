import { MlvError } from './errors.ts';

/** Where another repository is: an address that Git fetches from, or a folder's path as it was typed. */
export type RepositoryPlace =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'folder'; readonly path: string };

/** What Git may use to reach a repository: no helper programs that a URL names (`ext::`). */
export const GIT_PROTOCOLS = ['file', 'git', 'http', 'https', 'ssh'] as const;

/** As Git has it: a digit may come first. */
const SCHEME = /^([A-Za-z0-9][A-Za-z0-9+.-]*):\/\//;
const HELPER = /^[^/]*::/;
/** `git@host:path`; a colon after a slash is part of a folder's name. */
const SCP_LIKE = /^[^/:]+:./;
const PASSWORD = /^[^/]*\/\/[^/?#@]*:[^/?#]*@/;
const CONTROL = /[\x00-\x1f\x7f]/;

/**
 * Tells addresses from folders, as Git does. Throws `repo-invalid` (empty, an option, control characters), `repo-unsupported` (a
 * protocol that is not let through), `repo-credentials` (a password in it, which the message does not repeat).
 */
export function parseRepository(text: string): RepositoryPlace {
  if (text === '' || text.startsWith('-') || CONTROL.test(text)) {
    throw refuse(
      'repo-invalid',
      `no repository is called ${JSON.stringify(text)}`,
      'Give a URL or a folder: --repo https://example.org/data.git',
    );
  }
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (HELPER.test(text) || (scheme !== undefined && !GIT_PROTOCOLS.some((known) => known === scheme))) {
    throw refuse(
      'repo-unsupported',
      `repositories are not read by the way that ${JSON.stringify(withoutUser(text))} names`,
      `Use one of ${GIT_PROTOCOLS.map((known) => `${known}://`).join(', ')}, git@HOST:PATH, or a folder.`,
    );
  }
  if (PASSWORD.test(text)) {
    throw refuse(
      'repo-credentials',
      `a URL may not hold a password: ${withoutUser(text)}`,
      "mlv never stores credentials. Leave it out: Git's credential helpers know it, or learn it from git ls-remote URL.",
    );
  }
  if (scheme !== undefined || SCP_LIKE.test(text)) return { kind: 'url', url: text };
  return { kind: 'folder', path: text };
}

function withoutUser(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, '//…@').replace(/\?.*$/s, '?…');
}

function refuse(code: string, message: string, hint: string): MlvError {
  return new MlvError({ code, kind: 'usage', message, hint });
}
