import type { RepoPath } from '../domain/repo-path.ts';
import type { Workspace } from './open.ts';
import { withPointersLock } from './write-pointers.ts';

/** Stages in Git what a run writes, where `core.autostage` says so. */
export interface Staging {
  /** At once; where many come within a moment, the later ones wait for the next moment, or for `flush`. */
  add(files: Iterable<RepoPath>): Promise<void>;
  flush(): Promise<void>;
}

/** A process of Git takes longer than many a stage. */
const PAUSE_MS = 1_000;

export function openStaging(workspace: Workspace): Staging {
  const { prefix, settings } = workspace;
  const files = new Set<RepoPath>();
  let last = -Infinity;

  async function flush(): Promise<void> {
    if (files.size === 0) return;
    last = performance.now();
    const taken = [...files];
    files.clear();
    const git = settings.values['core.autostage'] ? await workspace.git() : undefined;
    // Locked, as Git refuses to stage for two at once. What the lock file and the lines in `.gitignore` are is not asked before.
    if (git !== undefined)
      await withPointersLock(workspace, () =>
        git.stage(taken.map((file) => (prefix === '' ? file : `${prefix}/${file}`))),
      );
  }

  return {
    async add(more) {
      for (const file of more) files.add(file);
      if (performance.now() - last >= PAUSE_MS) await flush();
    },
    flush,
  };
}
