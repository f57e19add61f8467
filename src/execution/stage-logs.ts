/**
 * What the commands of stages printed: one plain file a run, with lines of mlv's own (`# mlv: …`) at its begin and end, around the
 * bytes as they came. The last of a stage are kept.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { nearestName } from '../domain/nearest-name.ts';
import type { StageId } from '../domain/pipeline.ts';
import { randomName } from '../platform/durable-write.ts';
import { ioError } from '../platform/io-error.ts';
import { listNames } from '../platform/list-names.ts';
import { makeFolder } from '../platform/make-folder.ts';
import { writeFully } from '../platform/read-write.ts';
import type { ProjectFolders } from '../workspace/open.ts';
import { logsUnderWay } from './stage-claim.ts';
import { stageKey } from './stage-key.ts';
import { idsMeant } from './stage-target.ts';

/** The log of a run that is under way. */
export interface StageLog {
  /** Absolute. */
  readonly path: string;
  /** Appends output. A disk that takes no more ends the log, not the run. */
  write(bytes: Uint8Array): void;
  /** Appends a command that is about to run. */
  command(text: string): void;
  /** Appends a line of mlv's own. */
  say(line: string): void;
  /** Says how it ended, and closes it. */
  end(outcome: 'succeeded' | 'failed' | 'interrupted', seconds: number, reason?: string): void;
}

/** A run of which there is a log. */
export interface LoggedRun {
  readonly stage: StageId;
  /** ISO 8601. */
  readonly started: string;
  /** `cut-short`: mlv, or the machine, was ended before the run was. */
  readonly outcome: 'succeeded' | 'failed' | 'interrupted' | 'running' | 'cut-short';
  /** Where it has ended. */
  readonly seconds?: number;
  readonly bytes: number;
  /** The log, absolute. */
  readonly path: string;
}

const KEPT_RUNS = 10;
const MARK = '# mlv: ';
const FIRST_LINE = /^# mlv: stage (.+), started (\S+), in /;
const LAST_LINE = /(?:^|\n)# mlv: (succeeded|failed|interrupted) after ([\d.]+) s(?:: [^\n]*)?\n$/;
/** Bytes; mlv's own lines are shorter. */
const LONGEST_LINE = 4_096;
const LONGEST_REASON = 500;
const NEW_LINE = 10;

/** Begins the log of a run, and removes old ones of the stage. Throws an error of kind io that names the path. */
export function beginStageLog(folders: ProjectFolders, stage: StageId, folder: string): StageLog {
  const logs = join(logsFolder(folders), stageKey(folders, stage));
  const started = new Date().toISOString();
  const path = join(logs, `${started.replaceAll(':', '-')}-${randomName().slice(0, 6)}.log`);
  let fd: number | undefined;
  let isLineOpen = false;
  const write = (bytes: Uint8Array): void => {
    if (fd === undefined || bytes.length === 0) return;
    isLineOpen = bytes.at(-1) !== NEW_LINE;
    try {
      writeFully(fd, bytes);
    } catch {
      closeSync(fd);
      fd = undefined;
    }
  };
  const say = (line: string): void => write(Buffer.from(`${isLineOpen ? '\n' : ''}${line}\n`));
  try {
    makeFolder(logs);
    fd = openSync(path, 'ax');
    for (const old of logNames(logs).slice(0, -KEPT_RUNS)) rmSync(join(logs, old), { force: true });
  } catch (error) {
    throw ioError(error, 'write', path);
  }
  say(`${MARK}stage ${stage}, started ${started}, in ${oneLine(folder)}`);
  return {
    path,
    write,
    command: (text) => say(`$ ${text}`),
    say: (line) => say(`${MARK}${line}`),
    end(outcome, seconds, reason) {
      const why = reason === undefined ? '' : `: ${oneLine(reason).slice(0, LONGEST_REASON)}`;
      say(`${MARK}${outcome} after ${seconds.toFixed(1)} s${why}`);
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

/** The last run of each stage of the project that has a log, by stage. */
export function lastRuns(folders: ProjectFolders): LoggedRun[] {
  return listNames(logsFolder(folders))
    .flatMap((key) => {
      const last = logNames(join(logsFolder(folders), key)).at(-1);
      const run = last === undefined ? undefined : readRun(folders, join(logsFolder(folders), key, last));
      // Other projects in the same repository have theirs here, too.
      return run !== undefined && stageKey(folders, run.stage) === key ? [run] : [];
    })
    .toSorted((a, b) => (a.stage < b.stage ? -1 : 1));
}

/**
 * The last run of a stage, named as on the command line: `train` of the pipeline file in `cwd` or the nearest above it, or by its whole
 * id. Throws `no-logs`.
 */
export function loggedRun(folders: ProjectFolders, target: string, cwd: string): LoggedRun {
  const runs = lastRuns(folders);
  for (const id of idsMeant(folders, target, cwd)) {
    const run = runs.find(({ stage }) => stage === id);
    if (run !== undefined) return run;
  }
  const name = target.replace(/^stage:/, '');
  const guess = nearestName(
    name,
    runs.map(({ stage }) => stage),
  );
  throw new MlvError({
    code: 'no-logs',
    kind: 'missing',
    message: `there are no logs of a stage ${JSON.stringify(name)}`,
    hint: guess === undefined ? 'mlv logs lists the stages of which there are.' : `Did you mean ${guess}?`,
  });
}

/** What a log tells of its run; undefined where it has gone. */
export function readRun(folders: ProjectFolders, path: string): LoggedRun | undefined {
  const run = readLog(path);
  if (run?.outcome !== 'cut-short') return run;
  if (logsUnderWay(folders).has(path)) return { ...run, outcome: 'running' };
  return readLog(path); // it may have ended since it was read
}

function logsFolder({ sharedFolder }: ProjectFolders): string {
  return join(sharedFolder, 'logs');
}

/** The oldest first. */
function logNames(folder: string): string[] {
  return listNames(folder)
    .filter((name) => name.endsWith('.log'))
    .toSorted((a, b) => (a < b ? -1 : 1));
}

function readLog(path: string): LoggedRun | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined; // it was removed since: newer runs have logs
  }
  try {
    const { size } = fstatSync(fd);
    const [, stage, started] = FIRST_LINE.exec(textAt(fd, 0)) ?? [];
    if (stage === undefined || started === undefined) return undefined;
    const [, outcome, seconds] = LAST_LINE.exec(textAt(fd, Math.max(0, size - LONGEST_LINE))) ?? [];
    const known = { stage: stage as StageId, started, bytes: size, path };
    if (seconds === undefined) return { ...known, outcome: 'cut-short' };
    return { ...known, outcome: outcome as 'succeeded' | 'failed' | 'interrupted', seconds: Number(seconds) };
  } finally {
    closeSync(fd);
  }
}

function textAt(fd: number, position: number): string {
  const bytes = Buffer.allocUnsafe(LONGEST_LINE);
  return bytes.toString('utf8', 0, readSync(fd, bytes, 0, LONGEST_LINE, position));
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ');
}
