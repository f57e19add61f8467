import { readFileSync } from 'node:fs';
import { hasErrorCode } from '../domain/errors.ts';

/** Settings of one Git configuration file: `section.key` or `section.subsection.key`, section and key in lower case; the last one counts. */
export type GitConfigValues = ReadonlyMap<string, string>;

/**
 * Reads one Git configuration file without following includes: for the few settings that say what kind of repository this
 * is, which Git itself takes from this file alone. Empty where the file does not exist.
 */
export function readGitConfigFile(path: string): GitConfigValues {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return new Map();
    throw error;
  }
  return parseGitConfig(text);
}

/** Parses Git's configuration syntax (git-config(1), "Syntax"). Lines it cannot read are passed over. */
export function parseGitConfig(text: string): GitConfigValues {
  const values = new Map<string, string>();
  let section = '';
  for (const line of text
    .replace(/^\uFEFF/, '')
    .replace(/(?<!\\)((?:\\\\)*)\\\r?\n/g, '$1')
    .split(/\r?\n/)) {
    const header = /^\s*\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]/.exec(line);
    if (header !== null) {
      const subsection = header[2]?.replace(/\\(.)/g, '$1');
      section = (header[1] ?? '').toLowerCase() + (subsection === undefined ? '' : `.${subsection}`);
    }
    const setting = /^\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=(.*))?$/.exec(
      header === null ? line : line.slice(header[0].length),
    );
    if (setting === null) continue;
    // A key alone means true.
    values.set(
      `${section}.${(setting[1] ?? '').toLowerCase()}`,
      setting[2] === undefined ? 'true' : unquote(setting[2]),
    );
  }
  return values;
}

/** True for the spellings of true that Git accepts. */
export function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(true|yes|on|0*[1-9][0-9]*)$/i.test(value);
}

function unquote(raw: string): string {
  const escapes: Record<string, string> = { n: '\n', t: '\t', b: '\b' };
  let value = '';
  let kept = 0; // white space after this length is outside quotes, dropped when it turns out to be trailing
  let quoted = false;
  for (let at = 0; at < raw.length; at++) {
    const char = raw.charAt(at);
    if (char === '"') {
      quoted = !quoted;
      kept = value.length;
    } else if (char === '\\') {
      const next = raw.charAt(++at);
      value += escapes[next] ?? next;
      kept = value.length;
    } else if (!quoted && (char === '#' || char === ';')) {
      break;
    } else if (!quoted && /\s/.test(char)) {
      if (value !== '') value += char;
    } else {
      value += char;
      kept = value.length;
    }
  }
  return value.slice(0, kept);
}
