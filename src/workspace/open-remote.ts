import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import { parseRemoteUrl } from '../domain/remote-url.ts';
import { hashEngine } from '../platform/hash.ts';
import { openFolderHome } from '../storage/folder-home.ts';
import type { Home } from '../storage/home.ts';
import type { Remote } from '../storage/remote.ts';
import { openRemote } from '../storage/remote.ts';
import type { Workspace } from './open.ts';

/** Where a configured remote is. */
export interface NamedHome {
  readonly name: string;
  readonly url: string;
  readonly home: Home;
  /** This clone's own notes about the remote. */
  readonly folder: string;
  /** Its indexes, as far as this machine has them. */
  readonly mirrorFolder: string;
}

/** A configured remote, opened. */
export interface NamedRemote extends NamedHome {
  readonly remote: Remote;
}

/** Name of the remote that data with this pointer belongs to; `asked` (-r) comes first. Throws `remote-none`, `remote-unknown`. */
export function remoteNameFor(
  workspace: Workspace,
  pointer: Pick<Pointer, 'remote'> | undefined,
  asked: string | undefined,
): string {
  const { remotes, values } = workspace.settings;
  const only = remotes.size === 1 ? [...remotes.keys()][0] : undefined;
  const name = asked ?? pointer?.remote ?? values.remote ?? only;
  if (name === undefined) {
    throw new MlvError({
      code: 'remote-none',
      kind: 'missing',
      message: remotes.size === 0 ? 'there is no remote yet' : 'none of the remotes is the default one',
      hint:
        remotes.size === 0
          ? 'Name a folder or bucket for the data: mlv remote add -d NAME URL'
          : 'Choose one: mlv remote default NAME',
    });
  }
  if (remotes.has(name)) return name;
  throw new MlvError({
    code: 'remote-unknown',
    kind: 'missing',
    message: `there is no remote "${name}"`,
    hint: `"mlv remote list" shows what there is; "mlv remote add ${name} URL" adds it.`,
  });
}

/** Where the remote of this name is; nothing of it is looked at. */
export function openNamedHome(workspace: Workspace, name: string): NamedHome {
  const url = workspace.settings.remotes.get(name)?.url ?? '';
  const id = hashEngine().hash(Buffer.from(url, 'utf8')).toString('hex', 0, 16);
  const folder = join(workspace.sharedFolder, 'remotes', id);
  return { name, url, folder, home: openHome(workspace, name, url), mirrorFolder: join(folder, 'index') };
}

/** Opens a remote by name and lists it once. */
export async function openNamedRemote(workspace: Workspace, name: string, signal?: AbortSignal): Promise<NamedRemote> {
  const named = openNamedHome(workspace, name);
  const { home, mirrorFolder } = named;
  return { ...named, remote: await openRemote({ home, mirrorFolder, signal }) };
}

function openHome(workspace: Workspace, name: string, url: string): Home {
  const parsed = parseRemoteUrl(url);
  if (parsed.kind === 's3') {
    throw new MlvError({
      code: 'remote-s3-unsupported',
      kind: 'unsupported',
      message: `remote "${name}" is a bucket (${url}), and this version of mlv transfers to folders only`,
      hint: 'Use a folder for now (a mounted bucket will do): mlv remote add NAME /path/to/folder',
    });
  }
  const bases = { absolute: '/', home: workspace.environment['HOME'] ?? homedir(), repository: workspace.root };
  return openFolderHome(resolve(bases[parsed.base], parsed.path));
}
