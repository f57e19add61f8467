import { MlvError } from '../domain/errors.ts';
import type { GitLayout } from './layout.ts';

/** One step from a commit: its n-th parent (0 is itself), or its n-th ancestor through first parents. */
export type RevisionStep = { readonly parent: number } | { readonly ancestor: number };

/**
 * Splits `BASE~n^n…` (gitrevisions(7)) into a name or object id and the steps from it; `@` alone is HEAD, `^{commit}` and
 * `^{}` are no step. Undefined for the syntax that only Git itself knows: `@{…}`, `:/text`, ranges and the like.
 */
export function parseRevision(revision: string): { base: string; steps: RevisionStep[] } | undefined {
  const found = /^([^~^:\\?*[ \p{Cc}]+?)((?:~\d*|\^\d*|\^\{(?:commit)?\})*)$/u.exec(revision);
  const base = found?.[1];
  if (base === undefined || base.includes('..') || base.includes('@{') || base.startsWith('-')) return undefined;
  const steps: RevisionStep[] = [];
  for (const [, sign, count] of (found?.[2] ?? '').replace(/\^\{(commit)?\}/g, '').matchAll(/([~^])(\d*)/g)) {
    const n = count === '' ? 1 : Number(count);
    steps.push(sign === '~' ? { ancestor: n } : { parent: n });
  }
  return { base: base === '@' ? 'HEAD' : base, steps };
}

export function revisionUnknown(revision: string, layout: GitLayout): MlvError {
  return new MlvError({
    code: 'revision-unknown',
    kind: 'missing',
    message: `${layout.workTree} has no commit called '${revision}'`,
    hint: 'git log --all --oneline shows the commits; git fetch gets new ones',
  });
}

export function revisionAmbiguous(revision: string, layout: GitLayout): MlvError {
  return new MlvError({
    code: 'revision-ambiguous',
    kind: 'missing',
    message: `Several commits of ${layout.workTree} start with '${revision}'`,
    hint: 'Give more digits',
  });
}

export function revisionUnsupported(revision: string): MlvError {
  return new MlvError({
    code: 'revision-unsupported',
    kind: 'unsupported',
    message: `'${revision}' cannot be resolved without the git program`,
    hint: 'Install git, or name a branch, a tag or a commit (followed by ~n or ^n)',
  });
}

/** True for text that cannot name a commit, whatever the repository: empty, an option, an exclusion. */
export function cannotBeRevision(revision: string): boolean {
  return /^$|^[-^]|[\0\n]/.test(revision);
}
