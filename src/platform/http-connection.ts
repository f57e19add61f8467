import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

/** A connection whose bytes arrive in memory of the caller's, without being copied or collected on the way. */
export interface Connection {
  write(text: string): void;
  /** Waits for more bytes and appends them to those not taken yet. False when the other side has closed. */
  more(): Promise<boolean>;
  /** What has come and is not taken yet. */
  readonly waiting: Buffer;
  /** Bytes that have come since it was opened. */
  received(): number;
  /** Takes so many of the bytes that wait. */
  take(bytes: number): Buffer;
  /** Fills the whole buffer; nobody else may use it until this settles, or the connection is destroyed. */
  fill(into: Buffer): Promise<void>;
  /** Keeps it for later: it holds nobody up, and what comes before it is used again is its end. `onEnd` says that it has ended. */
  rest(onEnd: () => void): void;
  /** To be used again. */
  wake(): void;
  destroy(error?: Error): void;
}

export interface ConnectionOptions {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** The certificates to trust instead of the usual ones. */
  readonly ca?: readonly string[] | undefined;
  readonly connectMs: number;
}

const SCRATCH_BYTES = 64 << 10;
const KEEP_ALIVE_MS = 15_000;
const NOTHING = Buffer.alloc(0);

/** Opens a connection; that it fails is told by whatever waits for it first. */
export function openConnection(options: ConnectionOptions): Connection {
  const { connectMs } = options;
  const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  let isScratch = true;
  let waiting = NOTHING;
  let wanted: { into: Buffer | undefined; filled: number; resolve: (isMore: boolean) => void } | undefined;
  let refuse: (error: Error) => void = () => {};
  let failure: Error | undefined;
  let isEnded = false;
  let total = 0;
  let onRestEnd: (() => void) | undefined;

  /** Where the next bytes go: asked for after each read, so what is wanted only then comes by way of `scratch`. */
  function nextBuffer(): Buffer {
    isScratch = wanted?.into === undefined;
    return wanted?.into?.subarray(wanted.filled) ?? scratch;
  }

  /** False to wait until somebody wants more. Of TLS some may come all the same. */
  function received(bytes: number): boolean {
    if (onRestEnd !== undefined) {
      socket.destroy();
      return false;
    }
    total += bytes;
    const { into } = wanted ?? {};
    if (wanted === undefined || into === undefined) {
      waiting = Buffer.concat([waiting, scratch.subarray(0, bytes)]);
    } else if (isScratch) {
      const copied = scratch.copy(into, wanted.filled, 0, bytes);
      wanted.filled += copied;
      if (copied < bytes) waiting = Buffer.from(scratch.subarray(copied, bytes));
    } else {
      wanted.filled += bytes;
    }
    if (wanted?.into !== undefined && wanted.filled < wanted.into.length) return true;
    settle(true);
    return false;
  }

  function settle(isMore: boolean): void {
    const { resolve } = wanted ?? {};
    wanted = undefined;
    resolve?.(isMore);
  }

  function fail(error: Error): void {
    failure ??= error;
    wanted = undefined;
    refuse(failure);
    onRestEnd?.();
  }

  function want(into: Buffer | undefined, filled: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (failure !== undefined) return reject(failure);
      if (isEnded) return resolve(false);
      wanted = { into, filled, resolve };
      refuse = reject;
      socket.resume();
    });
  }

  const socket = open(options, { buffer: nextBuffer, callback: received });
  const connecting = setTimeout(() => socket.destroy(timeout(connectMs)), connectMs);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.once(options.isTls ? 'secureConnect' : 'connect', () => clearTimeout(connecting));
  socket.once('end', () => {
    isEnded = true;
    settle(false);
    onRestEnd?.();
  });
  socket.on('error', fail);
  socket.once('close', () => {
    clearTimeout(connecting);
    fail(closed());
  });

  return {
    get waiting() {
      return waiting;
    },
    received: () => total,
    write: (text) => void socket.write(text, 'latin1'),
    more: () => want(undefined, 0),
    take(bytes) {
      const taken = waiting.subarray(0, bytes);
      waiting = waiting.subarray(bytes);
      return taken;
    },
    async fill(into) {
      const filled = waiting.copy(into);
      waiting = waiting.subarray(filled);
      if (filled < into.length && !(await want(into, filled))) throw closed();
    },
    rest(onEnd) {
      onRestEnd = onEnd;
      socket.unref();
      socket.resume();
    },
    wake() {
      onRestEnd = undefined;
      socket.ref();
    },
    destroy: (error) => void socket.destroy(error),
  };
}

function open(
  { isTls, host, port, ca }: ConnectionOptions,
  onread: { buffer: () => Buffer; callback: (bytes: number) => boolean },
): Socket {
  if (!isTls) return connect({ host, port, onread });
  const servername = isIP(host) === 0 ? host : '';
  // Its types do not know that TLS takes `onread` as well.
  const options = { host, port, servername, ALPNProtocols: ['http/1.1'], onread, ...(ca && { ca: [...ca] }) };
  return tlsConnect(options);
}

function closed(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' });
}

function timeout(milliseconds: number): Error {
  const error = new Error(`did not establish a connection within ${milliseconds} ms`);
  return Object.assign(error, { name: 'TimeoutError' });
}
