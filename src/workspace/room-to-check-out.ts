import { MlvError } from '../domain/errors.ts';
import { fits, noRoom, roomAt } from '../platform/room.ts';
import type { CheckoutSituation } from './checkout-plan.ts';
import { openPlan } from './checkout-plan.ts';
import type { Workspace } from './open.ts';
import { canReflink } from './open.ts';

/**
 * Stops before anything is changed where the workspace's disk has no room for what checkouts bring beside what they take away. Plans
 * are gone through only where what the pointers name may be too much. Throws `no-space`.
 */
export function requireRoomToCheckOut(workspace: Workspace, situations: readonly CheckoutSituation[]): void {
  const { root, cacheFolder } = workspace;
  const room = roomAt(root);
  if (room === undefined) return;
  const whole = situations.reduce((sum, { size }) => sum + size.bytes + size.files * room.blockBytes, 0);
  const files = situations.reduce((sum, each) => sum + each.size.files, 0);
  if (fits(room, whole, files)) return;

  const cache = workspace.cache();
  const links = workspace.settings.values['cache.links'];
  const isShared = links[0] === 'symlink' || (links[0] === 'reflink' && canReflink(cacheFolder, root));
  const onDisk = (size: number): number => Math.ceil(size / room.blockBytes) * room.blockBytes;
  const need = { bytes: 0, files: 0 };
  const most = { bytes: 0, files: 0 };
  for (const situation of situations) {
    try {
      count(situation);
    } catch (error) {
      // Whoever carries it out tells what is missing.
      if (!(error instanceof MlvError)) throw error;
    }
  }
  if (fits(room, most.bytes, most.files)) return;
  throw noRoom({
    what: 'are to be checked out',
    folder: root,
    room,
    ...most,
    hint: 'Nothing was changed. Make room there, or check out a part: "mlv checkout PATH/INSIDE".',
  });

  function count(situation: CheckoutSituation): void {
    // All that goes is gone before anything comes.
    for (const step of openPlan(workspace, situation).steps()) {
      if (step.action !== 'remove') continue;
      need.bytes -= onDisk(step.found.size);
      need.files -= 1;
    }
    for (const step of openPlan(workspace, situation).steps()) {
      if (step.action !== 'write' || step.want.kind === 'd') continue;
      const { digest, size } = step.want;
      const location = cache.locate(digest);
      if (location === undefined) continue;
      if (location.isPacked || !isShared) need.bytes += onDisk(size);
      need.files += 1;
      most.bytes = Math.max(most.bytes, need.bytes);
      most.files = Math.max(most.files, need.files);
      if (step.found === undefined) continue;
      need.bytes -= onDisk(step.found.size);
      need.files -= 1;
    }
  }
}
