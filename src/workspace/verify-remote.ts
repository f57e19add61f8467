import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import type { PurgeRecord } from '../domain/purge-record.ts';
import { MlvError } from '../domain/errors.ts';
import { checkDescription, DESCRIPTION_KEY, INDEX_FOLDER } from '../domain/remote-layout.ts';
import { digestOfBytes } from '../platform/hash.ts';
import { repairRemote } from '../storage/repair-remote.ts';
import { upload } from '../storage/upload.ts';
import type { RemoteSurvey } from '../storage/verify-remote.ts';
import { surveyRemote } from '../storage/verify-remote.ts';
import type { Workspace } from './open.ts';
import type { NamedHome } from './open-remote.ts';
import { openNamedHome, openNamedRemote } from './open-remote.ts';
import { groupByRemote } from './push.ts';
import type { FindPlaces, RemoteTrees } from './remote-trees.ts';
import { findIncomplete, listMissing, openRemoteTrees, readLocally } from './remote-trees.ts';
import { withScratch } from './scratch.ts';
import type { VerifyOptions } from './verify.ts';
import type { MissingList, Problem, Repaired, VerifiedSide, VerifyResult } from './verify-result.ts';
import { createDamagePaths, createMissingList, isInText, MAX_PATHS, sumMissing, treeProblem } from './verify-result.ts';
import type { ScopedVersion, VerifyScope } from './verify-scope.ts';
import { pathsOf, reachAll } from './verify-scope.ts';

const HINT = 'mlv verify --remote --repair';
const OVERTAKEN = 'somebody pushed meanwhile: run it once more, to see whether that push relies on what was set aside';

interface VerifiedRemote {
  readonly side: VerifiedSide;
  readonly problems: readonly Problem[];
  readonly missing: MissingList;
  readonly repaired: Repaired | undefined;
}

/** Verifies remotes: all that they say they have, and what the versions name there. */
export async function verifyRemotes(
  workspace: Workspace,
  scope: VerifyScope,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const seed = options.percent === undefined ? undefined : (options.seed ?? 1 + (Date.now() % 1_000_000));
  const asked = typeof options.remote === 'string' ? options.remote : undefined;
  const results: VerifiedRemote[] = [];
  for (const [name, versions] of groupByRemote(workspace, scope.versions, asked))
    results.push(
      await verifyOne(workspace, await openNamedHome(workspace, name, options.jobs), {
        versions,
        seed: seed ?? 0,
        options,
      }),
    );
  const problems = [...scope.problems, ...results.flatMap((result) => result.problems)];
  const missing = results.map((result) => result.missing);
  const repaired = results.flatMap((result) => result.repaired ?? []);
  const isMended = (problem: Problem): boolean =>
    repaired.some(({ side }) => side === problem.side) &&
    !isInText(problem) &&
    problem.kind !== 'unreadable' &&
    // A tree that is not well formed was so when it was stored.
    (problem.kind !== 'tree' || problem.blobs > 0);
  const isBrought = missing.every(({ items }) => items.length === 0) || repaired.length > 0;
  return {
    versions: scope.versions.length,
    sides: results.map(({ side }) => side),
    problems,
    ...sumMissing(missing),
    notInCache: 0,
    repaired,
    seed,
    clean:
      isBrought && problems.every(isMended) && repaired.every(({ lost, notes }) => lost.length + notes.length === 0),
  };
}

interface OneRemote {
  readonly versions: readonly ScopedVersion[];
  readonly seed: number;
  readonly options: VerifyOptions;
}

const ATTEMPTS = 3;

/** What seems wrong may only have moved while it was looked at, by a merge or a collection: then all is looked at again. */
async function verifyOne(workspace: Workspace, named: NamedHome, given: OneRemote): Promise<VerifiedRemote> {
  const { signal } = given.options;
  for (let attempt = 1; ; attempt++) {
    const before = await indexNames(named, signal);
    const isSettled = async (): Promise<boolean> =>
      attempt === ATTEMPTS || before === (await indexNames(named, signal));
    const verified = await verifyOnce(workspace, named, { ...given, isSettled });
    if (verified !== undefined) return verified;
  }
}

/** Names of all indexes and tombstones that are listed, as one text. */
async function indexNames({ home }: NamedHome, signal: AbortSignal | undefined): Promise<string> {
  const names: string[] = [];
  for await (const { key } of home.list(INDEX_FOLDER, signal)) names.push(key);
  return names.sort().join('\n');
}

/** Undefined where something is wrong, and the remote has changed since. */
function verifyOnce(
  workspace: Workspace,
  named: NamedHome,
  given: OneRemote & { readonly isSettled: () => Promise<boolean> },
): Promise<VerifiedRemote | undefined> {
  const { versions, seed, options, isSettled } = given;
  const { signal, onProgress } = options;
  const { home, name } = named;
  return withScratch(workspace, async (scratch) => {
    const asOf = options.repair === true ? await home.time(signal) : 0;
    const survey = await surveyRemote({
      home,
      scratch: join(scratch, 'index'),
      description: keptDescription(named),
      purged: workspace.purged(),
      share: (options.percent ?? 100) / 100,
      seed,
      onProgress: onProgress && (({ files, bytes }) => onProgress({ phase: `verifying ${name}`, files, bytes })),
      signal,
    });
    try {
      const find: FindPlaces = async (digests, as) => digests.map((digest) => survey.places(digest, as)[0]);
      const trees = openRemoteTrees(workspace, { home, find, scratch: join(scratch, 'trees'), signal });
      try {
        const { problems, missing } = await examine(survey, {
          name,
          versions,
          trees,
          find,
          purged: workspace.purged(),
        });
        const { counts, unindexed } = survey;
        const side = { side: name, where: named.url, ...counts, unindexed: unindexed.length };
        const needsRepair = problems.length + missing.items.length > 0;
        if (needsRepair && !(await isSettled())) return undefined;
        const repaired =
          options.repair === true && needsRepair
            ? await mend(workspace, { named, survey, versions, trees, scratch, asOf, options })
            : undefined;
        return { side, problems, missing, repaired };
      } finally {
        trees.close();
      }
    } finally {
      survey.close();
    }
  });
}

async function examine(
  survey: RemoteSurvey,
  given: {
    readonly name: string;
    readonly versions: readonly ScopedVersion[];
    readonly trees: RemoteTrees;
    readonly find: FindPlaces;
    readonly purged: PurgeRecord;
  },
): Promise<{ problems: Problem[]; missing: MissingList }> {
  const { name, versions, trees, find, purged } = given;
  const problems: Problem[] = [];
  const incomplete = await findIncomplete(versions, find, purged);
  const hits = createDamagePaths(survey.damages);
  // What is damaged is told with the damage.
  const missing = createMissingList(MAX_PATHS, hits.has);
  if (incomplete.length > 0) await listMissing(incomplete, trees, { find, missing, purged });
  if (survey.damages.some(({ digests }) => digests.size > 0)) {
    await trees.load(versions);
    const onInvalid = (error: MlvError, { path }: ScopedVersion): void => {
      problems.push(treeProblem(name, error, path));
    };
    for (const { item } of reachAll(versions, 'all', { read: trees.read, onInvalid }))
      if (hits.has(item.digest) && survey.places(item.digest).length === 0) hits.add(item.digest, item.path);
  }
  for (const damage of survey.damages) {
    const { kind, where, reason, digests } = damage;
    problems.push({ side: name, kind, where, reason, blobs: digests.size, paths: hits.of(damage), hint: HINT });
  }
  return { problems, missing };
}

/** Mends the remote from itself and from the cache; then what the versions name and it does not have is pushed. */
async function mend(
  workspace: Workspace,
  given: {
    readonly named: NamedHome;
    readonly survey: RemoteSurvey;
    readonly versions: readonly ScopedVersion[];
    readonly trees: RemoteTrees;
    readonly scratch: string;
    readonly asOf: number;
    readonly options: VerifyOptions;
  },
): Promise<Repaired> {
  const { named, survey, versions, scratch, asOf, options } = given;
  const { jobs, signal } = options;
  const cache = workspace.cache();
  const purged = workspace.purged();
  const roots = versions.map(({ pointer: { hash: digest, type }, name }) => ({ digest, type, name }));
  const mended = await repairRemote({
    survey,
    locate: (digest) => (purged.has(digest) ? undefined : ifSound(() => cache.locate(digest))),
    readTree: (digest) => readLocally(cache, digest),
    kept: (name) => readKept(named, name),
    description: keptDescription(named),
    scratch,
    label: new Date(asOf).toISOString().slice(0, 10),
    roots,
    asOf,
    signal,
  });
  const { remote } = await openNamedRemote(workspace, named.name, { signal, jobs });
  try {
    const find: FindPlaces = (digests, as) => remote.find(digests, as, signal);
    // Roots that were pushed once, of versions that nobody named now, come back as well where the cache has them.
    const pushed = [...survey.absent].flatMap((digest) => pushedTree(cache, digest));
    const incomplete = await findIncomplete(versions, find, purged);
    const wanted = [
      ...incomplete.map(({ pointer: { hash: digest, type }, name }) => ({ digest, type, name })),
      ...pushed,
    ];
    const sent =
      wanted.length === 0 ? undefined : await upload({ remote, cache, roots: wanted, renewNotes: false, signal });
    const still = await findIncomplete(versions, find, purged);
    const trees = openRemoteTrees(workspace, { home: named.home, find, scratch: join(scratch, 'after'), signal });
    try {
      const missing = createMissingList(Infinity);
      if (still.length > 0) await listMissing(still, trees, { find, missing, purged });
      const places = await find(mended.lost, 'blob');
      const lost = mended.lost.filter(
        (digest, index) => places[index] === undefined && !missing.has(digest) && !purged.has(digest),
      );
      const paths = pathsOf(lost, versions, given.trees.read);
      return {
        side: named.name,
        restored: mended.restored + (sent?.blobs ?? 0),
        reindexed: mended.reindexed,
        setAside: mended.setAside,
        lost: [
          ...missing.items,
          ...lost.map((digest) => ({ path: paths.get(digest)?.join(', ') ?? `b3:${digest}`, digest, files: 1 })),
        ],
        notes: mended.isOvertaken ? [OVERTAKEN] : [],
      };
    } finally {
      trees.close();
    }
  } finally {
    remote.close();
  }
}

function pushedTree(
  cache: ReturnType<Workspace['cache']>,
  digest: Digest,
): { digest: Digest; type: 'dir'; name: string }[] {
  const isRoot = readLocally(cache, digest)?.toString('latin1', 0, 9) === 'mlv-tree ';
  return isRoot ? [{ digest, type: 'dir', name: `b3:${digest}` }] : [];
}

/** A small file of the remote as this machine has kept it, where that is what its name says. */
function readKept({ mirrorFolder }: NamedHome, name: string): Buffer | undefined {
  const path = join(mirrorFolder, name);
  const bytes = existsSync(path) ? readFileSync(path) : undefined;
  return bytes !== undefined && name.startsWith(digestOfBytes(bytes)) ? bytes : undefined;
}

/** What was good when it was read first. */
function keptDescription({ mirrorFolder, name }: NamedHome): Buffer | undefined {
  const path = join(mirrorFolder, DESCRIPTION_KEY);
  const bytes = existsSync(path) ? readFileSync(path) : undefined;
  try {
    if (bytes !== undefined) checkDescription(bytes.toString('utf8'), name);
    return bytes;
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return undefined;
  }
}

function ifSound<T>(find: () => T | undefined): T | undefined {
  try {
    return find();
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return undefined;
  }
}
