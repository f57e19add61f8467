/** Images of a double cluster, and what pulling them says; kubelet 1.34 over containerd 2. */

export interface Image {
  /** Programs that the image has, besides those of this machine, by name: absolute paths. `node` is this one unless told. */
  readonly commands?: Readonly<Record<string, string>>;
  /** Environment that the image sets. Paths in it are mapped as a container's own are. */
  readonly env?: Readonly<Record<string, string>>;
  /** What runs where a container gives no command. */
  readonly entrypoint?: readonly string[];
  readonly digest?: string;
  /** Why it cannot be pulled: it is not there, may not be had, or in these words. */
  readonly error?: 'not-found' | 'denied' | 'unreachable' | { readonly text: string };
  /** How often pulling it fails before it works; always, where it has an error and this is not told. */
  readonly failures?: number;
  /** How long a pull takes. */
  readonly pullMs?: number;
}

export interface Pulls {
  /** Tries to have an image; why not, where that fails. Counts the tries. */
  pull(
    name: string,
  ): { readonly image: Image } | { readonly error: string; readonly reason: 'ErrImagePull' | 'InvalidImageName' };
}

const EMPTY_DIGEST = '0'.repeat(64);

export function openImages(images: Readonly<Record<string, Image>>): Pulls {
  const tries = new Map<string, number>();
  return {
    pull(name) {
      if (!/^[a-z0-9][a-z0-9._/:-]*(@sha256:[0-9a-f]{64})?$/.test(name)) {
        const why = `couldn't parse image name "${name}": invalid reference format`;
        return { error: `Failed to apply default image tag "${name}": ${why}`, reason: 'InvalidImageName' };
      }
      const image = images[name];
      const count = (tries.get(name) ?? 0) + 1;
      tries.set(name, count);
      if (image !== undefined) {
        const failures = image.failures ?? (image.error === undefined ? 0 : Number.POSITIVE_INFINITY);
        if (count > failures) return { image };
      }
      return { error: pullError(fullName(name), image?.error ?? 'not-found'), reason: 'ErrImagePull' };
    },
  };
}

export function imageIdOf(name: string, { digest }: Image): string {
  const [, given] = /@(sha256:[0-9a-f]{64})$/.exec(name) ?? [];
  return `${fullName(name).replace(/[@:][^/]*$/, '')}@${given ?? digest ?? `sha256:${EMPTY_DIGEST}`}`;
}

function pullError(name: string, error: NonNullable<Image['error']>): string {
  if (typeof error === 'object') return error.text;
  const head = `failed to pull and unpack image "${name}": failed to resolve reference "${name}"`;
  if (error === 'not-found') return `rpc error: code = NotFound desc = ${head}: ${name}: not found`;
  if (error === 'unreachable') {
    const host = name.split('/')[0] ?? '';
    const why = `failed to do request: Head "https://${host}/v2/": dial tcp: lookup ${host}: no such host`;
    return `rpc error: code = Unknown desc = ${head}: ${why}`;
  }
  const why =
    'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed';
  return `rpc error: code = Unknown desc = ${head}: ${why}`;
}

/** With the registry and the tag that are meant where none is told. */
function fullName(name: string): string {
  const [first = '', ...rest] = name.split('/');
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const path = hasHost ? name : `docker.io/${rest.length === 0 ? 'library/' : ''}${name}`;
  return /[@:][^/]*$/.test(path) ? path : `${path}:latest`;
}
