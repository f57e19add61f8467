/**
 * Which names may stand in trees and pointers. Git's own rules for what could be taken for `.git` on some file system
 * (`verify_path` in read-cache.c, `is_ntfs_dotgit` in path.c, `is_hfs_dotgit` in utf8.c), applied to `.mlv` as well.
 * Checks return the reason in words, undefined when all is well: the caller knows what to name in its error.
 */

const MAX_SEGMENT_BYTES = 255;
const MAX_PATH_BYTES = 4096;

/**
 * Printable ASCII without slash, colon, backslash and tilde, not starting with a dot: nothing else needs a closer look.
 * Most names are of this kind, and there are millions.
 */
const PLAIN_SEGMENT = /^[ -\-0-9;-[\]-}][ -.0-9;-[\]-}]*$/;
const PLAIN_PATH = /^[ -\-0-9;-[\]-}][ -.0-9;-[\]-}]*(?:\/[ -\-0-9;-[\]-}][ -.0-9;-[\]-}]*)*$/;

const LONE_SURROGATE = /\p{Surrogate}/u;
/** HFS+ and case-folding ext4 do not see these when they compare names. */
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;
/** NTFS drops trailing dots and spaces, opens a stream after a colon, and has the short names `GIT~1` and `MLV~1`. */
const RESERVED = /^(?:\.(?:git|mlv)|(?:git|mlv)~1)[. ]*(?::|$)/i;
const DRIVE_PREFIX = /^[A-Za-z]:/;
const NOT_ASCII = /[^\x00-\x7f]/;

/** Why one name between slashes is refused, in words that follow a colon; undefined when it is allowed. */
export function checkSegment(segment: string): string | undefined {
  if (segment.length <= MAX_SEGMENT_BYTES && PLAIN_SEGMENT.test(segment)) return undefined;
  if (segment === '') return 'a name in it is empty';
  if (segment === '.' || segment === '..') return `"${segment}" is not a name`;
  if (segment.includes('/')) return 'a name may not contain a slash';
  if (segment.includes('\\')) return 'a name may not contain a backslash';
  if (segment.includes('\0')) return 'a name may not contain NUL';
  if (LONE_SURROGATE.test(segment)) return 'a name is not valid Unicode';
  if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) return `a name is longer than ${MAX_SEGMENT_BYTES} bytes`;
  if (isReserved(segment)) return `${JSON.stringify(segment)} could be taken for a folder of Git or mlv`;
  if (DRIVE_PREFIX.test(segment)) return `${JSON.stringify(segment)} starts like a drive`;
  return undefined;
}

/** Why a relative POSIX path is refused, in words that follow a colon; undefined when it is allowed. */
export function checkPath(path: string): string | undefined {
  if (path.length <= MAX_SEGMENT_BYTES && PLAIN_PATH.test(path)) return undefined;
  if (path === '') return 'it is empty';
  if (path.startsWith('/')) return 'it is absolute';
  if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return `it is longer than ${MAX_PATH_BYTES} bytes`;
  }
  for (const segment of path.split('/')) {
    const reason = checkSegment(segment);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/**
 * Why a symlink's target is refused, in words that follow a comma; undefined when it is allowed. `depth` is the number of
 * folders between the dataset's root and the link: `a/b/link` has 2. Only leading `../` may climb, so that no chain of
 * links that each pass this check can lead out.
 */
export function checkSymlinkTarget(target: string, depth: number): string | undefined {
  let climbed = 0;
  while (target.startsWith('../', climbed * 3)) climbed++;
  if (climbed > depth) return 'which leads out of the dataset';
  const reason = checkPath(target.slice(climbed * 3));
  if (reason !== undefined) return `which is not "../" and then plain names: ${reason}`;
  if (Buffer.byteLength(target) > MAX_PATH_BYTES) return `which is longer than ${MAX_PATH_BYTES} bytes`;
  return undefined;
}

/**
 * The same for all paths that a disk without regard for case and normalisation (NTFS, APFS, HFS+) may take for one.
 * Unicode's canonical caseless match, with lower then upper case standing in for full case folding.
 */
export function collisionKey(path: string): string {
  if (!NOT_ASCII.test(path)) return path.toUpperCase();
  return path.normalize('NFD').toLowerCase().toUpperCase().normalize('NFC');
}

function isReserved(segment: string): boolean {
  return RESERVED.test(NOT_ASCII.test(segment) ? segment.replace(IGNORABLE, '') : segment);
}
