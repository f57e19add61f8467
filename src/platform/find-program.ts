import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program of this name is in a PATH; undefined where it is nowhere. */
export function findProgram(name: string, path: string): string | undefined {
  const file = delimiter === ';' ? `${name}.exe` : name;
  // An empty entry would mean the current folder, which nobody should run programs from.
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, file))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
