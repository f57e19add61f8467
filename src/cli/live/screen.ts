/**
 * Lines that change on a terminal, by ink. Bundled on its own, since it takes a tenth of a second to load: `run-view.ts` imports it when
 * there is a terminal to show a run on, and nothing else does.
 */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { Box, render, Text, useStderr } from 'ink';
import { createElement, type ReactNode } from 'react';
import type { OutputStream } from '../output.ts';
import type { ScreenSize } from './run-rows.ts';

export interface Screen {
  /** Clears what is shown while something else is written to the terminal, which stays above it. */
  above(text: string): void;
  /** Takes away all that was shown. */
  close(): void;
}

export interface ScreenOptions {
  readonly stream: OutputStream;
  /** What to show now, at most as many lines as the terminal has, without the last. Asked ten times a second. */
  readonly rows: (size: ScreenSize) => readonly string[];
}

const INTERVAL = 100;
/** What terminals have that do not tell. */
const STANDARD: ScreenSize = { columns: 80, rows: 24 };

export function openScreen({ stream, rows }: ScreenOptions): Screen {
  const sizeNow = (): ScreenSize => ({
    columns: stream.columns || STANDARD.columns,
    rows: stream.rows || STANDARD.rows,
  });
  let isOpen = true;
  let size = sizeNow();
  let above: (text: string) => void = () => {};
  const terminal = Object.assign(new EventEmitter(), {
    isTTY: true,
    columns: size.columns,
    // Where a frame is higher than the terminal, which one that was just made smaller can be, ink clears all that was ever printed.
    rows: Infinity,
    write: (text: string) => {
      if (isOpen) stream.write(text);
      return true;
    },
  });

  function Lines({ lines }: { readonly lines: readonly string[] }): ReactNode {
    above = useStderr().write;
    return createElement(
      Box,
      { flexDirection: 'column' },
      lines.map((line, index) => createElement(Text, { key: index, wrap: 'truncate' }, line)),
    );
  }

  const shown = render(createElement(Lines, { lines: rows(size) }), {
    stdout: terminal as unknown as NodeJS.WriteStream,
    stderr: terminal as unknown as NodeJS.WriteStream,
    // Nobody types into it: Ctrl-C stays a signal.
    stdin: new PassThrough() as unknown as NodeJS.ReadStream,
    exitOnCtrlC: false,
    patchConsole: false,
  });

  function draw(): void {
    const now = sizeNow();
    const isResized = now.columns !== size.columns || now.rows !== size.rows;
    size = now;
    terminal.columns = size.columns;
    if (isResized) terminal.emit('resize');
    shown.rerender(createElement(Lines, { lines: rows(size) }));
  }

  const timer = setInterval(draw, INTERVAL);
  timer.unref();

  return {
    above: (text) => above(text),
    close() {
      clearInterval(timer);
      shown.clear();
      // Whatever ink would still write at its end: it is over.
      isOpen = false;
      shown.unmount();
      stream.write('\u001b[?25h');
    },
  };
}
