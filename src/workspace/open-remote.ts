import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import { parseRemoteUrl } from '../domain/remote-url.ts';
import type { RemoteSettings } from '../domain/setting-table.ts';
import { hashEngine } from '../platform/hash.ts';
import { openFolderHome } from '../storage/folder-home.ts';
import type { Home } from '../storage/home.ts';
import type { Remote } from '../storage/remote.ts';
import { openRemote } from '../storage/remote.ts';
import { createRequestEngine } from '../storage/request-engine.ts';
import { withEngine } from '../storage/with-engine.ts';
import type { Workspace } from './open.ts';

/** A disk gets slower from too many at once, and an error of its that stays for seconds stays. */
const FOLDER = { start: 4, most: 8, tries: 5 };

/** A configured remote, opened. */
export interface NamedRemote {
  readonly name: string;
  readonly url: string;
  readonly remote: Remote;
  /** This clone's own notes about the remote. */
  readonly folder: string;
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

/** Opens a remote by name and lists it once. `jobs` bounds the requests at once. */
export async function openNamedRemote(
  workspace: Workspace,
  name: string,
  { signal, jobs }: { readonly signal?: AbortSignal | undefined; readonly jobs?: number | undefined } = {},
): Promise<NamedRemote> {
  const settings = workspace.settings.remotes.get(name) ?? { url: '' };
  const { url } = settings;
  const id = hashEngine().hash(Buffer.from(url, 'utf8')).toString('hex', 0, 16);
  const folder = join(workspace.sharedFolder, 'remotes', id);
  const home = await openHome(workspace, settings, { folder, jobs });
  return { name, url, folder, remote: await openRemote({ home, mirrorFolder: join(folder, 'index'), signal }) };
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
  const bases = { absolute: '/', home: environment['HOME'] ?? homedir(), repository: workspace.root };
  const path = resolve(bases[parsed.base], parsed.path);
  const most = Math.min(jobs ?? FOLDER.most, FOLDER.most);
  return withEngine(openFolderHome(path), createRequestEngine({ ...FOLDER, name: path, most }));
}
