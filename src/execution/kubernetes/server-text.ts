/** Text from servers and programs, as messages may show it. */

const LONGEST = 2_000;

/** On one line, without control characters and colours, of a bounded length. */
export function printable(text: string): string {
  const line = text
    .slice(0, 4 * LONGEST)
    .replaceAll(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
    .replaceAll(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
    .trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

/** Without what looks like a token or a key: long words without blanks, of letters and digits, and what follows "token:", "Bearer" and their like. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/\b(bearer|basic|token|password|secret)(["']?\s*[:=]?\s*["']?)[^\s"',;]{8,}/gi, '$1$2…')
    .replaceAll(/[\w+/=-]{20,}\.[\w+/=.-]{20,}|[\w+/=-]{60,}/g, '…');
}
