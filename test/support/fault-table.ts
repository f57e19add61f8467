/** The table of faults in docs/operations.md: written by the run that measured it, read by the test that compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('../../docs/operations.md', import.meta.url));
const BLOCK = /(<!-- faults: written by npm run test:faults -->\n)(.*?)(<!-- end of faults -->)/s;
const HEADS = ['fault', 'exit', 'message', 'requests', 'seconds', 'bytes lost', 'wrong bytes accepted'];

export interface TableRow {
  readonly verb: string;
  readonly fault: string;
  readonly exit: string;
  readonly message: string;
  readonly requests: string;
  readonly seconds: string;
  readonly lost: string;
  readonly wrong: string;
}

/** The rows on the page. */
export function readTable(): TableRow[] {
  const [, , block = ''] = BLOCK.exec(readFileSync(PAGE, 'utf8')) ?? [];
  const rows: TableRow[] = [];
  let verb = '';
  for (const line of block.split('\n')) {
    verb = /^`mlv (\w+)`/.exec(line)?.[1] ?? verb;
    const cells =
      /^\| (.*) \|$/
        .exec(line)?.[1]
        ?.split(' | ')
        .map((cell) => cell.trim()) ?? [];
    const [fault = '', exit = '', message = '', requests = '', seconds = '', lost = '', wrong = ''] = cells;
    if (!/^\d+$/.test(exit)) continue;
    rows.push({ verb, fault, exit, message, requests, seconds, lost, wrong });
  }
  return rows;
}

/** Writes them to the page; `introduction` tells of each verb what it takes without a fault. */
export function writeTable(rows: readonly TableRow[], introduction: ReadonlyMap<string, string>): void {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  let block = '\n';
  for (const [verb, told] of introduction) {
    block += `\`mlv ${verb}\` (${told})\n\n${line(HEADS)}${line(HEADS.map(() => '---'))}`;
    for (const each of rows.filter((row) => row.verb === verb)) {
      const { fault, exit, message, requests, seconds, lost, wrong } = each;
      block += line([fault, exit, message, requests, seconds, lost, wrong]);
    }
    block += '\n';
  }
  const page = readFileSync(PAGE, 'utf8');
  if (!BLOCK.test(page)) throw new Error(`${PAGE} has no place for the table`);
  writeFileSync(
    PAGE,
    page.replace(BLOCK, (_, start: string, _old, end: string) => `${start}${block}${end}`),
  );
}
