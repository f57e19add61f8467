// The cluster in a process of its own: node run.mjs '{"nodes":[…],"images":{…}}' (ClusterOptions of cluster.ts)
// Prints {"url","port","kubeconfigFile","folder","namespace"} first. Every line on standard input is a command of commands.ts as
// JSON; its answer is printed, as {"error":"…"} where it failed. Ends, with all that it runs, when standard input does.
import { createInterface } from 'node:readline';
import { loadCluster } from './load.mjs';

const { startCluster, obey } = await loadCluster();
const cluster = await startCluster(JSON.parse(process.argv[2] ?? '{}'));
const { url, port, kubeconfigFile, folder, namespace } = cluster;
print({ url, port, kubeconfigFile, folder, namespace });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    print(await obey(cluster, JSON.parse(line)));
  } catch (error) {
    print({ error: error instanceof Error ? error.message : String(error) });
  }
}
await cluster.close();

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
