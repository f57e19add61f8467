import { existsSync, promises as fs } from 'node:fs';
import { join } from 'node:path';
import { hasErrorCode, MlvError } from '../domain/errors.ts';
import { objectMissing } from './cat-file.ts';
import type { CommitId, GitFile, GitRef, GitRepository } from './git.ts';
import { findFiles } from './find-files.ts';
import { rulesInside } from './ignore-rules.ts';
import { readIndexFile } from './index-file.ts';
import { isomorphicFiles, packCache } from './isomorphic-files.ts';
import { refuseUnknownFormats } from './isomorphic-formats.ts';
import { introducedFiles, reachable, treeFiles, type History } from './isomorphic-history.ts';
import { bestCommonAncestor, changingCommits, isoDate, subjectOf } from './isomorphic-log.ts';
import { reflogCommits } from './isomorphic-reflogs.ts';
import { stageIsomorphic } from './isomorphic-stage.ts';
import { kindOf, type GitLayout } from './layout.ts';
import { unmergedFiles } from './unmerged.ts';
import { folderOf, isAtOrBelow, isRegularFile, isSubmodule, sortByPath, withAncestors } from './paths.ts';
import {
  cannotBeRevision,
  parseRevision,
  revisionAmbiguous,
  revisionUnknown,
  revisionUnsupported,
} from './revision.ts';
import { distinctFiles, parseTree } from './trees.ts';

export interface IsomorphicOptions {
  /** What `core.excludesFile` names: the user's own ignore rules. */
  readonly excludesFile?: string | undefined;
}

/**
 * The repository without the `git` program. Throws for what isomorphic-git cannot do: `git-unsupported-format` (SHA-256,
 * reftable), `git-unsupported-alternates`, `git-unsupported-index`, `git-unsupported-pack` (over 256 MiB),
 * `revision-unsupported`.
 */
export async function openIsomorphicGit(layout: GitLayout, options: IsomorphicOptions = {}): Promise<GitRepository> {
  refuseUnknownFormats(layout);
  const { default: git } = await import('isomorphic-git');
  const packs = packCache();
  const files = isomorphicFiles(layout, { onPack: packs.onPack });
  const repository = { fs: files, gitdir: layout.gitDir };
  const access = () => ({ ...repository, cache: packs.current() });
  const indexPath = join(layout.gitDir, 'index');
  const rules = (): ReturnType<typeof rulesInside> => rulesInside({ ...layout, excludesFile: options.excludesFile });
  let shallow: { text: string; commits: ReadonlySet<string> } = { text: '', commits: new Set() };

  const history: History = {
    async commit(id) {
      const { commit } = await git.readCommit({ ...access(), oid: id }).catch(notFound(id));
      const isCut = (await shallowCommits()).has(id);
      return {
        parents: isCut ? [] : (commit.parent as CommitId[]),
        tree: commit.tree,
        time: commit.committer.timestamp,
      };
    },
    async tree(id) {
      const { object, type } = await readContent(id);
      if (type !== 'tree') throw objectMissing(id);
      return parseTree(object, 20);
    },
  };

  /** Commits whose parents this clone does not have. */
  async function shallowCommits(): Promise<ReadonlySet<string>> {
    const text = await readText(join(layout.commonDir, 'shallow'));
    if (text !== shallow.text) shallow = { text, commits: new Set(text.split('\n')) };
    return shallow.commits;
  }

  /** The commit that an object is or, as a tag, leads to. */
  async function peel(id: string): Promise<CommitId | undefined> {
    const object = await git.readObject({ ...access(), oid: id, format: 'parsed' }).catch(notFound(id));
    if (object.type === 'commit') return object.oid as CommitId;
    if (object.type !== 'tag') return undefined;
    return peel((await git.readTag({ ...access(), oid: id })).tag.object);
  }

  async function commitAt(id: string): Promise<CommitId | undefined> {
    return (await hasObject(id)) ? peel(id) : undefined;
  }

  /** The object that a full ref name leads to. */
  async function readRef(name: string): Promise<string | undefined> {
    return git.resolveRef({ ...repository, ref: name }).catch((error: unknown) => {
      if (isNamed(error, 'NotFoundError')) return undefined;
      throw error;
    });
  }

  async function resolveBase(base: string, revision: string): Promise<CommitId | undefined> {
    if (/^[0-9a-f]{40}$/.test(base)) return commitAt(base);
    // These may list several, each with a note; Git takes the first.
    const listed = /^(?:FETCH|MERGE)_HEAD$/.test(base) ? await readText(join(layout.gitDir, base)) : '';
    const first = /^[0-9a-f]{40}(?=\s)/.exec(listed)?.[0];
    if (first !== undefined) return commitAt(first);
    const isTopLevel = /^[A-Z_]+$/.test(base) || base.startsWith('refs/');
    const places = ['refs/', 'refs/tags/', 'refs/heads/', 'refs/remotes/'].map((prefix) => prefix + base);
    for (const name of [...(isTopLevel ? [base] : []), ...places, `refs/remotes/${base}/HEAD`]) {
      const id = isRefName(name) ? await readRef(name) : undefined;
      if (id !== undefined) return peel(id);
    }
    return /^[0-9a-f]{4,39}$/i.test(base) ? expandId(base.toLowerCase(), revision) : undefined;
  }

  async function expandId(short: string, revision: string): Promise<CommitId | undefined> {
    const ids = await git.expandOid({ ...access(), oid: short }).then(
      (id) => [id],
      (error: unknown) => {
        if (isNamed(error, 'NotFoundError')) return [];
        if (error instanceof git.Errors.AmbiguousError) return error.data.matches;
        throw error;
      },
    );
    const commits = (await Promise.all(ids.map(peel))).filter((commit) => commit !== undefined);
    if (commits.length > 1) throw revisionAmbiguous(revision, layout);
    return commits[0];
  }

  async function hasObject(id: string): Promise<boolean> {
    return git.readObject({ ...access(), oid: id, format: 'deflated' }).then(
      () => true,
      (error: unknown) => {
        if (isNamed(error, 'NotFoundError')) return false;
        throw error;
      },
    );
  }

  async function readContent(id: string): Promise<{ object: Buffer; type: string }> {
    const found = await git.readObject({ ...access(), oid: id, format: 'content' }).catch(notFound(id));
    // Typed as the union of every format; this one is bytes.
    if (!(found.object instanceof Uint8Array)) throw new Error(`isomorphic-git parsed ${id} unasked`);
    return { object: Buffer.from(found.object), type: found.type };
  }

  async function readBlob(blob: string): Promise<Buffer> {
    const { object, type } = await readContent(blob);
    if (type !== 'blob') throw objectMissing(blob);
    return object;
  }

  async function head(): Promise<CommitId | undefined> {
    const id = await readRef('HEAD');
    return id === undefined ? undefined : peel(id);
  }

  return {
    engine: 'isomorphic-git',
    layout,
    head,

    async resolve(revision) {
      if (cannotBeRevision(revision)) throw revisionUnknown(revision, layout);
      const parsed = parseRevision(revision);
      if (parsed === undefined) throw revisionUnsupported(revision);
      let commit = await resolveBase(parsed.base, revision);
      for (const step of parsed.steps) {
        const [count, parent] = 'ancestor' in step ? [step.ancestor, 1] : [step.parent === 0 ? 0 : 1, step.parent];
        for (let n = 0; n < count && commit !== undefined; n++) {
          commit = (await history.commit(commit)).parents[parent - 1];
        }
      }
      if (commit === undefined) throw revisionUnknown(revision, layout);
      return commit;
    },

    async currentBranch() {
      const text = await readText(join(layout.gitDir, 'HEAD'));
      return /^ref: refs\/heads\/(.+?)\s*$/.exec(text)?.[1];
    },

    async listFiles(commit, accept) {
      const found: GitFile[] = [];
      for await (const { path, id, mode } of treeFiles(history, (await history.commit(commit)).tree)) {
        if (isRegularFile(mode) && accept(path)) found.push({ path, blob: id });
      }
      return sortByPath(found);
    },

    async listIndex(accept) {
      const entries = readIndexFile(indexPath).entries.filter(({ mode, path }) => isRegularFile(mode) && accept(path));
      return sortByPath(entries.map(({ path, blob }) => ({ path, blob })));
    },

    async unmerged(accept) {
      return unmergedFiles(readIndexFile(indexPath).entries, accept);
    },

    readBlob,

    async readFile(commit, path) {
      let id = (await history.commit(commit)).tree;
      const names = path.split('/');
      for (const [depth, name] of names.entries()) {
        const entry = (await history.tree(id)).find((candidate) => candidate.name === name);
        const isLast = depth === names.length - 1;
        if (entry === undefined || (entry.mode === '040000') === isLast || entry.mode === '160000') return undefined;
        id = entry.id;
      }
      return readBlob(id);
    },

    async listRefs(prefixes) {
      const packed = await packedRefs(join(layout.commonDir, 'packed-refs'));
      const refs: GitRef[] = [];
      for (const inner of await git.listRefs({ ...repository, filepath: 'refs' })) {
        const name = `refs/${inner}`;
        // isomorphic-git names what a packed tag leads to as if that were a ref.
        if (name.endsWith('^{}') || !prefixes.some((prefix) => name.startsWith(prefix))) continue;
        // Each look at a single ref reads `packed-refs` again, so that is kept for those that are not there alone.
        const isPacked = !existsSync(join(layout.commonDir, name)) && packed.has(name);
        const id = isPacked ? packed.get(name) : await readRef(name);
        const commit = id === undefined ? undefined : await peel(id);
        if (commit !== undefined) refs.push({ name, commit });
      }
      return refs.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async remoteRefs() {
      throw programNeeded('what the remotes of this repository have can only be asked by the git program');
    },

    async hooksFolder() {
      throw programNeeded('hooks are run by the git program, and only it knows from where');
    },

    async *fileVersions({ tips, exclude, accept }) {
      const known: CommitId[] = [];
      for (const id of exclude) if (await hasObject(id)) known.push(id);
      const seen = new Set<string>();
      for await (const { path, blob, commit, mode } of introducedFiles(history, tips, known)) {
        const key = `${blob} ${path}`;
        if (!isRegularFile(mode) || !accept(path) || seen.has(key)) continue;
        seen.add(key);
        yield { path, blob, commit };
      }
    },

    async *history({ tip, accept }) {
      for await (const { commit, changes } of changingCommits(history, tip, accept)) {
        const { author, message } = (await git.readCommit({ ...access(), oid: commit })).commit;
        const { name, email, timestamp, timezoneOffset } = author;
        const date = isoDate(timestamp, timezoneOffset);
        yield { commit, author: { name, email }, date, subject: subjectOf(message), changes };
      }
    },

    mergeBase: (a, b) => bestCommonAncestor(history, a, b),

    async reflogCommits() {
      const parentsOf = async (id: CommitId) => (await history.commit(id)).parents;
      return reflogCommits(layout.commonDir, { stash: await readRef('refs/stash'), commitAt, parentsOf });
    },

    filesOf: (wanted) => distinctFiles(history, wanted),

    async commitsSince(tips, time) {
      const found = [...(await reachable(history, tips))];
      return found.filter(([, seconds]) => seconds * 1000 >= time).map(([id]) => id);
    },

    stage: (paths) => stageIsomorphic(git, layout, paths),

    async tracked(paths) {
      const isWanted = isAtOrBelow(paths);
      const found = readIndexFile(indexPath).entries.filter(({ path }) => isWanted(path));
      return [...new Set(found.map(({ path }) => path))].sort();
    },

    async workFiles(folder) {
      const isWanted = isAtOrBelow([folder]);
      const tracked = readIndexFile(indexPath).entries.filter(({ path }) => isWanted(path));
      const found = new Set(tracked.map(({ path, mode }) => (isSubmodule(mode) ? `${path}/` : path)));
      const onTheWay = withAncestors([folder]);
      const others = findFiles(
        { ...layout, excludesFile: options.excludesFile },
        {
          accept: () => true,
          prune: (path) => !isWanted(path) && !onTheWay.has(path),
          withLinks: true,
          onRepository: (path) => isWanted(path) && found.add(`${path}/`),
        },
      );
      for (const path of others) if (isWanted(path)) found.add(path);
      return [...found];
    },

    async ignored(paths) {
      const tracked = withAncestors(readIndexFile(indexPath).entries.map(({ path }) => path));
      const inside = rules();
      return paths.filter((path) => {
        if (tracked.has(path)) return false;
        return inside(folderOf(path)).ignores(path, kindOf(join(layout.workTree, path)) === 'folder');
      });
    },

    close: async () => undefined,
  };
}

/** What git check-ref-format forbids, as far as it could lead out of `refs`. */
function isRefName(name: string): boolean {
  return name.length < 1024 && !/\.\.|\/\/|\/$|\.lock$|(?:^|\/)\.|@\{/.test(name);
}

async function packedRefs(path: string): Promise<Map<string, string>> {
  const refs = new Map<string, string>();
  for (const line of (await readText(path)).split('\n')) {
    const [, id, name] = /^([0-9a-f]{40}) ([^ ]+)$/.exec(line) ?? [];
    if (id !== undefined && name !== undefined) refs.set(name, id);
  }
  return refs;
}

async function readText(path: string): Promise<string> {
  try {
    return await fs.readFile(path, 'utf8');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return '';
    throw error;
  }
}

function notFound(id: string): (error: unknown) => never {
  return (error) => {
    throw isNamed(error, 'NotFoundError') ? objectMissing(id, error) : error;
  };
}

/** isomorphic-git's errors carry their class's name as `code`. */
function isNamed(error: unknown, name: string): boolean {
  return hasErrorCode(error, name);
}

function programNeeded(message: string): MlvError {
  return new MlvError({ code: 'git-program-needed', kind: 'unsupported', message, hint: 'Install Git.' });
}
