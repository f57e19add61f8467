import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RepoPath } from '../domain/repo-path.ts';
import { readTextFile } from '../platform/durable-write.ts';
import type { Workspace } from './open.ts';
import { withPointersLock } from './write-pointers.ts';

/** Stages in Git what a run writes, where `core.autostage` says so. */
export interface Staging {
  /** Notes that these are about to be written: where mlv is killed before they are staged, the next run sees to it. */
  announce(files: Iterable<RepoPath>): void;
  /** Soon, and beside whatever else goes on: no stage waits for a process of Git. */
  add(files: Iterable<RepoPath>): void;
  /** Now, what is not staged yet. Throws what Git does; so far nothing was told of that. */
  flush(): Promise<void>;
}

/** Several stages may end in the same moment, and others start: those come first. */
const PAUSE_MS = 200;
const MAX_NOTE_BYTES = 1 << 20;

export function openStaging(workspace: Workspace): Staging {
  const { prefix, settings } = workspace;
  const note = join(workspace.ownFolder, 'unstaged');
  const announced = new Set(readNote(note));
  const files = new Set(announced);
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> = Promise.resolve();

  async function stageAll(): Promise<void> {
    const git = files.size > 0 && settings.values['core.autostage'] ? await workspace.git() : undefined;
    if (git === undefined) return;
    const taken = [...files];
    files.clear();
    try {
      // Locked, as Git refuses to stage for two at once. What the lock file and the lines in `.gitignore` are is not asked before.
      await withPointersLock(workspace, async () => {
        const there = taken.filter((file) => existsSync(join(workspace.root, file)));
        await git.stage(there.map((file) => (prefix === '' ? file : `${prefix}/${file}`)));
        for (const file of taken) announced.delete(file);
        if (announced.size === 0) rmSync(note, { force: true });
      });
    } catch (error) {
      for (const file of taken) files.add(file);
      throw error;
    }
  }

  return {
    announce(more) {
      const known = announced.size;
      for (const file of more) announced.add(file);
      if (announced.size > known && settings.values['core.autostage'])
        writeFileSync(note, JSON.stringify([...announced]));
    },
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

/** It need not survive the machine: then somebody stages it. */
function readNote(note: string): RepoPath[] {
  const text = readTextFile(note, MAX_NOTE_BYTES);
  try {
    return text === undefined ? [] : (JSON.parse(text) as RepoPath[]);
  } catch {
    return [];
  }
}
