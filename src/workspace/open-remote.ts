import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import { DESCRIPTION_KEY } from '../domain/remote-layout.ts';
import { endpointOf, parseRemoteUrl } from '../domain/remote-url.ts';
import type { RemoteSettings } from '../domain/setting-table.ts';
import { hashEngine } from '../platform/hash.ts';
import { openFolderHome } from '../storage/folder-home.ts';
import type { Home } from '../storage/home.ts';
import type { Remote } from '../storage/remote.ts';
import { openRemote } from '../storage/remote.ts';
import { createRequestEngine } from '../storage/request-engine.ts';
import { withEngine } from '../storage/with-engine.ts';
import type { Workspace } from './open.ts';
import { homeOf } from './open.ts';
import { forgetPushedCommits } from './pushed-commits.ts';

/** A disk gets slower from too many at once, and an error of its that stays for seconds stays. */
const FOLDER = { start: 4, most: 8, tries: 5 };

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

/** Where the remote of this name is; nothing of it is looked at. `jobs` bounds the requests at once. */
export async function openNamedHome(workspace: Workspace, name: string, jobs?: number): Promise<NamedHome> {
  const settings = workspace.settings.remotes.get(name) ?? { url: '' };
  const { url } = settings;
  // The same bucket at another endpoint is another remote.
  const endpoint = parseRemoteUrl(url).kind === 's3' ? endpointOf(settings, workspace.environment) : undefined;
  const place = endpoint === undefined ? url : `${url}\n${endpoint}`;
  const id = hashEngine().hash(Buffer.from(place, 'utf8')).toString('hex', 0, 16);
  const folder = join(workspace.sharedFolder, 'remotes', id);
  const home = await openHome(workspace, settings, { folder, jobs });
  return { name, url, folder, home, mirrorFolder: join(folder, 'index') };
}

/** Opens a remote by name and lists it once. */
export async function openNamedRemote(
  workspace: Workspace,
  name: string,
  { signal, jobs }: { readonly signal?: AbortSignal | undefined; readonly jobs?: number | undefined } = {},
): Promise<NamedRemote> {
  const named = await openNamedHome(workspace, name, jobs);
  const { home, folder, mirrorFolder } = named;
  // Never seen, or its notes were removed because the earlier one is gone: what went there is not here.
  if (!existsSync(join(mirrorFolder, DESCRIPTION_KEY))) forgetPushedCommits(folder);
  return { ...named, remote: await openRemote({ home, mirrorFolder, signal }) };
}

async function openHome(
  workspace: Workspace,
  settings: RemoteSettings,
  { folder, jobs }: { readonly folder: string; readonly jobs: number | undefined },
): Promise<Home> {
  const parsed = parseRemoteUrl(settings.url);
  const { environment } = workspace;
  if (parsed.kind === 's3') {
    // The SDK is large: only who has a bucket pays for it.
    const { openS3Home } = await import('../storage/s3-home.ts');
    const engine = createRequestEngine({ name: settings.url, ...(jobs !== undefined && { most: jobs }) });
    return openS3Home({ ...parsed, settings, environment, folder, engine });
  }
  const bases = { absolute: '/', home: homeOf(environment), repository: workspace.remoteBase };
  const base = bases[parsed.base];
  if (base === undefined) throw remoteElsewhere(settings.url);
  const path = resolve(base, parsed.path);
  const most = Math.min(jobs ?? FOLDER.most, FOLDER.most);
  return withEngine(openFolderHome(path), createRequestEngine({ ...FOLDER, name: path, most }));
}

function remoteElsewhere(url: string): MlvError {
  return new MlvError({
    code: 'remote-relative',
    kind: 'missing',
    message: `the data is on a remote that is a folder beside the repository, which is not on this machine: ${url}`,
    hint: 'Clone the repository to where that folder can be reached, and name the clone: --repo FOLDER.',
  });
}
