import { MlvError } from './errors.ts';
import { VERSION } from './version.ts';

/** The error for a file whose format is of a version that this mlv cannot read. `place` names the file, and the line where known. */
export function laterVersion(kind: 'pointer' | 'config', place: string, version: number): MlvError {
  return new MlvError({
    code: `${kind}-version`,
    kind: 'unsupported',
    message: `${place}: made by a later mlv: its format is version ${version}, and mlv ${VERSION} reads version 0`,
    hint: 'Install a newer mlv: npm install -g mlv@latest',
  });
}
