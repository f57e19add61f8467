// The server in a process of its own, for benches: node run.mjs '{"buckets":["data"],"credentials":[…]}'
// Prints {"endpoint","port"} first. For every line on standard input it prints what came since the last one:
// {"requests":{"PutObject":3},"bytesIn","bytesOut"}. Ends with standard input.
import { createInterface } from 'node:readline';
import { loadS3Server } from './load.mjs';

const { startS3Server } = await loadS3Server();
const server = await startS3Server(JSON.parse(process.argv[2] ?? '{}'));
print({ endpoint: server.endpoint, port: server.port });
for await (const _ of createInterface({ input: process.stdin })) print(counts());
await server.close();

function counts() {
  const totals = { requests: {}, bytesIn: 0, bytesOut: 0 };
  for (const { operation, bytesIn, bytesOut } of server.requests.splice(0)) {
    const name = operation ?? 'other';
    totals.requests[name] = (totals.requests[name] ?? 0) + 1;
    totals.bytesIn += bytesIn;
    totals.bytesOut += bytesOut;
  }
  return totals;
}

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
