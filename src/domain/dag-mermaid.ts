import type { Dag, DagNode } from './dag.ts';

/**
 * Lines of a flowchart in Mermaid's language, which Markdown on GitHub and GitLab shows drawn. The name of a node follows from its id
 * alone, so that what is added elsewhere changes no other line.
 */
export function dagMermaid({ nodes, edges }: Dag): string[] {
  const names = new Map(nodes.map((node) => [node.id, nameOf(node)]));
  return [
    'flowchart TD',
    ...nodes.map((node) => {
      const label = `"${escaped(node.id)}${node.isFrozen ? ' (frozen)' : ''}"`;
      return `    ${nameOf(node)}${node.kind === 'stage' ? `[${label}]` : `(${label})`}`;
    }),
    ...edges.map(({ from, to }) => `    ${names.get(from)} --> ${names.get(to)}`),
  ];
}

/** Letters and digits stay, `_` is doubled, all else becomes its code: no two ids share a name, and none is a word of the language. */
function nameOf({ kind, id }: DagNode): string {
  const coded = id.replace(/[^A-Za-z0-9]/gu, (character) =>
    character === '_' ? '__' : `_${character.codePointAt(0)?.toString(16)}_`,
  );
  return `${kind}_${coded}`;
}

/** What could end the label, or be read as HTML or Markdown, by its code. */
function escaped(text: string): string {
  return text.replace(/["#&<>`*\\\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => `#${character.codePointAt(0)};`);
}
