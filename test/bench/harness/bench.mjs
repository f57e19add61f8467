// Takes samples in alternating order, prints all of them, and judges medians against goals.
import { loadavg } from 'node:os';

/** Peak memory of every command of mlv, of all workloads: the issue's own limit. */
const MEMORY_GOAL_BYTES = 400e6;
/** Somebody else at work would be measured too: wait for quiet, but not for ever. */
const QUIET_LOAD = 1;
const QUIET_WAIT_MS = 60_000;

/** What one workload is given. `results` collects what the summary and the JSON tell. */
export function createBench({ disks, samples, short, fileSystems, results, workload }) {
  const record = (entry) => results.push({ workload, ...entry });

  const bench = {
    disks,
    samples,
    short,

    log: (text) => console.error(`  … ${text}`),

    /** Tells that something was not measured, and why. */
    skip(what, reason) {
      console.log(`  SKIPPED ${what}: ${reason}`);
      record({ what, verdict: 'skipped', reason });
    },

    /** The file systems to measure on; those that cannot be had are told. Always at least one: a plain folder if need be. */
    fileSystems(wanted) {
      const asked = fileSystems ?? wanted;
      const usable = asked.filter((fs) => {
        const reason = disks.whyNot(fs);
        if (reason !== undefined) bench.skip(`fresh ${fs}`, reason);
        return reason === undefined;
      });
      return usable.length > 0 ? usable : asked.slice(0, 1);
    },

    /**
     * Runs the contenders `samples` times, in turns forwards and backwards. Each gives back measurements `{name, seconds,
     * peak?}`. Gives back the medians by name, and judges the memory of those that measured it.
     */
    async sample(title, contenders, { samples: count = samples } = {}) {
      if (!short) await waitForQuiet();
      console.log(`\n  ${title}`);
      const taken = new Map();
      for (let round = 0; round < count; round++) {
        for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
          for (const { name, seconds, peak } of await contender(round)) {
            const all = taken.get(name) ?? { seconds: [], peaks: [] };
            all.seconds.push(seconds);
            if (peak !== undefined) all.peaks.push(peak);
            taken.set(name, all);
          }
        }
      }
      const medians = new Map();
      for (const [name, { seconds, peaks }] of taken) {
        const middle = median(seconds);
        medians.set(name, middle);
        const peak = peaks.length === 0 ? undefined : Math.max(...peaks);
        const spread = (Math.max(...seconds) - Math.min(...seconds)) / middle;
        console.log(
          `    ${name.padEnd(24)} ${time(middle).padStart(9)}  ±${Math.round(spread * 50)}%  [${seconds.map(time).join(', ')}]${peak === undefined ? '' : `  peak ${megabytes(peak)}`}`,
        );
        record({ what: `${title}: ${name}`, verdict: 'measured', seconds, median: middle, peaks });
        if (peak !== undefined)
          bench.judge({
            what: `${title}: ${name}, peak memory`,
            value: peak,
            goal: MEMORY_GOAL_BYTES,
            format: megabytes,
            quiet: true,
          });
      }
      return medians;
    },

    /**
     * Judges the ratio of the median of `of` to the sum of the medians of `to`; of a list in there, the fastest counts,
     * which is the hardest to beat.
     */
    ratio({ what, medians, of, to, goal }) {
      const chosen = to.map((names) =>
        [names].flat().reduce((best, name) => (medians.get(name) < medians.get(best) ? name : best)),
      );
      const reference = chosen.reduce((sum, name) => sum + medians.get(name), 0);
      // What starting costs is all that tiny data would show.
      const judged = short ? undefined : goal;
      bench.judge({
        what: `${what}: ${of} / (${chosen.join(' + ')})`,
        value: medians.get(of) / reference,
        goal: judged,
        format: (value) => `${value.toFixed(2)}×`,
      });
    },

    /** Compares a figure with its goal (`goal` undefined: it is only told). */
    judge({ what, value, goal, format = String, quiet = false }) {
      const verdict = goal === undefined ? 'told' : value <= goal ? 'met' : 'MISSED';
      const text = { value: format(value), goal: goal === undefined ? '' : format(goal) };
      if (!quiet || verdict === 'MISSED') {
        console.log(
          `    ${verdict === 'told' ? '·' : verdict}  ${what} = ${text.value}${goal === undefined ? '' : ` (goal: at most ${text.goal})`}`,
        );
      }
      record({ what, verdict, value, goal, text });
    },
  };
  return bench;
}

/** The summary: one line for each goal. */
export function printSummary(results) {
  console.log('\nSummary');
  const judged = results.filter(({ verdict }) => ['met', 'MISSED'].includes(verdict));
  const memory = judged.filter(({ what }) => what.endsWith('peak memory'));
  const highest = memory.toSorted((a, b) => b.value - a.value)[0];
  const rows = judged.filter((result) => !memory.includes(result) || result.verdict === 'MISSED');
  for (const { verdict, workload, what, text } of rows)
    console.log(`  ${verdict.padEnd(6)}  ${text.value.padStart(9)} of ${text.goal.padEnd(9)}  ${workload}: ${what}`);
  if (highest !== undefined)
    console.log(
      `  ${highest.verdict.padEnd(6)}  ${highest.text.value.padStart(9)} of ${highest.text.goal.padEnd(9)}  highest peak memory: ${highest.what}`,
    );
  for (const { workload, what, reason } of results.filter(({ verdict }) => verdict === 'skipped'))
    console.log(`  skipped ${workload}: ${what}: ${reason}`);
  for (const { workload, what } of results.filter(({ verdict }) => verdict === 'WRONG'))
    console.log(`  WRONG   ${workload}: ${what}`);
}

async function waitForQuiet() {
  for (const end = Date.now() + QUIET_WAIT_MS; loadavg()[0] >= QUIET_LOAD && Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
  if (loadavg()[0] >= QUIET_LOAD) console.log(`  (load ${loadavg()[0].toFixed(2)}: something else is at work)`);
}

/** The middle one, or the mean of the middle two. */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Seconds for people. */
function time(seconds) {
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`;
}

/** Bytes for people. */
export function megabytes(bytes) {
  return bytes < 100e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(bytes < 10e6 ? 2 : 0)} MB`;
}
