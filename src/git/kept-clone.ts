import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { GIT_PROTOCOLS } from '../domain/repository-url.ts';
import { temporaryName } from '../platform/durable-write.ts';
import type { LockWaiting } from '../platform/lock.ts';
import { withLock } from '../platform/lock.ts';
import type { CommitId } from './git.ts';
import { openGitProgram } from './git-program.ts';
import type { Environment, GitProgramOptions, GitRunner } from './git-process.ts';
import { gitRunner, gitRunnerIn } from './git-process.ts';
import { explainUnreachable } from './unreachable.ts';
import type { GitLayout } from './layout.ts';
import { discoverLayout } from './layout.ts';
import { findProgram } from '../platform/find-program.ts';
import { parseRevision } from './revision.ts';

export interface KeptClone {
  readonly layout: GitLayout;
  readonly commit: CommitId;
}

export interface KeptCloneOptions {
  /** An address that Git fetches from, or the absolute path of a repository. */
  readonly url: string;
  readonly revision: string;
  /** Absolute; made where it is not there. */
  readonly folder: string;
  readonly env: Environment;
  readonly locks: LockWaiting;
}

/** Pointers and settings are smaller than this; what is larger comes when it is read. */
const FILTER = '--filter=blob:limit=64k';
/** As deep as it gets: `--unshallow` fails where nothing is shallow. */
const ALL = 2_147_483_647;
const FULL_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** Fetching into one clone at the same time, each would be in the other's way, and most of what it gets the other wants as well. */
const WAIT_MS = 600_000;
const FETCH = [
  '-c',
  'gc.auto=0',
  '-c',
  'core.hooksPath=/dev/null',
  'fetch',
  '--quiet',
  '--no-tags',
  '--force',
  '--no-write-fetch-head',
  '--update-head-ok',
  '--no-recurse-submodules',
  '--no-auto-maintenance',
];

/** The environment in which Git fetches by no other way than those that are let through. */
export function limitProtocols(env: Environment): Environment {
  const given = env['GIT_ALLOW_PROTOCOL']?.split(':');
  const allowed = GIT_PROTOCOLS.filter((protocol) => given?.includes(protocol) ?? true);
  return { ...env, GIT_ALLOW_PROTOCOL: allowed.join(':') };
}

/**
 * A clone of another repository, without files, that is kept and has this revision: as little history as it needs, and no large
 * blobs, where the server can leave them out. A full commit id that is there is not asked for; any other name is, each time. Throws
 * `git-program-needed`, `revision-unknown`, `revision-ambiguous`, `locked`, and what `explainUnreachable` makes of failures.
 */
export async function keptClone(options: KeptCloneOptions): Promise<KeptClone> {
  const { folder, url, revision, locks } = options;
  const executable = findProgram('git', options.env['PATH'] ?? '');
  if (executable === undefined) throw gitNeeded(url);
  const program = { executable, env: limitProtocols(options.env) };
  const lock = { ...locks, waitMs: locks.waitMs ?? WAIT_MS, command: `reading from ${url}` };
  return withLock(join(dirname(folder), 'locks'), basename(folder), lock, async () => {
    const there = existsSync(folder) ? layoutOf(folder) : undefined;
    const isKnown = there !== undefined && (await isKept(gitRunner(there, program), revision));
    const layout = isKnown ? there : await fetchInto(there, options, program);
    const repository = openGitProgram(layout, program);
    try {
      return { layout, commit: await repository.resolve(revision) };
    } catch (error) {
      throw error instanceof MlvError && error.code === 'revision-unknown' ? unknownThere(revision, url, error) : error;
    } finally {
      await repository.close();
    }
  });
}

/** Gets what a revision needs into the clone, which is made where there is none. */
async function fetchInto(
  there: GitLayout | undefined,
  options: KeptCloneOptions,
  program: GitProgramOptions,
): Promise<GitLayout> {
  const { url, folder, revision } = options;
  mkdirSync(dirname(folder), { recursive: true });
  const advertised = await listRefs(gitRunnerIn(dirname(folder), program), url);
  if (advertised.refs.size === 0) throw unknownThere('HEAD', url);
  const layout = there ?? (await makeClone(options, advertised, (at) => gitRunnerIn(at, program)));
  const git = gitRunner(layout, program);
  const plan = planFetch(revision, advertised);
  if (!(await isThere(git, plan, advertised))) {
    // Nobody else fetches here: a killed process left it.
    rmSync(join(layout.gitDir, 'shallow.lock'), { force: true });
    await fetchPlanned(git, url, plan);
  }
  const own = (await ownRefs(git)).get(HEAD_REF);
  if (own !== undefined) await git.run(['update-ref', '--no-deref', 'HEAD', own]);
  return layout;
}

interface Advertised {
  readonly head: string | undefined;
  /** Object ids by full name. */
  readonly refs: ReadonlyMap<string, string>;
}

async function listRefs(git: GitRunner, url: string): Promise<Advertised> {
  const output = await reach(git, url, ['ls-remote', '--quiet', '--', url]);
  const refs = new Map<string, string>();
  for (const line of output.toString().split('\n').slice(0, -1)) {
    const [id = '', name = ''] = line.split('\t');
    refs.set(name, id);
  }
  return { head: refs.get('HEAD'), refs };
}

/** What to fetch for a revision: refspecs, and how deep. */
interface FetchPlan {
  readonly refspecs: readonly string[];
  readonly depth: number;
  /** What comes next where the server does not give that. */
  readonly otherwise?: FetchPlan;
}

const HEAD_REF = 'refs/remotes/origin/HEAD';

const EVERYTHING: FetchPlan = {
  refspecs: [`+HEAD:${HEAD_REF}`, '+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'],
  depth: ALL,
};

function planFetch(revision: string, { head, refs }: Advertised): FetchPlan {
  const everything = head === undefined ? { ...EVERYTHING, refspecs: EVERYTHING.refspecs.slice(1) } : EVERYTHING;
  if (FULL_ID.test(revision)) {
    return { refspecs: [`+${revision}:refs/mlv-read/${revision}`], depth: 1, otherwise: everything };
  }
  const parsed = parseRevision(revision);
  if (parsed === undefined) return everything;
  const { base, steps } = parsed;
  const names =
    base === 'HEAD'
      ? []
      : [base, `refs/${base}`, `refs/tags/${base}`, `refs/heads/${base}`].filter(
          (name) => name.startsWith('refs/') && refs.has(name),
        );
  const refspecs =
    base === 'HEAD' && head !== undefined ? [`+HEAD:${HEAD_REF}`] : names.map((name) => `+${name}:${name}`);
  if (refspecs.length === 0) return everything;
  const depth = steps.reduce((sum, step) => sum + ('ancestor' in step ? step.ancestor : Math.min(1, step.parent)), 1);
  return { refspecs, depth: Math.min(depth, ALL) };
}

async function fetchPlanned(git: GitRunner, url: string, plan: FetchPlan): Promise<void> {
  // A server may know neither filters nor depths (the dumb protocol of HTTP has no depths).
  // What was asked for once is asked for again, unless told not to.
  const attempts = [[FILTER, `--depth=${plan.depth}`], ['--no-filter', `--depth=${plan.depth}`], ['--no-filter']];
  for (const [index, limits] of attempts.entries()) {
    try {
      await reach(git, url, [...FETCH, ...limits, '--', 'origin', ...plan.refspecs]);
      return;
    } catch (error) {
      const isLast = index === attempts.length - 1;
      if (plan.otherwise !== undefined && error instanceof MlvError && error.code === 'git-failed')
        return fetchPlanned(git, url, plan.otherwise);
      if (isLast || !(error instanceof MlvError) || !/filter|shallow/.test(error.message)) throw error;
    }
  }
}

async function reach(git: GitRunner, url: string, args: readonly string[]): Promise<Buffer> {
  const child = git.start(args);
  child.process.stdin.end();
  const chunks: Buffer[] = [];
  child.process.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  if ((await child.ended) !== 0) {
    const command = args.includes('ls-remote') ? 'ls-remote' : 'fetch';
    throw explainUnreachable(url, child.stderr()) ?? git.failure([command], child.stderr());
  }
  return Buffer.concat(chunks);
}

/** The ids that refs lead to, by name; of annotated tags the tags'. */
async function ownRefs(git: GitRunner): Promise<ReadonlyMap<string, string>> {
  const output = await git.run(['for-each-ref', '--format=%(refname) %(objectname)']);
  const lines = output.toString().split('\n').slice(0, -1);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

/** True for the full id of a commit that a ref leads to: of others it is not known whether all that belongs to them is here. */
async function isKept(git: GitRunner, revision: string): Promise<boolean> {
  return FULL_ID.test(revision) && [...(await ownRefs(git)).values()].includes(revision);
}

/** True where the commits alone are wanted that the repository names, and they are here under the same names. */
async function isThere(git: GitRunner, { refspecs, depth }: FetchPlan, { refs }: Advertised): Promise<boolean> {
  if (depth > 1) return false;
  const own = await ownRefs(git);
  return refspecs.every((refspec) => {
    const [from = '', to = ''] = refspec.slice(1).split(':');
    return refs.has(from) && own.get(to) === refs.get(from);
  });
}

function layoutOf(folder: string): GitLayout {
  const layout = discoverLayout(folder);
  if (layout?.workTree !== folder) throw damagedClone(folder);
  return layout;
}

/** Made beside its place, so that what an interruption leaves is never taken for a clone. */
async function makeClone(
  { folder, url }: KeptCloneOptions,
  { refs }: Advertised,
  runnerAt: (folder: string) => GitRunner,
): Promise<GitLayout> {
  const temporary = join(dirname(folder), temporaryName());
  mkdirSync(temporary, { mode: 0o700 });
  try {
    const git = runnerAt(temporary);
    const [id = ''] = refs.values();
    const format = id.length === 64 ? ['--object-format=sha256'] : [];
    // No template: no hooks.
    await git.run(['init', '--quiet', '--template=', ...format]);
    await git.run(['remote', 'add', '--', 'origin', url]);
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return layoutOf(folder);
}

function gitNeeded(url: string): MlvError {
  return new MlvError({
    code: 'git-program-needed',
    kind: 'unsupported',
    message: `${url} can only be read with the git program, which is not in PATH`,
    hint: 'Install Git; or clone the repository elsewhere, and name the folder: --repo FOLDER.',
  });
}

function unknownThere(revision: string, url: string, cause?: MlvError): MlvError {
  return new MlvError({
    code: 'revision-unknown',
    kind: 'missing',
    message: revision === 'HEAD' ? `${url} has no commit yet` : `${url} has no commit called '${revision}'`,
    hint: 'git ls-remote URL shows its branches and tags. What only a clone knows, as @{yesterday}, can be read in that: --repo FOLDER.',
    cause,
  });
}

function damagedClone(folder: string): MlvError {
  return new MlvError({
    code: 'clone-damaged',
    kind: 'corrupt',
    message: `${folder} is no clone any more`,
    hint: 'Delete it: it is made again.',
  });
}
