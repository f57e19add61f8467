import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import type { Pointer } from '../domain/pointer.ts';
import { POINTER_VERSION } from '../domain/pointer.ts';
import { statsAt } from '../platform/stats-at.ts';
import type { AddOptions, AddResult } from './add.ts';
import { resolveTarget, trackedAround } from './targets.ts';
import type { Workspace } from './open.ts';
import { checkout } from './checkout.ts';
import { requireRoomToAdd } from './room-to-add.ts';
import { createStorageTasks } from './task-runner.ts';
import { writePointers } from './write-pointers.ts';
import { takeSnapshot } from './snapshot.ts';
import { unscannable } from './scan.ts';

/**
 * Takes data that lies outside the project into the cache, tracks it as DEST, and checks it out there. The original stays.
 */
export async function importOutside(
  workspace: Workspace,
  options: AddOptions & { readonly output: string },
): Promise<AddResult> {
  const { cwd, targets, output } = options;
  const [source] = targets;
  if (source === undefined || targets.length > 1) {
    throw new MlvError({
      code: 'one-target',
      kind: 'usage',
      message: '-o takes exactly one source',
      hint: 'mlv add /mnt/raw -o data/raw',
    });
  }
  const path = resolveTarget(workspace, cwd, output);
  const around = await trackedAround(workspace, path);
  if (path === '' || around !== undefined || existsSync(join(workspace.root, path))) throw taken(output);
  const named = resolve(cwd, source);
  if (statsAt(named) === undefined) {
    throw new MlvError({
      code: 'path-missing',
      kind: 'missing',
      message: `${source} does not exist`,
      hint: 'Check the spelling.',
    });
  }
  const absolute = realpathSync.native(named);
  const tasks = createStorageTasks(workspace.cache(), options.signal);
  try {
    const record = { path, base: undefined, selected: 'all' } as const;
    const given = { ...options, workspace, path, record, tasks, source: absolute };
    await requireRoomToAdd(workspace, [{ absolute, path, isOutside: true }], () =>
      takeSnapshot({ ...given, store: false }),
    );
    const snapshot = await takeSnapshot({ ...given, store: true, refusesPurged: true });
    if (snapshot.problems.length > 0) throw unscannable(source, snapshot.problems);
    if (snapshot.content === undefined) throw taken(source);
    const { content, files, bytes } = snapshot;
    const pointer: Pointer = {
      version: POINTER_VERSION,
      type: content.type,
      hash: content.hash,
      size: bytes,
      ...(content.type === 'dir' && { files }),
      ...(content.exec && { exec: true }),
      ...(options.remote !== undefined && { remote: options.remote }),
      ...(options.desc !== undefined && { desc: options.desc }),
    };
    const staged = await writePointers(workspace, [{ path, pointer, text: undefined }]);
    const { signal, onProgress } = options;
    await checkout(workspace, {
      targets: [join(workspace.root, path)],
      cwd,
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    });
    const item = {
      path,
      type: content.type,
      outcome: 'new',
      hash: content.hash,
      files,
      size: bytes,
      added: files,
      changed: 0,
      removed: 0,
    } as const;
    return { items: [item], staged };
  } finally {
    await tasks.close();
  }
}

function taken(path: string): MlvError {
  return new MlvError({
    code: 'destination-exists',
    kind: 'refused',
    message: `${path} is there already, or is inside something tracked`,
    hint: 'Choose another destination with -o. Nothing was changed.',
  });
}
