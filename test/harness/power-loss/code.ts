/** mlv, bundled with a map back to its sources, so that a flush that was recorded can be told by its place there. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));
/** Functions that do for others what these could do themselves: the place is where they are called. */
const ON_BEHALF = ['fsyncFolder', 'syncFolder', 'replaceFile'];
/** More of these, where it is asked what each flush is good for that somebody has them make. */
const FOR_CALLERS = [
  'writeFileDurably',
  'makeFolderDurably',
  'removeFileDurably',
  'writeText',
  'editIgnoreFile',
  'announceCheckoutRecord',
  'writeCheckoutRecord',
];

export interface Code {
  /** Where the bundle is; sites are relative to it. */
  readonly folder: string;
  readonly main: string;
  /** `src/storage/pack-writer.ts:91`, for frames of the bundle, innermost first. */
  placeOf(site: readonly string[]): string;
}

/** `byCaller`: the place of a flush that a function makes for any file is where that was called. */
export async function bundleCode(within: string, { byCaller }: { readonly byCaller: boolean }): Promise<Code> {
  const onBehalf = new Set([...ON_BEHALF, ...(byCaller ? FOR_CALLERS : [])]);
  const folder = join(within, 'code/dist');
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(PROJECT, 'node_modules'), join(within, 'code/node_modules'));
  for (const [name, entry] of [
    ['main', 'src/cli/main.ts'],
    ['worker', 'src/storage/worker.ts'],
  ] as const) {
    await build({
      cwd: PROJECT,
      input: { [name]: entry },
      platform: 'node',
      logLevel: 'silent',
      // Ink cannot be CommonJS, and nothing here has a terminal.
      external: [/^node:/, '@napi-rs/blake-hash', /\/screen\.ts$/],
      output: {
        dir: folder,
        format: 'cjs',
        entryFileNames: '[name].js',
        chunkFileNames: `${name}-[name]-[hash].js`,
        sourcemap: true,
      },
    });
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  const maps = new Map<string, { readonly map: SourceMap; readonly lines: Map<string, string[]> }>();

  function sourceOf(
    frame: string,
  ): { readonly file: string; readonly line: number; readonly text: string } | undefined {
    const [name = '', line = '', column = ''] = frame.split(':');
    let known = maps.get(name);
    if (known === undefined) {
      known = { map: new SourceMap(JSON.parse(readFileSync(join(folder, `${name}.map`), 'utf8'))), lines: new Map() };
      maps.set(name, known);
    }
    const entry = known.map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in entry)) return undefined;
    const file = /(src\/.*)$/.exec(entry.originalSource)?.[1];
    if (file === undefined) return undefined;
    const lines = known.lines.get(file) ?? readFileSync(join(PROJECT, file), 'utf8').split('\n');
    known.lines.set(file, lines);
    return { file, line: entry.originalLine + 1, text: lines[entry.originalLine] ?? '' };
  }

  const places = new Map<string, string>();
  return {
    folder,
    main: join(folder, 'main.js'),
    placeOf(site) {
      const key = site.join(' ');
      let place = places.get(key);
      if (place === undefined) {
        place = placeAmong(site, sourceOf, onBehalf);
        places.set(key, place);
      }
      return place;
    },
  };
}

function placeAmong(
  site: readonly string[],
  sourceOf: (frame: string) => { readonly file: string; readonly line: number; readonly text: string } | undefined,
  onBehalf: ReadonlySet<string>,
): string {
  for (const frame of site) {
    const source = sourceOf(frame);
    if (source === undefined || onBehalf.has(functionAt(source.file, source.line) ?? '')) continue;
    return `${source.file}:${source.line}`;
  }
  return 'unknown';
}

/** The function of a module in whose body a line is. */
function functionAt(file: string, line: number): string | undefined {
  const lines = readFileSync(join(PROJECT, file), 'utf8').split('\n');
  for (let at = line - 1; at >= 0; at--) {
    const name = /^(?:export )?(?:async )?function (\w+)/.exec(lines[at] ?? '')?.[1];
    if (name !== undefined) return name;
  }
  return undefined;
}
