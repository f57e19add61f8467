/** Which step of a command a change belongs to. */

const PHASES: readonly (readonly [RegExp, string])[] = [
  [/^project\/\.git\/mlv\/cache\/tmp\/partial-/, 'cache: large download'],
  [/^project\/\.git\/mlv\/cache\/tmp/, 'cache: bytes'],
  [/^project\/\.git\/mlv\/cache\/trash/, 'cache: trash'],
  [/^project\/\.git\/mlv\/cache\/packs/, 'cache: pack named'],
  [/^project\/\.git\/mlv\/cache\/b3/, 'cache: blob named'],
  [/^project\/\.git\/mlv\/cache\/index/, 'cache: index'],
  [/^project\/\.git\/mlv\/state/, 'stat cache'],
  [/^project\/\.git\/mlv\/checkout/, 'checkout record'],
  [/^project\/\.git\/mlv\/locks/, 'lock'],
  [/^project\/\.git\/mlv\/runs/, 'run record'],
  [/^project\/\.git\/mlv\/(claims|running)/, 'claim, mark of a run'],
  [/^project\/\.git\/mlv\/logs/, 'log of a stage'],
  [/^(project\/\.git\/mlv|store|bucket\/.*)\/damaged/, 'damage set aside'],
  [/^project\/\.git\/mlv/, 'notes of this clone'],
  [/^project\/\.git(\/|$)/, 'Git: index, objects'],
  [/^project\/mlv\.lock$/, 'lock file'],
  [/^project(\/(\.gitignore|[^/]*\.mlv|\.mlv-tmp-[^/]*))?$/, 'pointer, .gitignore'],
  [/^project/, 'workspace'],
  [/^store\/tmp/, 'remote: bytes'],
  [/^(store|bucket\/.*)\/(packs|objects)/, 'remote: pack, object'],
  [/^(store|bucket\/.*)\/index/, 'remote: index'],
  [/^(store|bucket\/.*)\/runs/, 'remote: run record'],
  [/^(store|bucket\/.*)\/gc/, 'remote: tombstone'],
  [/^(store|bucket)/, 'remote: other'],
];

/** Of a changed path, relative to the folder of a trial. */
export function phaseOf(path: string): string {
  return PHASES.find(([pattern]) => pattern.test(path))?.[1] ?? 'other';
}
