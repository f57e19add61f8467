/** As much XML as S3's requests and answers use. */
import { s3Error } from './errors.ts';

/** What an element of an answer holds: text, elements, or several elements of one name. */
export type XmlValue = string | number | boolean | { readonly [name: string]: XmlValue | XmlValue[] | undefined };

export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const TOKEN =
  /<\?xml[^?]*\?>\s*|<!--[^]*?-->|<(\/?)([A-Za-z_][\w.:-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** An answer: one root element in S3's namespace. `Error` has none. */
export function xmlDocument(root: string, value: XmlValue): string {
  const open = root === 'Error' ? `<${root}>` : `<${root} xmlns="${NAMESPACE}">`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${open}${content(value)}</${root}>`;
}

/** Reads a request. Throws MalformedXML where it is not well-formed, or its root is called otherwise. */
export function parseXml(text: string, root: string): XmlElement {
  const malformed = (): Error => s3Error('MalformedXML');
  interface Open {
    name: string;
    text: string;
    children: XmlElement[];
  }
  const stack: Open[] = [{ name: '', text: '', children: [] }];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    const top = stack.at(-1);
    if (match === null || top === undefined) throw malformed();
    const [, closing, name, , selfClosing, words] = match;
    if (words !== undefined) top.text += unescape(words);
    else if (name === undefined) continue;
    else if (closing === '/') {
      const parent = stack.at(-2);
      if (name !== top.name || parent === undefined) throw malformed();
      parent.children.push(top);
      stack.pop();
    } else {
      const element = { name, text: '', children: [] };
      if (selfClosing === '/') top.children.push(element);
      else stack.push(element);
    }
  }
  const [document] = stack;
  const [element, ...others] = document?.children ?? [];
  if (stack.length !== 1 || element?.name !== root || others.length > 0 || document?.text.trim() !== '') {
    throw malformed();
  }
  return element;
}

/** The text of the only child of a name; undefined where there is none. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

function content(value: XmlValue): string {
  if (typeof value !== 'object') return escape(String(value));
  let text = '';
  for (const name of Object.keys(value)) {
    const held = value[name];
    if (held === undefined) continue;
    for (const each of Array.isArray(held) ? held : [held]) text += `<${name}>${content(each)}</${name}>`;
  }
  return text;
}

function escape(text: string): string {
  // Control characters are references that no XML 1.0 parser takes: S3 sends them all the same.
  return text.replaceAll(/[&<>"\r\0-\x08\x0b\x0c\x0e-\x1f]/g, (character) => {
    const named = Object.entries(ENTITIES).find(([, plain]) => plain === character)?.[0];
    return named === undefined ? `&#x${character.charCodeAt(0).toString(16)};` : `&${named};`;
  });
}

function unescape(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(/&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(\w+));|&/g, (_, hex, decimal, name) => {
    const named = typeof name === 'string' ? ENTITIES[name] : undefined;
    if (named !== undefined) return named;
    const point = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number.parseInt(String(decimal), 10);
    if (!(point <= 0x10ffff)) throw s3Error('MalformedXML');
    return String.fromCodePoint(point);
  });
}
