import { EventEmitter, once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stage, StageId } from '../../src/domain/pipeline.ts';
import type { RunStageOptions } from '../../src/execution/local-runner.ts';
import { runStage } from '../../src/execution/local-runner.ts';
import { withStageClaim } from '../../src/execution/stage-claim.ts';
import type { ProjectFolders } from '../../src/workspace/open.ts';
import { foldersOf } from '../../src/workspace/open.ts';
import { makeTemporaryFolder } from '../support/git.ts';
import { stageOf } from './stages.ts';

/** A stage that runs in a test. */
export interface RunningStage {
  readonly done: Promise<{ readonly seconds: number }>;
  /** So far, in order. */
  readonly lines: readonly string[];
  /** The first line that matches, once it was printed. */
  line(pattern: RegExp): Promise<string>;
  interrupt(): void;
  kill(): void;
}

/** The folders of a new project, without Git. */
export function newProject(): ProjectFolders {
  const root = makeTemporaryFolder();
  mkdirSync(join(root, '.mlv'));
  return foldersOf(root, undefined, {});
}

/** Runs a stage under a claim, as `repro` does. */
export function begin(
  folders: ProjectFolders,
  given: Partial<Stage>,
  options: Partial<RunStageOptions> = {},
): RunningStage {
  const stage = stageOf({ id: 'train' as StageId, ...given });
  const interrupt = new AbortController();
  const kill = new AbortController();
  const told = new EventEmitter();
  const lines: string[] = [];
  const done = withStageClaim(folders, stage.id, { command: 'a test' }, (claim) =>
    runStage({
      folders,
      stage,
      claim,
      environment: { PATH: process.env['PATH'] },
      signal: interrupt.signal,
      killed: kill.signal,
      graceMs: 60_000,
      onLine(_, text) {
        lines.push(text);
        told.emit('line');
      },
      ...options,
    }),
  );
  done.catch(() => undefined);
  return {
    done,
    lines,
    async line(pattern) {
      for (;;) {
        const found = lines.find((line) => pattern.test(line));
        if (found !== undefined) return found;
        await Promise.race([once(told, 'line'), done]);
      }
    },
    interrupt: () => interrupt.abort(),
    kill: () => kill.abort(),
  };
}

/** The logs of a stage, the oldest first, without what differs from run to run. */
export function logsOf(folders: ProjectFolders, stage = 'train'): string[] {
  const logs = join(folders.sharedFolder, 'logs');
  const [key = ''] = readdirSync(logs).filter((name) => name.startsWith(`${stage}~`));
  return readdirSync(join(logs, key)).map((name) =>
    readFileSync(join(logs, key, name), 'latin1')
      .replace(/started \S+Z, in \S+/, 'started TIME')
      .replaceAll(/after [\d.]+ s/g, 'after TIME'),
  );
}
