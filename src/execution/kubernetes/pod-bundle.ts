/** The file that pods run: beside this module in the bundle, in `dist` where the sources are run. */
export function podBundle(): URL {
  const isSource = import.meta.url.endsWith('.ts');
  return new URL(isSource ? '../../../dist/pod.cjs' : './pod.cjs', import.meta.url);
}
