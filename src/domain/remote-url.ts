import { MlvError } from './errors.ts';

/** Where a remote is. */
export type RemoteUrl =
  | {
      readonly kind: 'folder';
      /** What the path starts from: nothing, the user's home (`~/` is taken off), or the repository's root. */
      readonly base: 'absolute' | 'home' | 'repository';
      readonly path: string;
    }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      /** Without slashes at its ends; '' for the whole bucket. */
      readonly prefix: string;
    };

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;
/** Looks for the colon first: not to try every one of many `@`. */
const SCP_LIKE = /^(?=[^/\\:]+:)[^/\\:]+@[^/\\:]+:/;
const USER_INFO = /\/\/[^/?#]*@/;
const WINDOWS_ABSOLUTE = /^(?:[A-Za-z]:[\\/]|\\\\)/;
const TRAILING_SLASHES = /(?<!\/)\/+$/;
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;
const CONTROL = /[\x00-\x1f\x7f]/;

/** What to use in place of a kind of URL that mlv does not know. */
const INSTEAD: Readonly<Record<string, string>> = {
  gs: 'Google Cloud Storage speaks S3: use s3://BUCKET/PREFIX with the endpoint https://storage.googleapis.com and an HMAC key.',
  azure: 'Mount the container (blobfuse2) and give the folder, or put an S3 gateway before it.',
  ssh: 'Mount it (sshfs) and give the folder.',
  http: 'For a store that speaks S3 use s3://BUCKET/PREFIX and set its endpoint to this address.',
  hdfs: 'Mount it and give the folder.',
};
const SAME_AS: Readonly<Record<string, string>> = {
  gcs: 'gs',
  az: 'azure',
  abfs: 'azure',
  abfss: 'azure',
  wasb: 'azure',
  wasbs: 'azure',
  sftp: 'ssh',
  scp: 'ssh',
  https: 'http',
};

/**
 * Parses a folder's path (absolute, `~/…`, or relative to the repository's root), `file:///…` or `s3://BUCKET/PREFIX`.
 * Throws `remote-url-invalid`; `remote-url-unsupported`, which says what works instead; `remote-url-credentials`.
 */
export function parseRemoteUrl(text: string): RemoteUrl {
  requireNoCredentials(text);
  if (text === '' || CONTROL.test(text)) throw invalid(text, 'empty, or with control characters');
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  const rest = text.slice(scheme === undefined ? 0 : scheme.length + '://'.length);
  if (scheme === 's3') return parseS3(text, rest);
  if (scheme === 'file') return parseFileUrl(text, rest);
  if (scheme !== undefined) throw unsupported(text, scheme);
  if (SCP_LIKE.test(text)) throw unsupported(text, 'ssh');
  if (text.startsWith('~/')) return { kind: 'folder', base: 'home', path: text.slice(2) };
  if (text.startsWith('~')) throw invalid(text, 'only "~/" stands for a home folder, your own');
  const absolute = text.startsWith('/') || WINDOWS_ABSOLUTE.test(text);
  return { kind: 'folder', base: absolute ? 'absolute' : 'repository', path: text };
}

/**
 * The endpoint of a bucket: the remote's setting, or what the environment says for all; undefined for AWS. Throws
 * `endpoint-invalid`, `remote-url-credentials`.
 */
export function endpointOf(
  { endpoint }: { readonly endpoint?: string },
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const name = environment['AWS_ENDPOINT_URL_S3'] ? 'AWS_ENDPOINT_URL_S3' : 'AWS_ENDPOINT_URL';
  const found = endpoint ?? (environment[name] || undefined);
  if (found === undefined) return undefined;
  requireNoCredentials(found);
  if (!CONTROL.test(found) && URL.canParse(found) && /^https?:$/.test(new URL(found).protocol)) return found;
  throw new MlvError({
    code: 'endpoint-invalid',
    kind: 'usage',
    message: `${name} is not the address of a store: ${JSON.stringify(found)}`,
    hint: 'It looks like https://s3.example.org',
  });
}

/** Throws `remote-url-credentials` when a URL carries a user or a password; the error does not repeat them. */
export function requireNoCredentials(url: string): void {
  if (!SCHEME.test(url) || !USER_INFO.test(url)) return;
  throw new MlvError({
    code: 'remote-url-credentials',
    kind: 'refused',
    message: `a URL may not hold credentials: ${redact(url)}`,
    hint: 'mlv never stores credentials. The S3 SDK finds them in the environment, ~/.aws or the machine\'s role; "mlv config --local remotes.NAME.profile PROFILE" chooses a profile.',
  });
}

function parseS3(text: string, rest: string): RemoteUrl {
  const slash = rest.indexOf('/');
  const bucket = slash === -1 ? rest : rest.slice(0, slash);
  const prefix = slash === -1 ? '' : rest.slice(slash + 1).replace(TRAILING_SLASHES, '');
  if (!BUCKET.test(bucket)) throw invalid(text, 'no bucket of that name can exist');
  if (prefix !== '' && prefix.split('/').some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw invalid(text, 'its prefix has empty, "." or ".." segments');
  }
  return { kind: 's3', bucket, prefix };
}

function parseFileUrl(text: string, rest: string): RemoteUrl {
  const encoded = rest.startsWith('localhost/') ? rest.slice('localhost'.length) : rest;
  if (!encoded.startsWith('/')) throw invalid(text, 'a file URL has three slashes: file:///folder');
  if (/[?#]/.test(encoded)) throw invalid(text, '"?" and "#" are written %3F and %23 in a file URL');
  let path: string;
  try {
    path = decodeURIComponent(encoded);
  } catch {
    throw invalid(text, '"%" is written %25 in a file URL');
  }
  if (CONTROL.test(path)) throw invalid(text, 'empty, or with control characters');
  // file:///C:/store
  return { kind: 'folder', base: 'absolute', path: WINDOWS_ABSOLUTE.test(path.slice(1)) ? path.slice(1) : path };
}

function unsupported(text: string, scheme: string): MlvError {
  return new MlvError({
    code: 'remote-url-unsupported',
    kind: 'unsupported',
    message: `mlv has no remotes of the kind ${scheme}://: ${redact(text)}`,
    hint:
      INSTEAD[SAME_AS[scheme] ?? scheme] ??
      'A remote is s3://BUCKET/PREFIX, or a folder: /a/path, ~/a/path, ../a/path, file:///a/path.',
  });
}

function invalid(text: string, reason: string): MlvError {
  return new MlvError({
    code: 'remote-url-invalid',
    kind: 'usage',
    message: `not the URL of a remote: ${JSON.stringify(redact(text))}: ${reason}`,
    hint: 'A remote is s3://BUCKET/PREFIX, or a folder: /a/path, ~/a/path, ../a/path, file:///a/path.',
  });
}

/** What may be secret is not shown: user, password, and a query, which may hold a signature. */
function redact(url: string): string {
  return url.replace(USER_INFO, '//…@').replace(/\?.*$/s, '?…');
}
