import { expect, test } from 'vitest';
import type { Cluster } from './cluster.ts';
import { CONFIG_MAPS, configMap, follow, patch, post, send, startRig, takeEvents } from './rig.ts';

async function versionOf(cluster: Cluster): Promise<number> {
  const { body } = await send(cluster, { path: CONFIG_MAPS });
  return Number(body.metadata.resourceVersion);
}

test('tells what there is and what happens, from now or from a version', async () => {
  const cluster = await startRig();
  await post(cluster, CONFIG_MAPS, configMap('a', {}));
  const version = await versionOf(cluster);
  await post(cluster, CONFIG_MAPS, configMap('b', {}));
  const now = await follow(cluster, `${CONFIG_MAPS}?watch=1`);
  const since = await follow(cluster, `${CONFIG_MAPS}?watch=1&resourceVersion=${version}`);
  await patch(cluster, `${CONFIG_MAPS}/a`, { data: { key: 'value' } });
  await patch(cluster, `${CONFIG_MAPS}/a`, { data: { key: 'value' } });
  cluster.delete('configmaps', 'b');
  expect(await takeEvents(now, 4)).toEqual(['ADDED a', 'ADDED b', 'MODIFIED a', 'DELETED b']);
  expect(await takeEvents(since, 3)).toEqual(['ADDED b', 'MODIFIED a', 'DELETED b']);
});

test('tells of what begins and ceases to fit the selector', async () => {
  const cluster = await startRig();
  const watch = await follow(cluster, `${CONFIG_MAPS}?watch=true&labelSelector=app%3Dx`);
  await post(cluster, CONFIG_MAPS, configMap('a', {}));
  await patch(cluster, `${CONFIG_MAPS}/a`, { metadata: { labels: { app: 'x' } } });
  await patch(cluster, `${CONFIG_MAPS}/a`, { data: { key: 'value' } });
  await patch(cluster, `${CONFIG_MAPS}/a`, { metadata: { labels: { app: null } } });
  cluster.delete('configmaps', 'a');
  await post(cluster, CONFIG_MAPS, {
    ...(configMap('b', {}) as object),
    metadata: { name: 'b', labels: { app: 'x' } },
  });
  expect(await takeEvents(watch, 4)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED b']);
});

test('sends bookmarks to those who want them, and ends in time', async () => {
  const cluster = await startRig({ bookmarkMs: 10, secondMs: 10 });
  const version = await versionOf(cluster);
  const watch = await follow(
    cluster,
    `${CONFIG_MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=3&resourceVersion=${version}`,
  );
  const events = await takeEvents(watch, 10);
  expect(events.length).toBeGreaterThan(1);
  expect(events.at(-1)).toBe('END');
  expect(new Set(events.slice(0, -1))).toEqual(new Set([`BOOKMARK ${version}`]));
  const plain = await follow(cluster, `${CONFIG_MAPS}?watch=1&timeoutSeconds=3`);
  expect(await takeEvents(plain, 10)).toEqual(['END']);
});

test('tells within the stream that a version is too old', async () => {
  const cluster = await startRig();
  const version = await versionOf(cluster);
  await post(cluster, CONFIG_MAPS, configMap('a', {}));
  cluster.compact();
  const watch = await follow(cluster, `${CONFIG_MAPS}?watch=1&resourceVersion=${version}`);
  const { type, object } = JSON.parse((await watch.next()) ?? '') as { type: string; object: unknown };
  expect({ type, object }).toMatchObject({
    type: 'ERROR',
    object: {
      kind: 'Status',
      status: 'Failure',
      reason: 'Expired',
      code: 410,
      message: expect.stringMatching(/^too old resource version: \d+ \(\d+\)$/),
    },
  });
  expect(await watch.next()).toBeUndefined();
  expect((await send(cluster, { path: `${CONFIG_MAPS}?resourceVersion=999999` })).status).toBe(504);
});

test('is cut by those who order it: cleanly, by a reset, with 410, or by silence', async () => {
  const cluster = await startRig();
  const watch = (): ReturnType<typeof follow> => follow(cluster, `${CONFIG_MAPS}?watch=1`);
  const ended = await watch();
  expect(cluster.cutStreams('end')).toBe(1);
  expect(await takeEvents(ended, 1)).toEqual(['END']);
  const reset = await watch();
  cluster.cutStreams('reset', { resource: 'configmaps' });
  await expect(takeEvents(reset, 1)).rejects.toThrow(/ECONNRESET|aborted/);
  const gone = await watch();
  cluster.cutStreams('gone');
  expect(await takeEvents(gone, 2)).toEqual(['ERROR 410', 'END']);
  const silent = await watch();
  expect(cluster.cutStreams('stall', { resource: 'jobs' })).toBe(0);
  expect(cluster.cutStreams('stall')).toBe(1);
  await post(cluster, CONFIG_MAPS, configMap('a', {}));
  expect(await Promise.race([silent.next(), new Promise((resolve) => setTimeout(resolve, 50, 'silence'))])).toBe(
    'silence',
  );
});
