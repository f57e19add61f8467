import { formatDigest } from '../../domain/digest.ts';
import type { ListedEntry } from '../../workspace/ls.ts';
import { ls as list } from '../../workspace/ls.ts';
import type { Row } from '../command.ts';
import { defineCommand } from '../command.ts';
import { formatBytes, visible } from '../format.ts';
import { atPlace, PLACE_OPTIONS, REPO_DETAILS } from '../place.ts';

export const ls = defineCommand({
  details: [
    'Lists what is tracked, here, at any revision, or in another repository: of a folder that is not tracked itself, the tracked paths in it and the folders that lead to others; in a tracked folder, what it holds. Nothing has to be checked out, and only the pages that tell it are fetched.',
    'With --size the bytes of each come first (of a folder, those of all below it), and what it is: f a file, x an executable one, l a symlink, d a folder.',
    REPO_DETAILS,
  ],
  positionals: { path: { value: 'PATH', about: 'a folder or file; the current folder when none is given' } },
  options: {
    ...PLACE_OPTIONS,
    recursive: { type: 'boolean', short: 'R', about: 'everything below, not one level' },
    size: { type: 'boolean', about: 'the size and kind of each, too' },
  },
  example: { command: 'mlv ls data --rev v1.0 --size', about: 'Shows what data held at the tag v1.0' },
  streams: true,
  async run(args, context) {
    return atPlace('ls', args, context, async (place) => {
      const sum = { entries: 0, files: 0, bytes: 0 };
      for await (const entry of list(place, { ...context.verb, isRecursive: args.recursive })) {
        sum.entries += 1;
        sum.files += entry.files ?? 1;
        sum.bytes += entry.size;
        await context.emit(rowOf(entry, args.size === true));
      }
      const { path, commit } = place;
      return {
        data: { path, ...(commit !== undefined && { commit }), ...sum },
        text: () => (sum.entries === 0 && path === '' ? ['Nothing is tracked here'] : []),
      };
    });
  },
});

function rowOf(entry: ListedEntry, isSized: boolean): Row {
  const { path, type, size, files, hash, isExecutable, isTracked } = entry;
  return {
    data: {
      path,
      type,
      size,
      ...(files !== undefined && { files }),
      ...(hash !== undefined && { hash: formatDigest(hash) }),
      ...(isExecutable && { executable: true }),
      ...(isTracked && { tracked: true }),
    },
    text: () => {
      const name = visible(entry.name) + (type === 'folder' ? '/' : '');
      return [isSized ? `${formatBytes(size).padStart(6)}  ${letterOf(entry)}  ${name}` : name];
    },
  };
}

function letterOf({ type, isExecutable }: ListedEntry): string {
  return type === 'folder' ? 'd' : type === 'symlink' ? 'l' : isExecutable ? 'x' : 'f';
}
