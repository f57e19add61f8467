/**
 * `npm run test:fuzz`: gives every parser inputs made by chance, keeps those that reach code that none reached before, and makes
 * others of them. MLV_FUZZ_SECONDS, MLV_FUZZ_SEED, MLV_FUZZ_TARGET. Ends with 1 where something was found.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Counts, FoundInput, FromWorker, WorkerData } from './protocol.ts';
import { readInput, SHARED_BYTES } from './protocol.ts';

const HANG_MS = 10_000;
const LOOK_MS = 250;
/** The main thread, where commands parse, has hardly less stack; the heap is a small machine's. */
const LIMITS = { maxOldGenerationSizeMb: 512, stackSizeMb: 1 };
const SHOWN_BYTES = 3000;

const seconds = Number(process.env['MLV_FUZZ_SECONDS'] ?? 60);
const seed = Number(process.env['MLV_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const only = process.env['MLV_FUZZ_TARGET'];

const counts = new Map<string, Counts>();
const findings: FoundInput[] = [];
let folder: string | undefined;

function found(finding: FoundInput): void {
  findings.push(finding);
  folder ??= mkdtempSync(join(tmpdir(), 'mlv-fuzz-found-'));
  const path = join(folder, `${finding.target.replaceAll(/\W+/g, '-')}-${findings.length}`);
  const bytes = Buffer.from(finding.input);
  writeFileSync(path, bytes);
  const base64 = bytes.length > SHOWN_BYTES ? '' : `\n  base64 ${bytes.toString('base64')}`;
  const what = finding.what.replaceAll(/[^\n -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
  console.log(`\n${finding.target}: ${what}\n  seed ${seed}, ${bytes.length} bytes in ${path}${base64}`);
}

/** One thread until its time is over, or it has to be ended. Returns the target that it did not come back from. */
function runWorker(data: WorkerData): Promise<string | undefined> {
  const names: string[] = [];
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: data, resourceLimits: LIMITS });
  return new Promise((resolve, reject) => {
    let last = { calls: -1, since: Date.now() };
    const stop = (what: string, cause?: unknown): void => {
      clearInterval(watch);
      const { target, input } = readInput(data.shared);
      const name = names[target];
      void worker.terminate();
      if (name === undefined) return reject(new Error(`the fuzzer itself: ${what}`, { cause }));
      found({ target: name, what, input });
      resolve(name);
    };
    const watch = setInterval(() => {
      const { calls, target } = readInput(data.shared);
      if (calls !== last.calls || target < 0) last = { calls, since: Date.now() };
      else if (Date.now() - last.since > HANG_MS) stop(`does not come back in ${HANG_MS / 1000} s`);
    }, LOOK_MS);
    worker.on('error', (error: Error) => stop(error.stack ?? error.message, error));
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'target') names[message.number] = message.name;
      else if (message.type === 'counts') counts.set(message.target, message);
      else if (message.type === 'finding') found(message);
      else {
        clearInterval(watch);
        void worker.terminate();
        resolve(undefined);
      }
    });
  });
}

function table(): string {
  const rows = [...counts.values()].map(({ target, runs, kept, blocks }) => [
    target,
    runs.toLocaleString('en'),
    String(kept),
    String(blocks),
    String(findings.filter((finding) => finding.target === target).length),
  ]);
  const total = [...counts.values()].reduce((sum, { runs }) => sum + runs, 0);
  rows.push(['all', total.toLocaleString('en'), '', '', String(findings.length)]);
  const lines = [
    ['target', 'runs', 'inputs kept', 'blocks covered', 'findings'],
    ['---', '---', '---', '---', '---'],
    ...rows,
  ];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

console.log(`fuzzing for ${seconds} s, MLV_FUZZ_SEED=${seed}`);
const memory = '/dev/shm';
const scratch = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'mlv-fuzz-'));
const end = Date.now() + seconds * 1000;
try {
  const without: string[] = [];
  for (let round = 0; round === 0 || Date.now() < end; round++) {
    const own = join(scratch, String(round));
    mkdirSync(own);
    const shared = new SharedArrayBuffer(SHARED_BYTES);
    const left = Math.max(1, (end - Date.now()) / 1000);
    const fixtures = join(process.cwd(), 'fixtures/formats');
    const lost = await runWorker({
      seconds: left,
      seed: seed + round,
      only,
      without: [...without],
      scratch: own,
      fixtures,
      shared,
    });
    if (lost === undefined) break;
    without.push(lost);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`\n${table()}`);
if (counts.size === 0 && findings.length === 0) throw new Error(`no target is called ${only}`);
process.exitCode = findings.length > 0 ? 1 : 0;
