import { MlvError } from '../domain/errors.ts';
import { streamVerified } from '../storage/read-verified.ts';
import { fileAt } from './file-at.ts';
import type { Place } from './place.ts';
import { flagsOf, nothingAt, trackedAt } from './place.ts';
import type { VerbOptions } from './progress.ts';
import { openVersion } from './read-version.ts';
import { versionsBelow } from './version-at.ts';

/**
 * The bytes of a tracked file, from the cache, where they are fetched to first. Of a file of 8 MiB or more that is damaged in the
 * cache, this is told only after its last piece. Throws `is-a-folder`, `not-tracked`, `blob-corrupt`, and what `fileAt` throws.
 */
export async function* cat(place: Place, options: VerbOptions): AsyncGenerator<Buffer> {
  const around = await trackedAt(place);
  if (around === undefined) {
    const { workspace, commit, path } = place;
    const isFolder = (await versionsBelow(workspace, commit, path)).length > 0 || path === '';
    throw isFolder ? isAFolder(place) : nothingAt(place);
  }
  const reader = openVersion(place.workspace, around.version, options);
  try {
    const file = await fileAt(place, around, reader);
    if (file === 'folder') throw isAFolder(place);
    const location = reader.cache.locate(file.digest);
    if (location === undefined) throw new Error(`${file.path} has gone from the cache`);
    yield* streamVerified(location, file.digest);
  } finally {
    reader.close();
  }
}

function isAFolder(place: Place): MlvError {
  const { path } = place;
  const flags = flagsOf(place);
  const name = path === '' ? '.' : path;
  return new MlvError({
    code: 'is-a-folder',
    kind: 'refused',
    message: `${name} is a folder`,
    hint: `"mlv ls ${name}${flags}" lists what it holds, "mlv get ${name}${flags}" writes all of it to the disk.`,
  });
}
