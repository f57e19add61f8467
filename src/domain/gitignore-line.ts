/**
 * Lines of `.gitignore` that match one name in the same folder and nothing else. The rules are Git's (`add_patterns_from_buffer`
 * and `trim_trailing_spaces` in dir.c, wildmatch.c). A leading slash anchors the name, and takes the meaning from a leading `#` or `!`.
 */
const SPECIAL = /[*?[\\]/g;
const TRAILING_SPACES = / +$/;
/** A line cannot hold a newline, and loses a carriage return at its end; no class but this one holds them. */
const LINE_BREAKS = /[\r\n]/g;
const ANY_CONTROL_CHARACTER = '[[:cntrl:]]';

/** The line, without its end, that ignores the file or folder `name` beside the `.gitignore`. */
export function ignoreLineFor(name: string): string {
  const escaped = name.replace(SPECIAL, '\\$&').replace(TRAILING_SPACES, (spaces) => '\\ '.repeat(spaces.length));
  return `/${escaped.replace(LINE_BREAKS, ANY_CONTROL_CHARACTER)}`;
}

/** The text with a line for `name` at its end, in the line endings that it has; the same text when the line is there. */
export function addIgnoreLine(text: string, name: string): string {
  const line = ignoreLineFor(name);
  if (linesOf(text).includes(line)) return text;
  const end = /\r?\n/.exec(text)?.[0] ?? '\n';
  // A text that ends without a newline goes on doing so: the rest of it stays as it is.
  return text === '' || text.endsWith('\n') ? text + line + end : text + end + line;
}

/** The text without the lines that `addIgnoreLine` makes for `name`, everything else kept. */
export function removeIgnoreLine(text: string, name: string): string {
  const line = ignoreLineFor(name);
  const kept = text.split(/(?<=\n)/).filter((whole) => withoutEnd(whole) !== line);
  const rest = kept.join('');
  if (rest.length === text.length || text.endsWith('\n')) return rest;
  const last = text.slice(text.lastIndexOf('\n') + 1);
  return last === line ? rest.replace(/\r?\n$/, '') : rest;
}

function linesOf(text: string): string[] {
  return text.split('\n').map(withoutEnd);
}

function withoutEnd(line: string): string {
  return line.replace(/\r?\n?$/, '');
}
