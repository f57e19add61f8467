/** Commands killed by SIGKILL between their first change and the last name they give: nothing is lost, and the next run finishes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeMlvRig, type MlvRig } from '../support/mlv.ts';
import { startRig } from '../support/s3-server/rig.ts';
import type { S3Server } from '../support/s3-server/server.ts';
import { byClock } from './kill/by-clock.ts';
import { byStrace, hasStrace } from './kill/by-strace.ts';
import { expectFinished, expectSound, finishedState } from './kill/checks.ts';
import { openHistogram } from './kill/histogram.ts';
import { makeOrigin, makeScenes, SCENES } from './kill/scenes.ts';
import { openTrial, prepareScene, type Stage } from './kill/trial.ts';
import { seededRandom, some } from './random.ts';

/** Kills of each scene that count; `npm run test:kill` sets more. A seed in the environment repeats a run. */
const { MLV_KILLS } = process.env;
const KILLS = Number(MLV_KILLS ?? 1);
const seed = Number(process.env['MLV_KILL_SEED'] ?? Date.now() % 1_000_000);
/** Kills that come too early or too late: so many times those that count, and some. */
const PATIENCE = 3;
const FROM_SCRATCH_EVERY = 5;
const TRIAL_MS = 30_000;

const killer = hasStrace() ? byStrace : byClock;
const killed = openHistogram('command', 'kills', 'by what was being done');
const aims = openHistogram('moment chosen', 'kills', 'whether between the first change and the last');
let rig: MlvRig;
let server: S3Server;
let stage: Stage;

beforeAll(async () => {
  rig = makeMlvRig();
  server = await startRig();
  stage = { rig, server, origin: await makeOrigin(rig) };
  console.log(
    `killed by MLV_KILL_SEED=${seed}${killer === byClock ? '; skipped: exact kills, there is no strace' : ''}`,
  );
}, 60_000);
afterAll(async () => {
  console.log(`MLV_KILL_SEED=${seed}\n${String(killed)}\n\n${String(aims)}`);
  await server.close();
  rig.dispose();
}, 120_000);

/** In short some of them, others each time. */
const CHOSEN = MLV_KILLS === undefined ? some(SCENES, 8, seed) : SCENES;

test.concurrent.each(CHOSEN)('%s, killed', { timeout: 60_000 + KILLS * PATIENCE * TRIAL_MS }, async (name) => {
  const scene = makeScenes(rig).find((each) => each.name === name);
  if (scene === undefined) throw new Error(`no scene ${name}`);
  const slug = name.replaceAll(/[^a-z]+/g, '-');
  const template = await prepareScene(stage, scene);
  const command = ({ folder, env }: { folder: string; env: Readonly<Record<string, string>> }) => ({
    folder,
    env,
    args: scene.args,
  });

  const whole = await openTrial(stage, scene, template, `${slug}-whole`);
  const before = whole.pointers();
  const kill = await killer.watch(command(whole));
  const finished = finishedState(whole, before);
  await expectFinished(whole, finished, true);
  await whole.dispose();

  let counting = 0;
  for (let round = 0; counting < KILLS && round < KILLS * PATIENCE + 5; round++) {
    // Each round can be told from its number alone.
    const random = seededRandom(seed * 1_000 + SCENES.indexOf(name) * 100_000 + round);
    const trial = await openTrial(stage, scene, template, `${slug}-${round}`);
    const { aim, phase, counts, output, code } = await kill(command(trial), random);
    try {
      // What was killed in its stead is Git, or the command of a stage.
      if (code !== undefined && code !== 0) expect(output).toMatch(/^error: (git|.*index|stage .* failed)/m);
      await expectSound(trial, finished);
      await expectFinished(trial, finished, counting % FROM_SCRATCH_EVERY === 0);
    } catch (error) {
      const told = `${name}, round ${round} of MLV_KILL_SEED=${seed}, ${aim}, ${phase}, exit code ${code}`;
      throw new Error(`${told}: ${String(error)}\nprinted: ${output}`, { cause: error });
    }
    await trial.dispose();
    aims.add(aim, counts ? 'counts' : 'does not');
    if (!counts) continue;
    counting += 1;
    killed.add(name, phase);
  }
  expect(counting).toBe(KILLS);
});
