/** Kills whose moment is chosen among the calls that a whole run makes, and which are judged by the calls made until then. */
import { execFileSync } from 'node:child_process';
import type { Random } from '../random.ts';
import type { Call } from './calls.ts';
import type { Killer } from './killer.ts';
import { phaseOf } from './phases.ts';
import { type Aim, runTraced, type TracedRun } from './traced-run.ts';

export function hasStrace(): boolean {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const AIMS = { call: 'at a call', sight: 'on sight', time: 'by time' } as const;

export const byStrace: Killer = {
  async watch(command) {
    const whole = await runTraced(command);
    if (whole.code !== 0) throw new Error(`mlv ${command.args.join(' ')} failed by itself:\n${whole.output}`);
    const phases = new Map<string, Call[]>();
    for (const call of whole.calls) {
      if (call.path === undefined) continue;
      const phase = phaseOf(call.path);
      phases.set(phase, [...(phases.get(phase) ?? []), call]);
    }
    const names = namesGiven(whole);
    return async (again, random) => {
      const aim = chooseAim(phases, whole.ms, random);
      const run = await runTraced(again, aim);
      const changes = run.calls.filter(({ path }) => path !== undefined);
      const last = changes.at(-1)?.path;
      return {
        aim: AIMS[aim.at],
        phase: last === undefined ? 'none' : phaseOf(last),
        counts: run.code === undefined && changes.some(({ isDone }) => isDone) && namesGiven(run) < names,
        output: run.output,
        code: run.code,
      };
    };
  },
};

function namesGiven({ calls }: TracedRun): number {
  return calls.filter(({ givesName, path, isDone }) => givesName && isDone && path !== undefined).length;
}

/** Phases have equal chances, however many calls they make. */
function chooseAim(phases: ReadonlyMap<string, readonly Call[]>, ms: number, random: Random): Aim {
  const phase = random.pick([...phases.keys()].sort());
  const calls = phases.get(phase) ?? [];
  const at = random.next(calls.length);
  const dice = random.next(10);
  if (dice < 2) return { at: 'time', ms: ms * (0.4 + random.next(600) / 1000), withChildren: dice === 0 };
  const call = calls[at];
  // Counting begins anew in each program; those that mlv starts are killed on sight.
  if (call === undefined || call.isChild || dice < 4) return { at: 'sight', phase, nth: at + 1 };
  return { at: 'call', name: call.name, nth: call.nth };
}
