import type { RepoPath } from '../domain/repo-path.ts';
import type { Workspace } from './open.ts';
import { withPointersLock } from './write-pointers.ts';

/** Stages in Git what a run writes, where `core.autostage` says so. */
export interface Staging {
  /** Soon, and beside whatever else goes on: no stage waits for a process of Git. */
  add(files: Iterable<RepoPath>): void;
  /** Now, what is not staged yet. Throws what Git does; so far nothing was told of that. */
  flush(): Promise<void>;
}

/** Several stages may end in the same moment, and others start: those come first. */
const PAUSE_MS = 200;

export function openStaging(workspace: Workspace): Staging {
  const { prefix, settings } = workspace;
  const files = new Set<RepoPath>();
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> = Promise.resolve();

  async function stageAll(): Promise<void> {
    const git = files.size > 0 && settings.values['core.autostage'] ? await workspace.git() : undefined;
    if (git === undefined) return;
    const taken = [...files];
    files.clear();
    try {
      // Locked, as Git refuses to stage for two at once. What the lock file and the lines in `.gitignore` are is not asked before.
      await withPointersLock(workspace, () =>
        git.stage(taken.map((file) => (prefix === '' ? file : `${prefix}/${file}`))),
      );
    } catch (error) {
      for (const file of taken) files.add(file);
      throw error;
    }
  }

  return {
    add(more) {
      for (const file of more) files.add(file);
      timer ??= setTimeout(() => {
        timer = undefined;
        underWay = stageAll().catch(() => undefined); // it is tried again by `flush`
      }, PAUSE_MS);
    },
    async flush() {
      clearTimeout(timer);
      await underWay;
      await stageAll();
    },
  };
}
