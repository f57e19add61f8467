/**
 * What a kubelet makes of a container's command, and of values in its `env`: `$(NAME)` is the value of a variable, itself where there is none of
 * that name; `$$` is `$`. As `k8s.io/kubernetes/third_party/forked/golang/expansion`.
 */
export function expand(text: string, variables: ReadonlyMap<string, string> = new Map()): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (found, name?: string) =>
    name === undefined ? '$' : (variables.get(name) ?? found),
  );
}
