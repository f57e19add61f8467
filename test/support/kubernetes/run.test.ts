import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { job, JOBS, post } from './rig.ts';

test('runs in a process of plain Node, obeys commands, and ends with its input', async () => {
  const script = fileURLToPath(new URL('run.mjs', import.meta.url));
  const options = JSON.stringify({ orders: [{ nth: 2, trouble: { kind: 'oom' } }] });
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(process.execPath, [script, options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value));
  const ask = (command: unknown): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    return next();
  };
  const { url, port, kubeconfigFile, folder, namespace } = (await next()) as Record<string, string>;
  expect([url, namespace]).toEqual([`http://127.0.0.1:${port}`, 'ml']);
  expect(JSON.parse(readFileSync(kubeconfigFile ?? '', 'utf8'))).toMatchObject({
    'current-context': 'test',
    clusters: [{ cluster: { server: url } }],
    users: [{ user: { token: 'token' } }],
  });
  const complete = {
    do: 'until',
    resource: 'jobs',
    like: { metadata: { name: 'a' }, status: { conditions: [{ type: 'Complete' }] } },
  };
  await post({ port: Number(port) }, JOBS, job('a', 'true'));
  expect(await ask(complete)).toMatchObject({ status: { succeeded: 1 } });
  await post({ port: Number(port) }, JOBS, job('b', 'sleep 30', { spec: { backoffLimit: 0 } }));
  const failed = { do: 'until', resource: 'pods', like: { status: { phase: 'Failed' } } };
  expect(await ask(failed)).toMatchObject({
    status: { containerStatuses: [{ state: { terminated: { reason: 'OOMKilled' } } }] },
  });
  expect(await ask({ do: 'requests' })).toMatchObject([{ verb: 'create' }, { verb: 'create' }]);
  expect(await ask({ do: 'delete', resource: 'jobs', name: 'none' })).toEqual({ error: 'jobs.batch "none" not found' });
  child.stdin.end();
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(folder ?? '')).toBe(false);
});
