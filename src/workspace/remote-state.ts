import type { Workspace } from './open.ts';
import { openNamedRemote } from './open-remote.ts';
import { groupByRemote } from './push.ts';
import { findIncomplete } from './remote-trees.ts';
import type { StatusItem } from './status.ts';
import type { Selected } from './targets.ts';
import { wholeVersion } from './transfer-scope.ts';

/** Adds to each item whether its remote has what the pointer names: an indexed root or blob, by closure, means all of it. */
export async function addRemoteState(
  workspace: Workspace,
  given: {
    readonly items: readonly StatusItem[];
    readonly selected: readonly Selected[];
    readonly remote: true | string;
  },
): Promise<StatusItem[]> {
  const asked = given.remote === true ? undefined : given.remote;
  const versions = given.selected.map(({ tracked, selection }) => ({ ...wholeVersion(tracked, undefined), selection }));
  const states = new Map<string, { name: string; missing: boolean }>();
  for (const [name, group] of groupByRemote(workspace, versions, asked)) {
    const { remote } = await openNamedRemote(workspace, name);
    try {
      const incomplete = new Set(await findIncomplete(group, remote.find, workspace.purged()));
      for (const version of group) states.set(version.path, { name, missing: incomplete.has(version) });
    } finally {
      remote.close();
    }
  }
  return given.items.map((item) => {
    const state = states.get(item.path);
    return state === undefined ? item : { ...item, remote: state };
  });
}
