/** What stands in the datasets of a project: paths with their kinds and hashes. */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hashEngine } from '../../../src/platform/hash.ts';
import type { Files } from '../../support/folders.ts';

export type State = Readonly<Record<string, string>>;

const hashOf = (content: Buffer): string => hashEngine().hash(content).toString('hex');

/** Everything in these top-level paths. Folders only where they are empty. */
export function stateOf(root: string, names: readonly string[]): State {
  const state: Record<string, string> = {};
  const look = (path: string): void => {
    const absolute = join(root, path);
    const stats = lstatSync(absolute, { throwIfNoEntry: false });
    if (stats === undefined) return;
    if (stats.isSymbolicLink()) state[path] = `link ${readlinkSync(absolute)}`;
    else if (stats.isDirectory()) {
      const inside = readdirSync(absolute);
      if (inside.length === 0) state[path] = 'empty';
      for (const name of inside) look(`${path}/${name}`);
    } else state[path] = `${(stats.mode & 0o111) === 0 ? 'file' : 'exec'} ${hashOf(readFileSync(absolute))}`;
  };
  for (const name of names) look(name);
  return state;
}

/** What `stateOf` says where these files were written. */
export function stateAs(files: Files): State {
  return Object.fromEntries(
    Object.entries(files).map(([path, content]) => {
      if (typeof content === 'string' || Buffer.isBuffer(content))
        return [path, `file ${hashOf(Buffer.from(content))}`];
      if ('link' in content) return [path, `link ${content.link}`];
      return [path, 'emptyFolder' in content ? 'empty' : `exec ${hashOf(Buffer.from(content.executable))}`];
    }),
  );
}

/** Paths that differ, with both sides. */
export function differences(found: State, wanted: State): string[] {
  return [...new Set([...Object.keys(found), ...Object.keys(wanted)])]
    .filter((path) => found[path] !== wanted[path])
    .map((path) => `${path}: ${found[path] ?? 'nothing'}, not ${wanted[path] ?? 'nothing'}`);
}
