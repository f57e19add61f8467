import { pipeline } from 'node:stream/promises';
import { objectMissing, type ObjectReader } from './cat-file.ts';
import type { CommitId, GitFileChange, GitFileVersion, GitHistoryEntry, GitRepository } from './git.ts';
import { recordsOf, type GitChild, type GitRunner } from './git-process.ts';
import { isRegularFile } from './paths.ts';

/** Commit, author's name and address, date, subject. */
const FORMAT = '--format=tformat:%H%x00%an%x00%ae%x00%aI%x00%s';

/**
 * What the `git` executable tells of history. By plumbing, as the settings of `git log` change what it prints: one process lists
 * commits, another one, fed by it, compares their trees.
 */
export function programHistory(
  git: GitRunner,
  objects: ObjectReader,
): Pick<GitRepository, 'fileVersions' | 'history' | 'mergeBase'> {
  async function requireObjects(ids: readonly string[]): Promise<void> {
    const found = await Promise.all(ids.map((id) => objects.read(id)));
    const missing = ids.find((_, index) => found[index] === undefined);
    if (missing !== undefined) throw objectMissing(missing);
  }

  /** What `diff-tree` says of the commits that `rev-list` lists, in records, as many as come together. */
  async function* compared(options: {
    readonly listArgs: readonly string[];
    /** Where it fails, it may be because one of these is missing. */
    readonly tips: readonly string[];
    readonly request: readonly string[];
    readonly treeArgs: readonly string[];
    /** Hands the commits on. */
    readonly feed: (list: GitChild, trees: GitChild) => Promise<void>;
  }): AsyncGenerator<string[]> {
    const { listArgs, tips, request, treeArgs, feed } = options;
    const list = git.start(listArgs);
    const trees = git.start(treeArgs);
    try {
      list.process.stdin.end(`${request.join('\n')}\n`);
      // How either of them ended is looked at below.
      feed(list, trees).catch(() => undefined);
      yield* recordsOf(trees.process.stdout, '\0');
      for (const [child, args] of [
        [list, listArgs],
        [trees, treeArgs],
      ] as const) {
        if ((await child.ended) === 0) continue;
        await requireObjects(tips);
        throw git.failure(args, child.stderr());
      }
    } finally {
      list.process.kill();
      trees.process.kill();
    }
  }

  return {
    async *fileVersions({ tips, exclude, accept, pathspecs }) {
      const known = await Promise.all(exclude.map(async (id) => ((await objects.read(id)) === undefined ? [] : [id])));
      if (tips.length === 0) return;
      const records = compared({
        // --full-history: side branches that a merge dropped.
        listArgs: ['rev-list', '--full-history', '--stdin'],
        tips,
        request: [...tips, ...known.flat().map((id) => `^${id}`), '--', ...pathspecs],
        treeArgs: ['diff-tree', '--stdin', '-r', '-m', '-z', '--root', '--', ...pathspecs],
        feed: (list, trees) => pipeline(list.process.stdout, trees.process.stdin),
      });
      yield* introducedVersions(records, accept);
    },

    async *history({ tip, accept, pathspecs }) {
      const records = compared({
        listArgs: ['rev-list', '--format=tformat:%H %P', '--stdin'],
        tips: [tip],
        request: [tip, '--', ...pathspecs],
        treeArgs: ['diff-tree', '--stdin', '-r', '-z', '--root', '--encoding=UTF-8', FORMAT, '--', ...pathspecs],
        feed: feedFirstParents,
      });
      for await (const entries of historyEntries(records)) {
        for (const entry of entries) {
          const changes = entry.changes.filter(({ path }) => accept(path));
          if (changes.length > 0) yield { ...entry, changes };
        }
      }
    },

    async mergeBase(a, b) {
      await requireObjects([a, b]);
      return asCommit(await git.run(['merge-base', a, b], { accept: [0, 1] }));
    },
  };
}

/** Hands on each commit with its first parent: `diff-tree` then compares these two, of merges too. */
async function feedFirstParents(list: GitChild, trees: GitChild): Promise<void> {
  const { stdin } = trees.process;
  for await (const lines of recordsOf(list.process.stdout, '\n')) {
    const pairs = lines.flatMap((line) => {
      if (line.startsWith('commit ')) return [];
      const [commit = '', parent] = line.split(' ');
      return [parent === undefined || parent === '' ? `${commit}\n` : `${commit} ${parent}\n`];
    });
    if (!stdin.write(pairs.join(''))) await new Promise((resolve) => stdin.once('drain', resolve));
  }
  stdin.end();
}

/** Reads the output of `diff-tree --stdin -z`: a commit, then what it changed, each change followed by its path. */
async function* introducedVersions(
  output: AsyncIterable<readonly string[]>,
  accept: (path: string) => boolean,
): AsyncGenerator<GitFileVersion> {
  const seen = new Set<string>();
  let commit: CommitId | undefined;
  let change: string[] | undefined;
  for await (const records of output) {
    for (const record of records) {
      if (change !== undefined) {
        const [, mode = '', , blob = ''] = change;
        const key = `${blob} ${record}`;
        if (commit !== undefined && isRegularFile(mode) && accept(record) && !seen.has(key)) {
          seen.add(key);
          yield { path: record, blob, commit };
        }
        change = undefined;
      } else if (record.startsWith(':')) {
        change = record.split(' ');
      } else {
        commit = record as CommitId;
      }
    }
  }
}

/** The same with a format of five fields for the commit, and both sides of each change; entries as they come together. */
async function* historyEntries(output: AsyncIterable<readonly string[]>): AsyncGenerator<GitHistoryEntry[]> {
  let fields: string[] = [];
  let changes: GitFileChange[] = [];
  let change: string[] | undefined;
  const entry = (): GitHistoryEntry => {
    const [commit = '', name = '', email = '', date = '', subject = ''] = fields;
    // Newer versions of Git write UTC as Z.
    return {
      commit: commit as CommitId,
      author: { name, email },
      date: date.replace(/Z$/, '+00:00'),
      subject,
      changes,
    };
  };
  for await (const records of output) {
    const entries: GitHistoryEntry[] = [];
    for (const record of records) {
      if (change !== undefined) {
        const [oldMode = '', mode = '', before = '', after = ''] = change;
        const side = (blob: string, of: string): string | undefined => (isRegularFile(of) ? blob : undefined);
        const [old, now] = [side(before, oldMode.slice(1)), side(after, mode)];
        if (old !== now) changes.push({ path: record, before: old, after: now });
        change = undefined;
      } else if (fields.length === 5 && /^\n?:/.test(record)) {
        change = record.trimStart().split(' ');
      } else {
        if (fields.length === 5) {
          entries.push(entry());
          fields = [];
          changes = [];
        }
        fields.push(record);
      }
    }
    if (entries.length > 0) yield entries;
  }
  if (fields.length === 5) yield [entry()];
}

/** The id that a command printed, if it is one. */
export function asCommit(output: Buffer): CommitId | undefined {
  const text = output.toString('utf8').trim();
  return /^[0-9a-f]{40,64}$/.test(text) ? (text as CommitId) : undefined;
}
