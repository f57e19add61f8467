import type { Dag } from './dag.ts';

/** Lines of a graph in the language of Graphviz: `mlv dag --format dot | dot -Tsvg`. */
export function dagDot({ nodes, edges }: Dag): string[] {
  return [
    'digraph {',
    '  node [shape=box]',
    ...nodes.map(({ id, kind, isFrozen }) => {
      const style = [...(kind === 'output' ? ['rounded'] : []), ...(isFrozen ? ['dashed'] : [])];
      return `  ${quoted(id)}${style.length === 0 ? '' : ` [style="${style.join(',')}"]`}`;
    }),
    ...edges.map(({ from, to }) => `  ${quoted(from)} -> ${quoted(to)}`),
    '}',
  ];
}

/** Ids are labels, too: there a backslash begins an escape, and `&` a name of HTML. */
function quoted(id: string): string {
  const text = id
    .replace(/\\/g, '\\\\')
    .replace(/"/g, '\\"')
    .replace(/&/g, '&amp;')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => `&#${character.codePointAt(0)};`);
  return `"${text}"`;
}
