/** A part of a text file that mlv writes, between two comments; all else is somebody's own and stays as it is, byte for byte. */
const BEGIN = '# mlv: begin';
const END = '# mlv: end';
/** Beside the first comment, where the line before it had no end. */
const JOINED = ' (the line above had no end)';

const BLOCK = new RegExp(`(\\n?)^${BEGIN}(${escape(JOINED)})?\\n((?:(?!${BEGIN})[^\\n]*\\n)*?)^${END}(?:\\n|$)`, 'm');

/** The lines of the block; undefined where there is none. */
export function markedBlock(text: string): string | undefined {
  return BLOCK.exec(text)?.[3];
}

/** The text with these lines (each with its end) as the block, at the end if it had none. */
export function withMarkedBlock(text: string, lines: string): string {
  const match = BLOCK.exec(text);
  if (match !== null) {
    const [whole, before = '', joined = ''] = match;
    return text.replace(whole, () => `${before}${BEGIN}${joined}\n${lines}${END}\n`);
  }
  const isOpen = text !== '' && !text.endsWith('\n');
  return `${text}${isOpen ? '\n' : ''}${BEGIN}${isOpen ? JOINED : ''}\n${lines}${END}\n`;
}

/** The text as it was without the block. */
export function withoutMarkedBlock(text: string): string {
  return text.replace(BLOCK, (_, before: string, joined: string | undefined) => (joined === undefined ? before : ''));
}

function escape(text: string): string {
  return text.replaceAll(/[()]/g, String.raw`\$&`);
}
