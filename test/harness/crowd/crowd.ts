/** Runs many commands at once, a few at a time, and counts what comes of them. */
import type { MlvRig } from '../../support/mlv.ts';

/** Processes at a time: more would wait for each other on a small machine, and nothing else would come of it. */
const AT_ONCE = 6;

export interface Outcome {
  /** The error's code; `unsound` for a verification that found something; undefined for what went well. */
  readonly failure: string | undefined;
  /** What the command printed, as a value. */
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Crowd {
  /**
   * Runs mlv, counting the outcome under the command's name, and `before` just before it. Throws for a failure that is not among
   * `expected` and for anything on stderr.
   */
  run(cwd: string, args: readonly string[], expected?: readonly string[], before?: () => void): Promise<Outcome>;
  /** Runs what must go well. */
  done(cwd: string, args: readonly string[]): Promise<Outcome>;
  /** Does something while no command runs. */
  between(work: () => void): Promise<void>;
  count(what: string, times?: number): void;
  /** All counts, a line for each command. */
  report(): string;
}

export function makeCrowd(rig: MlvRig, env: Readonly<Record<string, string>> = {}): Crowd {
  const counts = new Map<string, Map<string, number>>();
  const waiting: (() => void)[] = [];
  let running = 0;
  let pausing = 0;

  function wake(): void {
    for (const resolve of waiting.splice(0)) resolve();
  }

  async function until(isFree: () => boolean): Promise<void> {
    while (!isFree()) await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function count(what: string, outcome: string, times = 1): void {
    const outcomes = counts.get(what) ?? new Map<string, number>();
    counts.set(what, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + times));
  }

  const crowd: Crowd = {
    async run(cwd, args, expected = [], before = () => {}) {
      await until(() => pausing === 0 && running < AT_ONCE);
      running += 1;
      try {
        before();
        const { code, stdout, stderr } = await rig.mlv(cwd, ['--json', ...args], { env });
        const data = (stdout === '' ? {} : JSON.parse(stdout)) as Outcome['data'];
        const failure = code === 0 ? undefined : ((data['error'] as { code?: string } | undefined)?.code ?? 'unsound');
        if (stderr !== '' || (failure !== undefined && !expected.includes(failure)))
          throw new Error(`mlv ${args.join(' ')} in ${cwd} exited with ${code}:\n${stdout}${stderr}`);
        count(
          args.filter((word) => word !== 'store' && word !== '--yes' && word !== '--force').join(' '),
          failure ?? 'well',
        );
        return { failure, data };
      } finally {
        running -= 1;
        wake();
      }
    },
    done: (cwd, args) => crowd.run(cwd, args),
    async between(work) {
      pausing += 1;
      try {
        await until(() => running === 0);
        work();
      } finally {
        pausing -= 1;
        wake();
      }
    },
    count: (what, times = 1) => count(what, 'times', times),
    report: () =>
      [...counts]
        .map(
          ([what, outcomes]) => `${what}: ${[...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ')}`,
        )
        .sort()
        .join('\n'),
  };
  return crowd;
}
