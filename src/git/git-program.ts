import { resolve as resolvePath } from 'node:path';
import { objectMissing, objectReader } from './cat-file.ts';
import { asCommit, programHistory } from './git-history.ts';
import type { CommitId, GitFile, GitRef, GitRemoteRef, GitRepository } from './git.ts';
import { gitRunner, recordsOf, type GitProgramOptions, type RecordEnd } from './git-process.ts';
import type { GitLayout } from './layout.ts';
import { isAtOrBelow, isRegularFile, isSubmodule, sortByPath, withAncestors } from './paths.ts';
import { cannotBeRevision, revisionAmbiguous, revisionUnknown } from './revision.ts';
import { distinctFiles, parseTree, type TreeSource } from './trees.ts';
import { unmergedFiles, type StagedFile } from './unmerged.ts';

/**
 * The repository through the `git` executable, which is started when the first answer needs it. Throws `git-missing`,
 * `git-unsafe-repository`, `git-index-locked`, `git-failed` beside what `GitRepository` says.
 */
export function openGitProgram(layout: GitLayout, options: GitProgramOptions): GitRepository {
  const git = gitRunner(layout, options);
  const objects = objectReader(git);

  async function* parts(args: readonly string[], input: string, end: RecordEnd): AsyncGenerator<string> {
    const child = git.start(args);
    child.process.stdin.end(input);
    try {
      for await (const some of recordsOf(child.process.stdout, end)) yield* some;
      if ((await child.ended) === 0) return;
      const missing = /^(?:fatal: bad object|error: Could not read) ([0-9a-f]{40,})$/m.exec(child.stderr())?.[1];
      throw missing === undefined ? git.failure(args, child.stderr()) : objectMissing(missing);
    } finally {
      child.process.kill();
    }
  }

  /** Records of a `-z` output, one at a time. */
  const records = (args: readonly string[]) => parts(args, '', '\0');

  /** What `rev-list` prints, one line at a time, for what these lines on its standard input add to the arguments. */
  const revList = (args: readonly string[], input: readonly string[]) =>
    parts(['rev-list', ...args, '--stdin'], input.map((line) => `${line}\n`).join(''), '\n');

  const treeSource: TreeSource = {
    async commit(id) {
      const object = await objects.read(id);
      if (object?.type !== 'commit') throw objectMissing(id);
      return { tree: /^tree ([0-9a-f]+)\n/.exec(object.content.toString('latin1', 0, 80))?.[1] ?? '' };
    },
    async tree(id) {
      const object = await objects.read(id);
      if (object?.type !== 'tree') throw objectMissing(id);
      return parseTree(object.content, id.length / 2);
    },
  };

  async function commitOf(name: string): Promise<CommitId | undefined> {
    const output = await git.run(['rev-parse', '--quiet', '--verify', `${name}^{commit}`], { accept: [0, 1] });
    return asCommit(output);
  }

  async function* indexEntries(option = '--stage'): AsyncGenerator<StagedFile> {
    for await (const record of records(['ls-files', option, '-z'])) {
      const tab = record.indexOf('\t');
      const [mode = '', blob = '', stage = ''] = record.slice(0, tab).split(' ');
      yield { path: record.slice(tab + 1), blob, mode, stage: Number(stage) };
    }
  }

  async function listFiles(commit: CommitId, accept: (path: string) => boolean): Promise<GitFile[]> {
    const files: GitFile[] = [];
    for await (const record of records(['ls-tree', '-r', '-z', '--full-tree', commit])) {
      const tab = record.indexOf('\t');
      const path = record.slice(tab + 1);
      const [mode = '', , blob = ''] = record.slice(0, tab).split(' ');
      if (isRegularFile(mode) && accept(path)) files.push({ path, blob });
    }
    return sortByPath(files);
  }

  async function trackedAt(paths: readonly string[]): Promise<string[]> {
    const isWanted = isAtOrBelow(paths);
    const found = new Set<string>();
    for await (const { path } of indexEntries()) if (isWanted(path)) found.add(path);
    return [...found].sort();
  }

  return {
    engine: 'git',
    layout,

    async resolve(revision) {
      if (cannotBeRevision(revision)) throw revisionUnknown(revision, layout);
      // `:/text` takes all that follows for text; what it finds is a commit anyway.
      const args = ['rev-parse', '--verify', revision.startsWith(':/') ? revision : `${revision}^{commit}`];
      const child = git.start(args);
      child.process.stdin.end();
      const output: Buffer[] = [];
      child.process.stdout.on('data', (chunk: Buffer) => output.push(chunk));
      const commit = (await child.ended) === 0 ? asCommit(Buffer.concat(output)) : undefined;
      if (commit !== undefined) return commit;
      const failure = git.failure(args, child.stderr());
      if (failure.code !== 'git-failed') throw failure;
      if (/is ambiguous/.test(child.stderr())) throw revisionAmbiguous(revision, layout);
      throw revisionUnknown(revision, layout);
    },

    async head() {
      const commit = await commitOf('HEAD');
      if (commit !== undefined) return commit;
      // No commits yet, unless HEAD has the id of an object that is not there.
      const id = asCommit(await git.run(['rev-parse', '--quiet', '--verify', 'HEAD'], { accept: [0, 1] }));
      if (id !== undefined) throw objectMissing(id);
      return undefined;
    },

    async currentBranch() {
      const output = await git.run(['symbolic-ref', '--quiet', 'HEAD'], { accept: [0, 1] });
      return /^refs\/heads\/(.+)\n$/s.exec(output.toString('utf8'))?.[1];
    },

    listFiles,

    async listIndex(accept) {
      const files: GitFile[] = [];
      for await (const { path, blob, mode } of indexEntries()) {
        if (isRegularFile(mode) && accept(path)) files.push({ path, blob });
      }
      return sortByPath(files);
    },

    async unmerged(accept) {
      const entries: StagedFile[] = [];
      for await (const entry of indexEntries('--unmerged')) entries.push(entry);
      return unmergedFiles(entries, accept);
    },

    async readBlob(blob) {
      const object = await objects.read(blob);
      if (object?.type !== 'blob') throw objectMissing(blob);
      return object.content;
    },

    async readFile(commit, path) {
      // A line break ends a request to cat-file.
      if (path.includes('\n')) {
        const [file] = await listFiles(commit, (each) => each === path);
        return file === undefined ? undefined : (await objects.read(file.blob))?.content;
      }
      const object = await objects.read(`${commit}:${path}`);
      if (object?.type === 'blob') return object.content;
      // Not in the commit; a commit that is not there itself is another matter.
      if (object === undefined && (await objects.read(commit)) === undefined) throw objectMissing(commit);
      return undefined;
    },

    async listRefs(prefixes) {
      // for-each-ref matches whole components.
      const folders = prefixes.map((prefix) => prefix.slice(0, prefix.lastIndexOf('/') + 1));
      const patterns = folders.includes('') ? [] : folders;
      const format = '%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)';
      const output = prefixes.length === 0 ? '' : await git.run(['for-each-ref', `--format=${format}`, ...patterns]);
      const refs: GitRef[] = [];
      for (const line of output.toString().split('\n')) {
        const [name = '', type, id = '', peeledType, peeledId = ''] = line.split(' ');
        if (!prefixes.some((prefix) => name.startsWith(prefix))) continue;
        // Git before 2.45 follows a tag of a tag one step only.
        const commit =
          type === 'commit' ? id : peeledType === 'commit' ? peeledId : type === 'tag' ? await commitOf(id) : undefined;
        if (commit !== undefined) refs.push({ name, commit: commit as CommitId });
      }
      return refs.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async remoteRefs(prefixes) {
      const remotes = (await git.run(['remote'])).toString().split('\n').slice(0, -1);
      const refs: GitRemoteRef[] = [];
      for (const remote of remotes) {
        const patterns = prefixes.map((prefix) => `${prefix}*`);
        const output = await git.run(['ls-remote', '--quiet', '--', remote, ...patterns]);
        const ids = new Map<string, string>();
        for (const line of output.toString().split('\n').slice(0, -1)) {
          const [id = '', name = ''] = line.split('\t');
          // What a tag leads to comes after the tag.
          ids.set(name.replace(/\^\{\}$/, ''), id);
        }
        for (const [name, id] of ids)
          if (prefixes.some((prefix) => name.startsWith(prefix))) refs.push({ remote, name, id });
      }
      return refs;
    },

    ...programHistory(git, objects),

    async reflogCommits() {
      const stash = asCommit(await git.run(['rev-parse', '--quiet', '--verify', 'refs/stash'], { accept: [0, 1] }));
      if (stash !== undefined && (await objects.read(stash)) === undefined) throw objectMissing(stash);
      const stashParents: string[] = [];
      // Its log can have been expired without the ref.
      for (const which of stash === undefined ? [] : ['--walk-reflogs', '--no-walk']) {
        for await (const line of revList([which, '--parents'], ['refs/stash'])) {
          stashParents.push(...line.split(' ').slice(1));
        }
      }
      const commits: CommitId[] = [];
      // Without --stdin, that there is no reflog would be an error.
      for await (const id of revList(['--no-walk', '--reflog', '--ignore-missing'], stashParents)) {
        commits.push(id as CommitId);
      }
      return commits;
    },

    filesOf: (wanted) => distinctFiles(treeSource, wanted),

    async commitsSince(tips, time) {
      // Not --since, which stops at the first older commit.
      const commits: CommitId[] = [];
      for await (const line of revList(['--timestamp'], tips)) {
        const [seconds = '', id = ''] = line.split(' ');
        if (Number(seconds) * 1000 >= time) commits.push(id as CommitId);
      }
      return commits;
    },

    async stage(paths) {
      if (paths.length === 0) return;
      // Unlike `git add`, this takes paths as they are, asks no ignore rules, and enters no folder.
      const args = [
        'update-index',
        '--add',
        '--remove',
        '--replace',
        '--ignore-skip-worktree-entries',
        '-z',
        '--stdin',
      ];
      await git.run(args, { input: `${paths.join('\0')}\0` });
    },

    tracked: trackedAt,

    async workFiles(folder) {
      const isWanted = isAtOrBelow([folder]);
      const found = new Set<string>();
      for await (const { path, mode } of indexEntries())
        if (isWanted(path)) found.add(isSubmodule(mode) ? `${path}/` : path);
      const args = ['ls-files', '--others', '--exclude-standard', '-z'];
      for await (const path of records(folder === '' ? args : [...args, '--', `:(literal)${folder}`])) found.add(path);
      return [...found];
    },

    async ignored(paths) {
      if (paths.length === 0) return [];
      // `./` keeps a leading `:` from being magic, and --no-index keeps it from
      // matching paths as patterns against the index.
      const input = paths.map((path) => `./${path}\0`).join('');
      const args = ['check-ignore', '--no-index', '-z', '--stdin'];
      const output = await git.run(args, { input, accept: [0, 1] });
      const excluded = new Set(output.toString('utf8').split('\0'));
      const candidates = paths.filter((path) => excluded.has(`./${path}`));
      const tracked = candidates.length === 0 ? new Set() : withAncestors(await trackedAt(candidates));
      return candidates.filter((path) => !tracked.has(path));
    },

    async hooksFolder() {
      const output = await git.run(['rev-parse', '--git-path', 'hooks']);
      return resolvePath(layout.workTree, output.toString('utf8').replace(/\r?\n$/, ''));
    },

    close: () => objects.close(),
  };
}
