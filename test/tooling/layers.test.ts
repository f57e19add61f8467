import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FLOORS = ['domain', 'platform', 'storage', 'git', 'workspace', 'execution', 'cli'];
const BELOW_CLI = FLOORS.slice(0, -1);

/** A file to plant, and the rule that must report it; none where it must pass. */
interface Plant {
  readonly what: string;
  readonly floor: string;
  readonly code: string;
  readonly rule?: string;
  /** Where it is planted, for rules of one file; anywhere on its floor unless told. */
  readonly path?: string;
}

const IMPORTS = 'eslint(no-restricted-imports)';
const PROPERTIES = 'eslint(no-restricted-properties)';

const upward = FLOORS.flatMap((floor, height) =>
  FLOORS.filter((other) => other !== floor).map((other) => ({
    what: `import of ${other}`,
    floor,
    code: `export { value } from '../${other}/target.ts';\n`,
    ...(FLOORS.indexOf(other) > height ? { rule: IMPORTS } : {}),
  })),
);

const plants: Plant[] = [
  ...upward,
  ...['git', 'domain'].map((floor) => ({
    what: 'import of a type from above',
    floor,
    code: `import type { Value } from '../cli/target.ts';\nexport type Mine = Value;\n`,
    rule: IMPORTS,
  })),
  {
    what: 'lazy import from above',
    floor: 'storage',
    code: `export const later = () => import('../git/target.ts');\n`,
    rule: IMPORTS,
  },
  {
    what: 'import of tests',
    floor: 'cli',
    code: `export { value } from '../../test/target.ts';\n`,
    rule: IMPORTS,
  },
  ...['node:fs', 'node:fs/promises', 'node:path'].map((module) => ({
    what: `import of ${module}`,
    floor: 'domain',
    code: `export * from '${module}';\n`,
    rule: IMPORTS,
  })),
  {
    what: 'import of a built-in module without its prefix',
    floor: 'domain',
    code: `export * from 'path';\n`,
    rule: IMPORTS,
  },
  { what: 'import of node:fs', floor: 'platform', code: `export * from 'node:fs';\n` },
  ...['Date.now()', 'new Date()', 'performance.now()', 'setTimeout(String, 1)'].map((clock) => ({
    what: clock,
    floor: 'domain',
    code: `export const value = ${clock};\n`,
    rule: 'eslint(no-restricted-globals)',
  })),
  ...FLOORS.filter((floor) => floor !== 'git').map((floor) => ({
    what: 'import of isomorphic-git',
    floor,
    code: `export { log } from 'isomorphic-git';\n`,
    rule: IMPORTS,
  })),
  { what: 'import of isomorphic-git', floor: 'git', code: `export { log } from 'isomorphic-git';\n` },
  ...BELOW_CLI.flatMap((floor) => [
    { what: 'import of yargs', floor, code: `export { default } from 'yargs';\n`, rule: IMPORTS },
    { what: 'import of node:process', floor, code: `export { env } from 'node:process';\n`, rule: IMPORTS },
    { what: 'console', floor, code: `console.log(1);\n`, rule: 'eslint(no-console)' },
  ]),
  ...['argv', 'env', 'exitCode', 'stderr', 'stdin', 'stdout'].flatMap((property) =>
    BELOW_CLI.filter((floor) => floor !== 'domain').map((floor) => ({
      what: `process.${property}`,
      floor,
      code: `export const value = process.${property};\n`,
      rule: PROPERTIES,
    })),
  ),
  { what: 'process.exit', floor: 'workspace', code: `process.exit(1);\n`, rule: PROPERTIES },
  { what: 'process', floor: 'domain', code: `export const value = process;\n`, rule: 'eslint(no-restricted-globals)' },
  {
    what: 'destructured process.env',
    floor: 'git',
    code: `export const { env } = process;\n`,
    rule: PROPERTIES,
  },
  { what: 'process.platform', floor: 'platform', code: `export const value = process.platform;\n` },
  {
    what: 'console, process.env, process.exit',
    floor: 'cli',
    code: `console.log(process.env['HOME']);\nprocess.exit(1);\n`,
  },
  {
    what: 'process.env in the program of pods',
    floor: 'execution',
    code: `export const value = process.env['HOME'];\nprocess.on('SIGTERM', () => process.exit(1));\n`,
    path: 'src/execution/kubernetes/pod/main.ts',
  },
  {
    what: 'process.env beside the program of pods',
    floor: 'execution',
    code: `export const value = process.env;\n`,
    path: 'src/execution/kubernetes/pod/fetch.ts',
    rule: PROPERTIES,
  },
  {
    what: 'import from above in the program of pods',
    floor: 'execution',
    code: `export { value } from '../../../cli/target.ts';\n`,
    path: 'src/execution/kubernetes/pod/push.ts',
    rule: IMPORTS,
  },
  {
    what: 'promise that nobody awaits',
    floor: 'storage',
    code: `const later = async (): Promise<void> => {};\nlater();\n`,
    rule: 'typescript(no-floating-promises)',
  },
  {
    what: 'any',
    floor: 'storage',
    code: `export const value: any = 1;\n`,
    rule: 'typescript(no-explicit-any)',
  },
  {
    what: 'import cycle',
    floor: 'storage',
    code: `import { back } from './cycle.ts';\nexport const value = back;\n`,
    rule: 'import(no-cycle)',
  },
];

let folder: string;
let reports: Map<string, Set<string>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mlv-layers-'));
  cpSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  cpSync(join(root, 'tsconfig.json'), join(folder, 'tsconfig.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [index, plant] of plants.entries()) plantFile(plantPath(index, plant), plant.code);
  for (const floor of FLOORS) plantFile(`src/${floor}/target.ts`, 'export const value = 1;\nexport type Value = 1;\n');
  const cycle = plants.findIndex((plant) => plant.what === 'import cycle');
  plantFile('src/storage/cycle.ts', `import { value } from './plant-${cycle}.ts';\nexport const back = value;\n`);
  reports = await lint();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(FLOORS)('the linter in src/%s', (floor) => {
  const here = plants.map((plant, index) => ({ ...plant, index })).filter((plant) => plant.floor === floor);

  test.each(here.filter((plant) => plant.rule !== undefined))('reports: $what', (plant) => {
    expect([...(reports.get(plantPath(plant.index, plant)) ?? [])]).toContain(plant.rule);
  });

  test.each(here.filter((plant) => plant.rule === undefined))('allows: $what', (plant) => {
    expect([...(reports.get(plantPath(plant.index, plant)) ?? [])]).toEqual([]);
  });
});

test('nothing in src/domain is asynchronous', () => {
  const domain = join(root, 'src/domain');
  const files = readdirSync(domain).filter((name) => name.endsWith('.ts'));
  const asynchronous = files.filter((name) =>
    /^(?! *(\*|\/)).*\b(async|await|Promise)\b/m.test(readFileSync(join(domain, name), 'utf8')),
  );
  expect(asynchronous).toEqual([]);
});

test('every folder in src is a floor that the linter knows', () => {
  expect(readdirSync(join(root, 'src')).filter((name) => !FLOORS.includes(name))).toEqual([]);
});

function plantPath(index: number, plant: Plant): string {
  return plant.path ?? `src/${plant.floor}/plant-${index}.ts`;
}

function plantFile(path: string, code: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), code);
}

/** Runs the linter once over all plants; the rules it reports for each file. */
async function lint(): Promise<Map<string, Set<string>>> {
  const stdout = await new Promise<string>((resolve, reject) => {
    const linter = join(root, 'node_modules/oxlint/bin/oxlint');
    execFile(
      process.execPath,
      [linter, '--format', 'json'],
      { cwd: folder, maxBuffer: 1 << 26 },
      (error, output, errors) => {
        if (output.startsWith('{')) resolve(output);
        else reject(new Error(`oxlint: ${output}${errors}`, { cause: error }));
      },
    );
  });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
  const found = new Map<string, Set<string>>();
  for (const { code, filename } of diagnostics) {
    found.set(filename, (found.get(filename) ?? new Set()).add(code));
  }
  return found;
}
