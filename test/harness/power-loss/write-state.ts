/** Puts a state in which a disk may be found into a real folder. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Disk, Edit, Node } from './disk.ts';
import { editsOf, entriesOf, type Survivors } from './survivors.ts';

/** So long it takes until somebody looks at what was written last. */
const REBOOT_MS = 60_000;

/** A short text that is the same for states that are the same. */
export function signatureOf(disk: Disk, state: Survivors): string {
  const hash = createHash('sha256');
  visit(disk, state, (path, node) => {
    hash.update(`${path}\0${node.original ?? node.target ?? node.kind}\0`);
    for (const edit of keptEdits(node, state)) {
      if (edit.edit !== 'write') hash.update(JSON.stringify(edit.edit === 'times' ? '' : edit));
      else hash.update(`${edit.at} ${edit.bytes.length} `).update(edit.bytes);
    }
  });
  return hash.digest('base64');
}

/** Makes the folder, which must not be there. Links into one of `places`, where the state comes from, lead into it. */
export function writeState(disk: Disk, state: Survivors, folder: string, places: readonly string[]): void {
  const redirect = (target: string): string => {
    const place = places.find((each) => target.startsWith(`${each}/`));
    return place === undefined ? target : `${folder}${target.slice(place.length)}`;
  };
  mkdirSync(folder);
  visit(disk, state, (path, node) => {
    const target = join(folder, path);
    if (node.kind === 'link') symlinkSync(redirect(node.target ?? ''), target);
    else if (node.kind === 'folder') {
      mkdirSync(target);
      chmodSync(target, node.mode);
    } else writeFile(target, node, keptEdits(node, state));
  });
}

function keptEdits(node: Node, state: Survivors): readonly Edit[] {
  return node.edits.length === node.safeEdits ? node.edits : editsOf(node, state.fate(node));
}

function writeFile(target: string, { original, mode }: Node, edits: readonly Edit[]): void {
  if (original !== undefined) copyFileSync(original, target);
  let time = original === undefined ? undefined : statSync(original).mtimeMs;
  let last = mode;
  const file = openSync(target, original === undefined ? 'wx' : 'r+');
  try {
    for (const edit of edits) {
      if (edit.edit === 'write') {
        time = undefined;
        for (let done = 0; done < edit.bytes.length;)
          done += writeSync(file, edit.bytes, done, edit.bytes.length - done, edit.at + done);
      } else if (edit.edit === 'truncate') ftruncateSync(file, edit.size);
      else if (edit.edit === 'mode') last = edit.mode;
      else time = edit.time;
    }
  } finally {
    closeSync(file);
  }
  chmodSync(target, last & 0o7777);
  const written = time ?? Date.now() - REBOOT_MS;
  utimesSync(target, written / 1000, written / 1000);
}

/** All that can be reached, folders before what is in them; the root itself is left out. */
function visit(disk: Disk, state: Survivors, take: (path: string, node: Node) => void): void {
  const descend = (folder: Node, prefix: string): void => {
    const entries = [...entriesOf(disk, folder, state.namings)].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, node] of entries) {
      take(`${prefix}${name}`, node);
      if (node.kind === 'folder') descend(node, `${prefix}${name}/`);
    }
  };
  descend(disk.root, '');
}
