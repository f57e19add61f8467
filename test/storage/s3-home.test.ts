import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { READER } from '../support/s3-server/rig.ts';
import { startTunnelProxy } from '../support/tunnel-proxy.ts';
import { describeHome } from './home-conformance.ts';
import type { S3Rig } from './s3-rig.ts';
import { startS3Rig, useCredentials } from './s3-rig.ts';

describeHome('a folder of a bucket', async () => {
  const rig = await startS3Rig();
  return { home: rig.open({ prefix: 'te+am/a b/ünï%41', tries: 3 }).home, dispose: () => rig.dispose() };
});

describe('a bucket', () => {
  let rig: S3Rig;
  beforeEach(async () => {
    rig = await startS3Rig();
  });
  afterEach(() => rig.dispose());

  test('may be used as a whole, and be in the host name', async () => {
    const proxy = await startTunnelProxy();
    try {
      const settings = { endpoint: `http://s3.localhost:${rig.server.port}`, pathStyle: false };
      const { home } = rig.open({ prefix: '', settings, environment: { HTTP_PROXY: proxy.url } });
      await home.write('index/x y', [Buffer.from('x')]);
      expect((await home.readAll('index/x y', 10)).toString()).toBe('x');
      expect((await home.list('index/')[Symbol.asyncIterator]().next()).value).toMatchObject({ key: 'index/x y' });
      expect([...rig.server.bucket().objects().keys()]).toEqual(['index/x y']);
      expect(rig.server.requests.map(({ headers }) => headers.host)).toEqual(
        rig.server.requests.map(() => `data.s3.localhost:${rig.server.port}`),
      );
    } finally {
      proxy.close();
    }
  });

  test('that is busy for long is asked again and again', async () => {
    const busy = { kind: 'answer', status: 503, code: 'SlowDown' } as const;
    const { home } = rig.open();
    rig.server.faults.add({ times: 4, action: busy });
    await home.write('index/a', [Buffer.from('bytes')]);
    rig.server.faults.add({ times: 4, action: busy });
    expect((await home.readAll('index/a', 10)).toString()).toBe('bytes');
  });

  test('that stops in the middle of an object is asked again', async () => {
    const bytes = Buffer.alloc(300_000, 'some bytes');
    await rig.server.bucket().put('team/packs/ab/x', bytes);
    rig.server.faults.add({ on: { operation: 'GetObject' }, action: { kind: 'drip', bytesPerSecond: 1 } });
    expect((await rig.open({ idleMs: 200 }).home.readAll('packs/ab/x', 300_000)).equals(bytes)).toBe(true);
    expect(rig.asked()).toEqual(['GetObject', 'GetObject']);
  });

  test('keeps what is there, and replaces what is shorter', async () => {
    const { home } = rig.open();
    await rig.server.bucket().put('team/packs/ab/x', 'first');
    await home.write('packs/ab/x', [Buffer.from('other')]);
    expect((await rig.server.bucket().get('team/packs/ab/x')).toString()).toBe('first');
    await home.write('packs/ab/x', [Buffer.from('longer')]);
    expect((await rig.server.bucket().get('team/packs/ab/x')).toString()).toBe('longer');
  });

  test('that does not allow something says what to ask for', async () => {
    useCredentials(READER);
    await expect(rig.open().home.write('index/a', [Buffer.from('a')])).rejects.toMatchObject({
      code: 'remote-not-writable',
      message: expect.stringMatching(/^s3:\/\/data\/team may not be written to \(s3:PutObject on index\/a\)/),
      hint: expect.stringContaining('Ask for s3:PutObject on its objects.'),
    });
    expect(rig.asked()).toEqual(['PutObject']);
  });
});
