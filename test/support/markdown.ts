/** What the tests of the documentation read in its pages. */

/** A fenced block: its language, the words after that (`exits=1`), and where it begins. */
export interface CodeBlock {
  readonly language: string;
  readonly flags: Readonly<Record<string, string>>;
  /** Without the last line break. */
  readonly text: string;
  /** Of the fence, counted from 1. */
  readonly line: number;
  /** The heading above it. */
  readonly section: string;
}

/** A line outside of fenced blocks. */
interface ProseLine {
  readonly text: string;
  readonly line: number;
}

/** The fenced blocks of a page, in order. Throws where a fence is left open. */
export function codeBlocks(markdown: string): CodeBlock[] {
  return parse(markdown).blocks;
}

/** The names that GitHub gives to headings. */
export function anchorsOf(markdown: string): Set<string> {
  const headings = parse(markdown).prose.flatMap(({ text }) => headingOf(text) ?? []);
  return new Set(headings.map((heading) => slug(heading)));
}

/** Targets of links and images, `code` left out. */
export function linksOf(markdown: string): { readonly target: string; readonly line: number }[] {
  return parse(markdown).prose.flatMap(({ text, line }) =>
    [...text.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ target, line })),
  );
}

/** What stands between single backticks, line by line. */
export function codeSpans(markdown: string): ProseLine[] {
  return parse(markdown).prose.flatMap(({ text, line }) =>
    [...text.matchAll(/`([^`]+)`/g)].map(([, span = '']) => ({ text: span, line })),
  );
}

function parse(markdown: string): { readonly blocks: CodeBlock[]; readonly prose: ProseLine[] } {
  const blocks: CodeBlock[] = [];
  const prose: ProseLine[] = [];
  let open: (Omit<CodeBlock, 'text'> & { readonly lines: string[] }) | undefined;
  let section = '';
  for (const [index, text] of markdown.split('\n').entries()) {
    const line = index + 1;
    if (open !== undefined) {
      if (text === '```') {
        const { lines, ...block } = open;
        blocks.push({ ...block, text: lines.join('\n') });
        open = undefined;
      } else {
        open.lines.push(text);
      }
    } else if (text.startsWith('```')) {
      const [language = '', ...words] = text.slice(3).split(' ');
      const flags = Object.fromEntries(words.map((word) => word.split('=')));
      open = { language, flags, line, section, lines: [] };
    } else {
      section = headingOf(text) ?? section;
      prose.push({ text, line });
    }
  }
  if (open !== undefined) throw new Error(`the block that begins in line ${open.line} has no end`);
  return { blocks, prose };
}

function headingOf(text: string): string | undefined {
  return /^#+ (.+)$/.exec(text)?.[1];
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}
