/**
 * What mlv asks of Git, and the only description of it that the rest of the code sees. Two implementations pass one
 * conformance suite: `git-program.ts` (the `git` executable) and `isomorphic.ts` (in-process, for machines without it).
 * Paths are relative to the work tree's root, POSIX, as Git stores them. "Files" are regular files: neither symbolic links
 * nor submodules.
 */
import type { GitLayout } from './layout.ts';

export type CommitId = string & { readonly __brand: 'CommitId' };

/** A file as some commit, or the index, has it. */
export interface GitFile {
  readonly path: string;
  /** Object id of the blob. */
  readonly blob: string;
}

/** A file version found in commits. */
export interface GitFileVersion extends GitFile {
  /** A commit that has this version: where history is walked, the newest that introduced it, as far as the walk knows. */
  readonly commit: CommitId;
}

/** A file that a commit has otherwise than its first parent; a side that lacks it is undefined. */
export interface GitFileChange {
  readonly path: string;
  /** Object ids of the blobs. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** A commit that changed files. */
export interface GitHistoryEntry {
  readonly commit: CommitId;
  readonly author: { readonly name: string; readonly email: string };
  /** When the author made it, in their own time zone: `2024-01-31T12:00:00+01:00`. */
  readonly date: string;
  /** The first paragraph of the message, in one line. */
  readonly subject: string;
  /** Sorted by path. */
  readonly changes: readonly GitFileChange[];
}

/** A file that a merge left unresolved: object ids of its versions, undefined where there is none. */
export interface GitUnmerged {
  readonly path: string;
  readonly base: string | undefined;
  readonly ours: string | undefined;
  readonly theirs: string | undefined;
}

export interface GitRef {
  /** Full name: `refs/heads/main`. */
  readonly name: string;
  /** The commit it leads to (tags peeled). */
  readonly commit: CommitId;
}

/** A ref as a remote has it. */
export interface GitRemoteRef {
  /** The remote as this repository calls it. */
  readonly remote: string;
  /** Full name: `refs/heads/main`. */
  readonly name: string;
  /** The object it leads to, which this repository may not have (tags peeled). */
  readonly id: string;
}

export interface GitRepository {
  readonly engine: 'git' | 'isomorphic-git';
  readonly layout: GitLayout;

  /**
   * Resolves a revision to a commit. Throws `revision-unknown`, `revision-ambiguous` (both kind missing), or
   * `revision-unsupported` where this engine cannot.
   */
  resolve(revision: string): Promise<CommitId>;
  /** The commit HEAD is at, undefined on a branch without commits. */
  head(): Promise<CommitId | undefined>;
  /** Name of the checked-out branch without `refs/heads/`, undefined when detached. */
  currentBranch(): Promise<string | undefined>;
  /** All files of a commit whose path the predicate accepts, sorted by path (code units). */
  listFiles(commit: CommitId, accept: (path: string) => boolean): Promise<GitFile[]>;
  /** All files in the index that the predicate accepts (stage 0; for unmerged paths every stage). */
  listIndex(accept: (path: string) => boolean): Promise<GitFile[]>;
  /** The files in the index that a merge left unresolved and the predicate accepts, sorted by path. */
  unmerged(accept: (path: string) => boolean): Promise<GitUnmerged[]>;
  /** Content of a blob by object id. Throws `git-object-missing`. */
  readBlob(blob: string): Promise<Buffer>;
  /** Content of a file in a commit; undefined when the commit does not have it. */
  readFile(commit: CommitId, path: string): Promise<Buffer | undefined>;
  /**
   * Branches (local and remote-tracking), tags and other refs that start with one of the prefixes, e.g. `refs/tags/`, sorted
   * by name. Those that lead to no commit are left out.
   */
  listRefs(prefixes: readonly string[]): Promise<GitRef[]>;
  /**
   * The refs that start with one of the prefixes, as all of this repository's remotes have them now: they are asked. Throws
   * `git-failed` where one cannot be asked, `git-program-needed` where this engine cannot ask.
   */
  remoteRefs(prefixes: readonly string[]): Promise<GitRemoteRef[]>;
  /**
   * Every distinct version (path, blob) of files the predicate accepts that a commit reachable from `tips` and from none of
   * `exclude` has otherwise than one of its parents; each once, newest commit first. So with what the excluded commits have,
   * it is all; versions that only existed on a merged side branch are included, as are those that merges made. In a shallow
   * clone: what is there. Excluded commits that this repository does not have are passed over; tips must exist.
   */
  fileVersions(options: {
    readonly tips: readonly CommitId[];
    readonly exclude: readonly CommitId[];
    readonly accept: (path: string) => boolean;
    /** For an engine that can narrow by itself: Git pathspecs that match at least what `accept` does. */
    readonly pathspecs: readonly string[];
  }): AsyncIterable<GitFileVersion>;
  /**
   * The commits reachable from `tip` that changed files the predicate accepts, newest first, as `git log -- PATH` shows them: where
   * a merge took all of them from one parent, its other parents are not followed. In a shallow clone: what is there. Throws
   * `git-object-missing`.
   */
  history(options: {
    readonly tip: CommitId;
    readonly accept: (path: string) => boolean;
    /** For an engine that can narrow by itself: Git pathspecs that match what `accept` does, other files' names aside. */
    readonly pathspecs: readonly string[];
  }): AsyncIterable<GitHistoryEntry>;
  /** The newest of the best common ancestors of two commits; undefined where they have none. Throws `git-object-missing`. */
  mergeBase(a: CommitId, b: CommitId): Promise<CommitId | undefined>;
  /**
   * The commits that reflogs name, before and after each step: those of all refs, and those that each linked work tree has
   * for itself; and what stashes are made of (the parents of every commit in the reflog of `refs/stash`, and of the one it
   * leads to). Each once, in no order, tags peeled, without those that are no longer there. Throws `git-object-missing` where
   * `refs/stash` itself, or a tag that is there, leads to what is not.
   */
  reflogCommits(): Promise<CommitId[]>;
  /**
   * Every distinct (path, blob) of files the predicate accepts in the trees of these commits (not of their ancestors), in no
   * order, with the first commit in which it was met. What several commits share is read once. Throws `git-object-missing`.
   */
  filesOf(options: {
    readonly commits: readonly CommitId[];
    readonly accept: (path: string) => boolean;
  }): AsyncIterable<GitFileVersion>;
  /**
   * The commits reachable from the tips whose committer's time is `time` (milliseconds since 1970) or later, in no order, also
   * those behind an older one, as clocks differ. In a shallow clone: what is there. Throws `git-object-missing`.
   */
  commitsSince(tips: readonly CommitId[], time: number): Promise<CommitId[]>;
  /**
   * Stages additions and deletions of exactly these paths, files only, whether ignored or not (a path that is gone from disk
   * is staged as deleted, if Git had it). All or nothing. Throws `git-index-locked` while another program changes the index.
   */
  stage(paths: readonly string[]): Promise<void>;
  /** What Git tracks (has in the index) at these paths and below them, sorted. */
  tracked(paths: readonly string[]): Promise<string[]>;
  /**
   * What of the work tree Git tracks, or would if it were told to add all: at or below a folder ('' for everything), each path once, in no
   * order. Files and symbolic links, those too that are tracked and gone; other repositories, submodules among them, by their folder with
   * a slash at its end.
   */
  workFiles(folder: string): Promise<string[]>;
  /** Those of `paths` (files or folders, existing or not) that Git's ignore rules exclude; what is tracked, or has tracked files in it, is not. */
  ignored(paths: readonly string[]): Promise<string[]>;
  /**
   * The folder that Git runs hooks from (`core.hooksPath`, whatever file says so), existing or not; absolute, symbolic links as they
   * are. Throws `git-program-needed` where this engine cannot tell.
   */
  hooksFolder(): Promise<string>;
  /** Ends child processes. */
  close(): Promise<void>;
}
