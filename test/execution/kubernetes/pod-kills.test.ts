import { expect, it } from 'vitest';
import { seededRandom } from '../../harness/random.ts';
import { runKilledPod } from '../../support/kubernetes/pod-kills.ts';
import { makePodRig } from '../../support/kubernetes/pod-rig.ts';

it('a pod whose containers are killed at any moment, and run again, ends as if nothing had been', async () => {
  const rig = await makePodRig({ latencyMs: 2 });
  try {
    await runKilledPod(rig, 2, seededRandom(7));
    expect((await rig.result())?.outs.size).toBe(2);
  } finally {
    await rig.dispose();
  }
});
