/** A project with stages, run by the real program; commands note in a file, which no stage knows of, that they ran. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openWorkspace } from '../../src/workspace/open.ts';
import type { TestRepository } from './git.ts';
import type { MlvOptions, MlvResult, MlvRig, RunningMlv } from './mlv.ts';
import { digestOf } from './trees.ts';

/** As in `mlv.yaml`, of which JSON is a part. */
export type Stages = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export interface TestPipeline extends TestRepository {
  /** What commands find in `$RUNS`: where `noting` writes. */
  readonly runsFile: string;
  mlv(args: readonly string[], options?: MlvOptions): Promise<MlvResult>;
  start(args: readonly string[], options?: MlvOptions): RunningMlv;
  /** Writes `mlv.yaml`, or that of a folder. */
  stages(stages: Stages, file?: string): void;
  /** `mlv repro`: what became of each stage, by id. Throws when it fails. */
  repro(...args: string[]): Promise<Record<string, string>>;
  /** `mlv plan`: what would become of each stage. */
  plan(...args: string[]): Promise<Record<string, string>>;
  /** Why each stage would run, in words; those with no reason are left out. */
  reasons(...args: string[]): Promise<Record<string, string[]>>;
  /** The stages whose commands ran since this was last asked, in order. */
  ran(): string[];
  read(path: string): string | undefined;
  /** Whether the cache has a file with this content. */
  isKept(content: string): Promise<boolean>;
}

/** A command that notes the name of its stage first. */
export function noting(name: string, command: string): string {
  return `echo ${name} >> "$RUNS" && ${command}`;
}

/** A stage that joins its inputs. */
export function joining(name: string, deps: readonly string[], out: string): Readonly<Record<string, unknown>> {
  return { cmd: noting(name, `cat ${deps.join(' ')} > ${out}`), deps, outs: [out] };
}

export async function makePipeline(rig: MlvRig, name: string, stages: Stages = {}): Promise<TestPipeline> {
  const pipeline = pipelineIn(rig, await rig.project(name), name);
  pipeline.stages(stages);
  return pipeline;
}

/** An existing work tree: a clone, say. */
export function pipelineIn(rig: MlvRig, repository: TestRepository, name: string): TestPipeline {
  const { root, write } = repository;
  const runsFile = join(rig.folder, `${name.replaceAll('/', '-')}-runs`);
  const withRuns = (options: MlvOptions = {}): MlvOptions => ({ ...options, env: { RUNS: runsFile, ...options.env } });
  const pipeline: TestPipeline = {
    ...repository,
    runsFile,
    mlv: (args, options) => rig.mlv(root, args, withRuns(options)),
    start: (args, options) => rig.start(root, args, withRuns(options)),
    stages: (all, file = 'mlv.yaml') => write({ [file]: JSON.stringify({ stages: all }, undefined, 1) }),
    async repro(...args) {
      const { code, stdout, stderr } = await pipeline.mlv(['repro', '--json', ...args]);
      if (code !== 0) throw new Error(`mlv repro ${args.join(' ')} exited with ${code}:\n${stdout}${stderr}`);
      return outcomesIn(stdout);
    },
    async plan(...args) {
      return Object.fromEntries((await planned(pipeline, args)).map(({ stage, action }) => [stage, action]));
    },
    async reasons(...args) {
      const stale = (await planned(pipeline, args)).filter(({ reasons }) => reasons.length > 0);
      return Object.fromEntries(stale.map(({ stage, reasons }) => [stage, reasons.map(({ text }) => text)]));
    },
    ran() {
      if (!existsSync(runsFile)) return [];
      const names = readFileSync(runsFile, 'utf8').trimEnd().split('\n');
      rmSync(runsFile);
      return names;
    },
    async isKept(content) {
      const workspace = await openWorkspace({ cwd: root, environment: repository.env });
      try {
        return workspace.cache().has(digestOf(content));
      } finally {
        await workspace.close();
      }
    },
    read: (path) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined),
  };
  return pipeline;
}

/** By stage, from the rows of `mlv repro --json`. */
export function outcomesIn(stdout: string): Record<string, string> {
  const rows = stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { stage?: string; type?: string });
  return Object.fromEntries(rows.flatMap(({ stage, type = '' }) => (stage === undefined ? [] : [[stage, type]])));
}

interface Planned {
  readonly stage: string;
  readonly action: string;
  readonly reasons: readonly { readonly text: string }[];
}

async function planned(pipeline: TestPipeline, args: readonly string[]): Promise<readonly Planned[]> {
  const { code, stdout, stderr } = await pipeline.mlv(['plan', '--json', ...args]);
  if (code !== 0) throw new Error(`mlv plan ${args.join(' ')} exited with ${code}:\n${stdout}${stderr}`);
  return JSON.parse(stdout) as Planned[];
}
