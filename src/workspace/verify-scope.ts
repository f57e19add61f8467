import { join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import { MlvError } from '../domain/errors.ts';
import type { ReachOptions, Reached, ReachRoot } from '../storage/reach.ts';
import { reach } from '../storage/reach.ts';
import { isNoDamage } from '../storage/damage.ts';
import type { Selection } from './checkout-record.ts';
import { readCheckoutRecord, sameContent } from './checkout-record.ts';
import type { Workspace } from './open.ts';
import { hasRevisionScope } from './push.ts';
import { selectedPaths } from './targets.ts';
import { readReferences } from './list-tracked.ts';
import { isLock } from './references.ts';
import { contentOf, pointedAt } from './tracked.ts';
import type { TransferOptions, WantedVersion } from './transfer-scope.ts';
import { wantedVersions, wholeVersion } from './transfer-scope.ts';
import type { Problem } from './verify-result.ts';

/** A version that is looked at, and the part of it that must be there. */
export interface ScopedVersion extends WantedVersion {
  /** How messages call it. */
  readonly name: string;
  /** Of the selection: what was asked for by name, or is checked out. The rest may as well be on a remote only. */
  readonly expected: Selection;
}

export interface VerifyScope {
  readonly versions: readonly ScopedVersion[];
  /** Pointers, locks and records that cannot be read. */
  readonly problems: readonly Problem[];
}

/** The versions that the options mean. Pointers and locks of the workspace that cannot be read are told, and left out. */
export async function readVerifyScope(workspace: Workspace, options: TransferOptions): Promise<VerifyScope> {
  const problems: Problem[] = [];
  const isNamed = options.targets.length > 0 || hasRevisionScope(options);
  const versions = isNamed ? await wantedVersions(workspace, options) : await readAll(workspace, problems);
  return {
    versions: versions.map((version) => ({
      ...version,
      name: version.revision === undefined ? version.path : `${version.path} (as of ${version.revision})`,
      expected: isNamed ? version.selection : checkedOut(workspace, version, problems),
    })),
    problems,
  };
}

async function readAll(workspace: Workspace, problems: Problem[]): Promise<WantedVersion[]> {
  const tracked = await readReferences(workspace, (error, file) => {
    if (isNoDamage(error)) throw error;
    problems.push({
      side: 'workspace',
      kind: isLock(file) ? 'lock' : 'pointer',
      where: join(workspace.root, file),
      reason: error.message,
      blobs: 0,
      paths: [pointedAt(file)],
      hint: (error.code.endsWith('-conflict') ? error.hint : undefined) ?? `Take it back from Git: git restore ${file}`,
    });
  });
  return tracked.map((each) => wholeVersion(each, undefined));
}

/** What the workspace was brought to, where that is the version that its pointer names. */
function checkedOut(workspace: Workspace, { path, pointer }: WantedVersion, problems: Problem[]): Selection {
  try {
    const named = contentOf(pointer);
    const { base, selected } = readCheckoutRecord(workspace, path, named);
    return sameContent(base, named) ? selected : [];
  } catch (error) {
    if (!(error instanceof MlvError) || isNoDamage(error)) throw error;
    problems.push({
      side: 'workspace',
      kind: 'checkout-record',
      where: path,
      reason: error.message,
      blobs: 0,
      paths: [path],
      hint: error.hint ?? '',
    });
    return [];
  }
}

/**
 * Everything that the versions name, each with its version; what versions share comes once. With `part: 'expected'` only what
 * must be there.
 */
export function* reachAll(
  versions: readonly ScopedVersion[],
  part: 'all' | 'expected',
  options: {
    readonly read: ReachOptions['read'];
    readonly onInvalid?: (error: MlvError, version: ScopedVersion) => void;
  },
): Generator<{ readonly version: ScopedVersion; readonly item: Reached }> {
  const seen = new Set<Digest>();
  for (const version of versions) {
    const selection = part === 'all' ? version.selection : version.expected;
    if (selection !== 'all' && selection.length === 0) continue;
    const onInvalid = (error: MlvError): void => options.onInvalid?.(error, version);
    const root = rootOf({ ...version, selection });
    for (const item of reach(root, { read: options.read, onInvalid, seen })) yield { version, item };
  }
}

/** Where versions have digests, of those that they have. */
export function pathsOf(
  digests: Iterable<Digest>,
  versions: readonly ScopedVersion[],
  read: ReachOptions['read'],
): ReadonlyMap<Digest, readonly string[]> {
  const wanted = new Set(digests);
  const found = new Map<Digest, string[]>();
  if (wanted.size === 0) return found;
  for (const { item } of reachAll(versions, 'all', { read })) {
    if (!wanted.has(item.digest)) continue;
    const paths = found.get(item.digest) ?? [];
    if (!paths.includes(item.path)) paths.push(item.path);
    found.set(item.digest, paths);
  }
  return found;
}

/** The version, or the part of it that its selection says, as transfers take it. */
export function rootOf({ pointer, selection, name }: ScopedVersion): ReachRoot {
  const { hash: digest, type, size, files = 1 } = pointer;
  return { digest, type, size, files, name, below: type === 'file' ? undefined : selectedPaths(selection) };
}
