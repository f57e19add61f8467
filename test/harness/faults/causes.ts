/** Things that go wrong elsewhere than in the server: what each returns puts it right. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { RequestRecord } from '../../support/s3-server/call.ts';
import type { Stage } from './trial.ts';

const MEBIBYTE = 1 << 20;

/** The bucket holds what others have pushed; of a push, that is half of it. */
export async function fillHalf({ verb, fill }: Stage): Promise<void> {
  if (verb === 'push') await fill('small files');
}

/** Deletes the largest object whose key begins so; it is mended by what the hint says. */
export async function lose({ server, atSource }: Stage, start: string): Promise<() => Promise<void>> {
  const sizes = Array.from(server.bucket().objects(), ([key, { size }]) => ({ key, size }));
  const [largest] = sizes.filter(({ key }) => key.includes(`/${start}`)).sort((a, b) => b.size - a.size);
  await server.bucket().delete(largest?.key ?? '');
  return async () => void (await atSource('verify', '--remote', '--repair'));
}

/** A proxy that refuses, or one that changes a byte of what is sent. */
export async function goThroughProxy(
  { env, cleanUps, mends, server }: Stage,
  how: { readonly status: number } | { readonly alterAt: number },
): Promise<void> {
  let isAltered = false;
  const proxy = createServer().on('connect', (_, socket) => {
    if ('status' in how) {
      socket.end(`HTTP/1.1 ${how.status} No\r\n\r\n`);
      return;
    }
    const target = connect(server.port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    let passed = 0;
    socket.on('data', (chunk: Buffer) => {
      passed += chunk.length;
      if (passed > how.alterAt && !isAltered) {
        isAltered = true;
        chunk[0] = (chunk[0] ?? 0) ^ 1;
      }
      target.write(chunk);
    });
    socket.on('close', () => target.destroy()).on('error', () => {});
    target.on('error', () => {}).pipe(socket);
  });
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
  env['HTTP_PROXY'] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  mends.push(() => {
    if ('alterAt' in how && !isAltered) throw new Error('the proxy has altered nothing');
  });
  cleanUps.push(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
}

/** Leaves no room on the small disk once a request came; returns what makes room again. */
export function fillDiskAt(
  { server, disk: mount, cleanUps }: Stage,
  isDue: (request: RequestRecord) => boolean,
): () => void {
  const filler = join(mount(), 'filler');
  const timer = setInterval(() => {
    if (!server.requests.some(isDue)) return;
    clearInterval(timer);
    fillUp(filler);
  }, 10);
  cleanUps.push(() => clearInterval(timer));
  return () => rmSync(filler);
}

function fillUp(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let piece = Buffer.alloc(MEBIBYTE); piece.length > 0;) {
      try {
        writeSync(file, piece);
      } catch {
        piece = piece.subarray(piece.length >>> 1 || 1);
      }
    }
  } finally {
    closeSync(file);
  }
}

/** Gives a small disk another size. */
export function resize(folder: string, megabytes: number): void {
  execFileSync('mount', ['-o', `remount,size=${megabytes}m`, folder]);
}
