/** Answers that go on for long: watches and logs. Tests end them as networks and servers do. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FaultAction, StreamEnd } from './faults.ts';
import { expired } from './status.ts';
import type { Target } from './target.ts';

export interface Stream {
  readonly target: Target;
  readonly isOpen: boolean;
  /** Sends one event or line. */
  send(piece: string): void;
  end(how?: StreamEnd): void;
  onEnd(listener: () => void): void;
}

export interface Streams {
  open(answer: {
    req: IncomingMessage;
    res: ServerResponse;
    target: Target;
    fault: FaultAction | undefined;
    type: string;
  }): Stream;
  /** Ends those that are open: all, or of one resource or subresource. Gives how many. */
  cut(how: StreamEnd, of?: { resource?: string; subresource?: string }): number;
}

export function openStreams(): Streams {
  const open = new Set<Stream>();
  return {
    open({ req, res, target, fault, type }) {
      const cut = fault?.kind === 'cut' ? fault : undefined;
      const listeners: (() => void)[] = [];
      let sent = 0;
      let isStalled = false;
      let isOpen = true;
      const close = (): void => {
        if (!isOpen) return;
        isOpen = false;
        open.delete(stream);
        for (const listener of listeners) listener();
      };
      const stream: Stream = {
        target,
        get isOpen() {
          return isOpen;
        },
        send(piece) {
          if (!isOpen || isStalled) return;
          if (cut !== undefined && sent >= cut.after) {
            stream.end(cut.how);
            return;
          }
          sent++;
          res.write(piece);
          if (cut !== undefined && sent >= cut.after) stream.end(cut.how);
        },
        end(how = 'end') {
          if (!isOpen || (isStalled && how !== 'reset')) return;
          if (how === 'stall') {
            isStalled = true;
            return;
          }
          if (how === 'reset') req.socket.resetAndDestroy();
          else {
            if (how === 'gone') res.write(`${JSON.stringify({ type: 'ERROR', object: expired(1, 2).body })}\n`);
            res.end();
          }
          close();
        },
        onEnd: (listener) => listeners.push(listener),
      };
      open.add(stream);
      res.on('close', close);
      res.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache, private' });
      res.flushHeaders();
      if (cut?.after === 0) stream.end(cut.how);
      return stream;
    },
    cut(how, of = {}) {
      const chosen = [...open].filter(
        ({ target }) =>
          (of.resource === undefined || of.resource === target.type.name) &&
          (of.subresource === undefined || of.subresource === target.subresource),
      );
      for (const stream of chosen) stream.end(how);
      return chosen.length;
    },
  };
}
