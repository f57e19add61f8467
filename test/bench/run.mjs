// npm run bench [-- NAME…] [--samples N] [--fs ext4,xfs,btrfs] [--short] [--json FILE]
//
// Measures mlv, as it is built, against plain tools on the same data, and judges the ratios. A goal that is missed is told;
// only a wrong result makes it fail. `--short` runs everything on tiny data, to see that the bench itself works.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createBench, printSummary } from './harness/bench.mjs';
import { installCleanup } from './harness/cleanup.mjs';
import { FILE_SYSTEMS, makeDisks } from './harness/disks.mjs';
import { describeMachine } from './harness/machine.mjs';
import { WrongResult } from './harness/wrong-result.mjs';
import { addLarge } from './workloads/add-large.mjs';
import { addMany } from './workloads/add-many.mjs';
import { checkoutMany } from './workloads/checkout-many.mjs';
import { compareVersions } from './workloads/compare-versions.mjs';
import { againstDvc } from './workloads/dvc.mjs';
import { mergeMany } from './workloads/merge-many.mjs';
import { millionFiles } from './workloads/million-files.mjs';
import { pipelines } from './workloads/pipelines.mjs';
import { readOne } from './workloads/read-one.mjs';
import { s3Large } from './workloads/s3-large.mjs';
import { s3Latency } from './workloads/s3-latency.mjs';
import { s3Dvc, s3Many } from './workloads/s3-many.mjs';
import { s3Noop } from './workloads/s3-noop.mjs';
import { s3Terabyte } from './workloads/s3-terabyte.mjs';
import { startUp } from './workloads/start-up.mjs';
import { statusMany } from './workloads/status-many.mjs';
import { tenMillionBlobs } from './workloads/ten-million-blobs.mjs';

const WORKLOADS = {
  'start-up': startUp,
  'add-many': addMany,
  'add-large': addLarge,
  'checkout-many': checkoutMany,
  'status-many': statusMany,
  'million-files': millionFiles,
  'merge-many': mergeMany,
  'ten-million-blobs': tenMillionBlobs,
  'compare-versions': compareVersions,
  'read-one': readOne,
  pipelines,
  dvc: againstDvc,
  's3-many': s3Many,
  's3-dvc': s3Dvc,
  's3-large': s3Large,
  's3-noop': s3Noop,
  's3-latency': s3Latency,
  's3-terabyte': s3Terabyte,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    samples: { type: 'string' },
    fs: { type: 'string' },
    short: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const samples = Number(values.samples ?? (values.short ? 1 : 5));
const fileSystems = values.fs?.split(',');
const names = positionals.length > 0 ? positionals : Object.keys(WORKLOADS);
requireKnown('workload', names, Object.keys(WORKLOADS));
requireKnown('file system', fileSystems ?? [], FILE_SYSTEMS);
if (!Number.isInteger(samples) || samples < 1) usage(`--samples must be a whole number, not ${values.samples}`);

installCleanup();
const machine = describeMachine();
for (const [key, value] of Object.entries(machine)) console.log(`${key}: ${value}`);

const results = [];
for (const workload of names) {
  const { title, run } = WORKLOADS[workload];
  console.log(`\n${workload}: ${title}`);
  const bench = createBench({ disks: makeDisks(), samples, short: values.short, fileSystems, results, workload });
  try {
    await run(bench);
  } catch (error) {
    if (!(error instanceof WrongResult)) console.error(error);
    const [what] = error.message.split('\n');
    console.log(`  WRONG  ${what}`);
    results.push({ workload, what, verdict: 'WRONG' });
    process.exitCode = 1;
  } finally {
    bench.disks.dispose();
  }
}
printSummary(results);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, results }, undefined, 2)}\n`);

function requireKnown(what, given, known) {
  for (const name of given) if (!known.includes(name)) usage(`no ${what} ${name}; there are ${known.join(', ')}`);
}

function usage(message) {
  console.error(message);
  process.exit(2);
}
