/** The bytes of a dump: lines of an offset and hexadecimal digits. */
export function parseHexDump(text: string): Buffer {
  return Buffer.from(text.replace(/^[0-9a-f]+ {2}/gm, '').replace(/\s/g, ''), 'hex');
}
