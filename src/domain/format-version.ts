import { MlvError } from './errors.ts';
import { VERSION } from './version.ts';

/** What to do about a format that this mlv does not read. */
export const NEWER_MLV = 'Install a newer mlv: npm install -g mlv@latest';

/**
 * The error (`KIND-version`) for a format of a version that this mlv does not read. `place` names the file or object, and the
 * line where known.
 */
export function otherVersion(
  kind:
    | 'pointer'
    | 'config'
    | 'lock'
    | 'index'
    | 'tree'
    | 'pack'
    | 'remote'
    | 'run-record'
    | 'cluster-task'
    | 'cluster-result',
  place: string,
  { version, reads }: { readonly version: number; readonly reads: number },
): MlvError {
  return new MlvError({
    code: `${kind}-version`,
    kind: 'unsupported',
    message: `${place}: its format is version ${version}, and mlv ${VERSION} reads version ${reads}`,
    hint: version > reads ? NEWER_MLV : 'It is from before the formats were final: add the data again.',
  });
}
