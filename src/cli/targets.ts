import { MlvError } from '../domain/errors.ts';
import type { Workspace } from '../workspace/open.ts';

/** What commands take that work on tracked data. */
export const TARGETS = {
  targets: {
    value: 'TARGET',
    many: true,
    about: 'tracked paths, or paths inside them; everything when none is given',
  },
} as const;

/**
 * Runs a verb, and where it does not know a target, looks whether people mean what Git takes there: a revision, or a remote.
 */
export async function explainTargets<T>(
  options: { readonly workspace: Workspace; readonly command: string; readonly targets: readonly string[] },
  verb: () => Promise<T>,
): Promise<T> {
  try {
    return await verb();
  } catch (error) {
    if (error instanceof MlvError && error.code === 'not-tracked') throw (await gitMeaning(options)) ?? error;
    throw error;
  }
}

async function gitMeaning(options: {
  readonly workspace: Workspace;
  readonly command: string;
  readonly targets: readonly string[];
}): Promise<MlvError | undefined> {
  const { workspace, command, targets } = options;
  for (const target of targets) {
    if (workspace.settings.remotes.has(target) && command !== 'checkout') {
      return habit(`${target} is a remote, and mlv ${command} takes paths`, `mlv ${command} -r ${target}`);
    }
    if (await isRevision(workspace, target)) {
      return command === 'checkout'
        ? habit(`${target} is a revision, and mlv checkout takes paths`, `git checkout ${target}, then mlv checkout`)
        : habit(`${target} is a revision, and mlv ${command} takes paths`, `mlv ${command} --rev ${target}`);
    }
  }
  return undefined;
}

async function isRevision(workspace: Workspace, name: string): Promise<boolean> {
  try {
    const git = await workspace.git();
    return git !== undefined && (await git.resolve(name)) !== undefined;
  } catch (error) {
    if (error instanceof MlvError) return false;
    throw error;
  }
}

function habit(message: string, hint: string): MlvError {
  return new MlvError({ code: 'git-habit', kind: 'usage', message, hint });
}
