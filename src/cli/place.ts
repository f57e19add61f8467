import type { Place } from '../workspace/place.ts';
import { placeIn } from '../workspace/place.ts';
import type { Context } from './command.ts';
import { explainTargets } from './targets.ts';

/** What commands take that read any version of any project. */
export const PLACE_OPTIONS = {
  rev: { type: 'string', value: 'REV', about: 'as of this commit, branch or tag' },
  repo: {
    type: 'string',
    value: 'URL|FOLDER',
    about: 'of this other Git repository',
  },
} as const;

export const REPO_DETAILS =
  "With --repo, no project has to be around: PATH starts at the top of the other repository, a folder or a URL, and the version is its HEAD's unless --rev tells.";

interface PlaceArguments {
  readonly path?: string;
  readonly rev?: string;
  readonly repo?: string;
}

/** Runs a verb on the place that arguments name; another repository is closed after it. */
export async function atPlace<T>(
  command: string,
  { path, rev, repo }: PlaceArguments,
  context: Context,
  verb: (place: Place) => Promise<T>,
): Promise<T> {
  if (repo !== undefined) {
    const { openOther } = await import('../workspace/other-repository.ts');
    const { cwd, environment, locks } = context;
    const place = await openOther({ repo, path, rev, cwd, environment, locks });
    try {
      return await verb(place);
    } finally {
      await place.workspace.close();
    }
  }
  const workspace = await context.open();
  return explainTargets({ workspace, command, targets: path === undefined ? [] : [path] }, async () =>
    verb(await placeIn(workspace, { cwd: context.cwd, path, rev })),
  );
}
