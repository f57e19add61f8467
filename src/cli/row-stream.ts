import type { ResultStream } from './output.ts';

/** Thrown where nobody reads any more (`mlv ls | head`): there is nobody to tell, and nothing has failed. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** Prints much, in large pieces, no faster than it is read. Both reject with `ReaderGone`. */
export interface RowStream {
  write(bytes: Uint8Array | string): Promise<void>;
  /** Resolves when everything was handed over. */
  flush(): Promise<void>;
}

const PIECE_CHARACTERS = 64 << 10;
/** Milliseconds that a row waits for others. */
const PATIENCE = 50;

export function createRowStream(stream: ResultStream): RowStream {
  let waiting: string[] = [];
  let characters = 0;
  let timer: NodeJS.Timeout | undefined;

  async function send(piece: Uint8Array | string): Promise<void> {
    if (!(await stream.send(piece))) throw new ReaderGone();
  }

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const piece = waiting.join('');
    waiting = [];
    characters = 0;
    if (piece !== '') await send(piece);
  }

  return {
    flush,
    async write(bytes) {
      if (typeof bytes !== 'string') {
        await flush();
        return send(bytes);
      }
      waiting.push(bytes);
      characters += bytes.length;
      if (stream.isTTY === true || characters >= PIECE_CHARACTERS) return flush();
      // The next one to write is told that the reader has gone.
      timer ??= setTimeout(() => {
        flush().catch(() => undefined);
      }, PATIENCE);
    },
  };
}
