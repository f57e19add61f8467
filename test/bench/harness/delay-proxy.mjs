// A line of some length: node delay-proxy.mjs '{"port":TARGET,"delayMs":15}' listens on a free port of 127.0.0.1, prints
// {"endpoint"}, and passes everything on so much later, in order, however much it is. Ends with standard input.
import { connect, createServer } from 'node:net';

/** More than this under way in one direction of one connection waits: a reader that is slow must not fill the memory. */
const MOST_BYTES = 64 << 20;

const { port, delayMs } = JSON.parse(process.argv[2]);
const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  // Here the two ends shake hands at once; over a line of this length that takes there and back.
  const opened = performance.now() + 2 * delayMs;
  passOn(near, far, opened);
  passOn(far, near, opened);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ])
    one.on('error', () => {}).on('close', () => other.destroySoon());
});
server.listen(0, '127.0.0.1', () =>
  console.log(JSON.stringify({ endpoint: `http://127.0.0.1:${server.address().port}` })),
);
process.stdin.on('end', () => process.exit()).resume();

function passOn(from, to, opened) {
  const waiting = [];
  let bytes = 0;
  let timer;

  function release() {
    timer = undefined;
    const now = performance.now();
    while (waiting.length > 0 && waiting[0].due <= now) {
      const { chunk } = waiting.shift();
      if (chunk === undefined) {
        to.end();
        continue;
      }
      to.write(chunk, () => {
        bytes -= chunk.length;
        if (bytes < MOST_BYTES) from.resume();
      });
    }
    if (waiting.length > 0) timer = setTimeout(release, waiting[0].due - now);
  }

  function hold(chunk) {
    waiting.push({ chunk, due: Math.max(performance.now(), opened) + delayMs });
    bytes += chunk?.length ?? 0;
    if (bytes >= MOST_BYTES) from.pause();
    timer ??= setTimeout(release, waiting[0].due - performance.now());
  }

  from.on('data', hold).on('end', () => hold(undefined));
}
