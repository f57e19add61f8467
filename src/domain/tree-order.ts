import { MlvError } from './errors.ts';
import { checkPath, checkSymlinkTarget } from './path-rules.ts';
import type { TreePath } from './tree-path.ts';
import { readTreePath } from './tree-path.ts';

export interface OrderChecker {
  /** Throws `tree-order`, `tree-path`, `tree-path-escape` or `tree-file-folder` when this path may not follow those already seen. */
  next(path: TreePath): void;
  /** Tells that paths up to and with this one were passed over unread. Throws `tree-order`, `tree-file-folder`. */
  skipTo(path: TreePath): void;
}

/**
 * Checks paths as they go by: allowed names, strictly ascending, and none that is a folder of another. Entries `a`, `a-b`
 * and `a/b` are not neighbours, so every path that is a prefix of the last one is kept, across pages.
 */
export function createOrderChecker(): OrderChecker {
  const prefixes: string[] = [];
  let last: string | undefined;

  function advance(path: string): void {
    if (last !== undefined && path <= last) {
      throw broken('tree-order', path === last ? 'twice' : 'out of order', path);
    }
    while (prefixes.length > 0 && !path.startsWith(prefixes.at(-1) ?? '')) prefixes.pop();
    for (const prefix of prefixes) {
      if (path.charCodeAt(prefix.length) === 0x2f) throw broken('tree-file-folder', `below the file "${prefix}"`, path);
    }
    prefixes.push(path);
    last = path;
  }

  return {
    next(path) {
      const reason = checkPath(readTreePath(path));
      if (reason !== undefined) throw broken('tree-path', reason, path);
      advance(path);
    },
    skipTo: advance,
  };
}

/** Throws `tree-symlink` unless the target stays inside the dataset: leading `../` no deeper than the link, then plain segments. */
export function requireSymlinkTarget(target: string, path: TreePath): void {
  const reason = checkSymlinkTarget(target, path.split('/').length - 1);
  if (reason !== undefined) throw broken('tree-symlink', `a symlink to ${JSON.stringify(target)}, ${reason}`, path);
}

function broken(code: string, reason: string, path: string): MlvError {
  return new MlvError({
    code,
    kind: 'corrupt',
    message: `a tree may not hold ${JSON.stringify(path.slice(0, 300))}: ${reason}`,
    hint: 'Rename it, or exclude it with a line in .mlvignore.',
  });
}

/** True for an error of these checks with the given code. */
export function hasTreeCode(error: unknown, code: string): error is MlvError {
  return error instanceof MlvError && error.code === code;
}
