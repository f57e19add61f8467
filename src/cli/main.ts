/** Where the process begins and ends. */
import { MlvError } from '../domain/errors.ts';
import type { ResultStream } from './output.ts';
import { run } from './run.ts';

const INTERRUPTED = 130;

/** Milliseconds without an end after which people wonder whether they were heard. */
const PATIENCE = 1000;
const STOPPING = 'stopping as soon as it is safe; interrupt once more to stop at once\n';

const abort = new AbortController();
const kill = new AbortController();

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (abort.signal.aborted) {
      kill.abort();
      process.exit(INTERRUPTED);
    }
    setTimeout(() => process.stderr.write(STOPPING), PATIENCE).unref();
    abort.abort(
      new MlvError({
        code: 'interrupted',
        kind: 'interrupted',
        message: 'interrupted',
        hint: 'Run the same command again: it continues where this one stopped',
      }),
    );
  });
}

/** A stream of the process, opened when something is written or asked of it: most commands need one of the two. */
function lazyStream(open: () => NodeJS.WriteStream): ResultStream {
  let opened: NodeJS.WriteStream | undefined;
  const stream = (): NodeJS.WriteStream => {
    // A reader that has seen enough (mlv status | head) is no reason to stop halfway.
    opened ??= open().on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') return;
      process.stderr.write(`error: what mlv prints could not be written: ${error.message}\n`, () => process.exit(1));
    });
    return opened;
  };
  return {
    get isTTY() {
      return stream().isTTY;
    },
    get columns() {
      return stream().columns;
    },
    get rows() {
      return stream().rows;
    },
    write: (text) => stream().write(text),
    send: (bytes) =>
      new Promise((resolve) => {
        const to = stream();
        if (to.destroyed) resolve(false);
        else to.write(bytes, (error) => resolve(error === undefined || error === null));
      }),
  };
}

async function ask(question: string): Promise<boolean | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // What is typed is the terminal's until it is answered, Ctrl-C too.
  lines.on('SIGINT', () => process.emit('SIGINT'));
  try {
    return /^y(?:es)?$/i.test((await lines.question(question, { signal: abort.signal })).trim());
  } finally {
    lines.close();
  }
}

async function main(): Promise<void> {
  // The S3 SDK would tell users of mlv which Node its own later versions need.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  process.exitCode = await run({
    argv: process.argv.slice(2),
    cwd: process.cwd(),
    environment: process.env,
    stdout: lazyStream(() => process.stdout),
    stderr: lazyStream(() => process.stderr),
    signal: abort.signal,
    killed: kill.signal,
    ask,
    async input() {
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString('utf8');
    },
    program: [process.execPath, process.argv[1] ?? ''],
  });
}

void main();
