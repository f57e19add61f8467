/** The built worker: beside this module in the bundle, in `dist` where the sources are run. What pods run is one file, and its own worker. */
export function workerEntry(): URL {
  const isSource = import.meta.url.endsWith('.ts');
  return new URL(isSource ? '../../dist/worker.js' : './worker.js', import.meta.url);
}
