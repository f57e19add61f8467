import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { OWNER, sendSigned } from './rig.ts';

test('runs in a process of plain Node, counts requests, and ends with its input', async () => {
  const script = fileURLToPath(new URL('run.mjs', import.meta.url));
  const options = JSON.stringify({ buckets: ['data'], credentials: [OWNER] });
  const child = spawn(process.execPath, [script, options], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => JSON.parse(String((await lines.next()).value)) as never;
  const { endpoint, port } = await next();
  expect(endpoint).toBe(`http://127.0.0.1:${String(port)}`);
  const put = { method: 'PUT', url: '/data/key', body: Buffer.alloc(100_000, 1) };
  expect((await sendSigned({ port: Number(port) }, put)).status).toBe(200);
  expect((await sendSigned({ port: Number(port) }, { url: '/data/key' })).body.equals(put.body)).toBe(true);
  child.stdin.write('\n');
  expect(await next()).toEqual({ requests: { PutObject: 1, GetObject: 1 }, bytesIn: 100_000, bytesOut: 100_000 });
  child.stdin.end();
  expect(await once(child, 'exit')).toEqual([0, null]);
});
