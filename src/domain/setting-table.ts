import { requireNoCredentials, parseRemoteUrl } from './remote-url.ts';
import { isRemoteName } from './remote-name.ts';
import { MlvError } from './errors.ts';

/** Where settings come from, weakest first: each overrides those before it. */
export const SCOPES = ['default', 'user', 'tracked', 'clone', 'environment', 'flag'] as const;
export type Scope = (typeof SCOPES)[number];

const CONTROL = /[\x00-\x1f\x7f]/;
const LINK_TYPES = ['reflink', 'copy', 'symlink'] as const;
export type LinkType = (typeof LINK_TYPES)[number];

export type SettingValue = string | number | boolean | readonly string[];

/** Every setting but those of single remotes and clusters. */
export interface SettingValues {
  readonly 'core.autostage': boolean;
  readonly 'cache.dir': string | undefined;
  /** Undefined for a cache that is one user's. */
  readonly 'cache.shared': 'group' | undefined;
  readonly 'cache.links': readonly LinkType[];
  /** Bytes. */
  readonly 'cache.packBelow': number | 'auto';
  /** Name of the default remote. */
  readonly remote: string | undefined;
  /** Whose results are taken instead of running a stage. */
  readonly 'runCache.trust': 'all' | 'mine';
}

/** Settings of one remote, under `remotes.NAME`. */
export interface RemoteSettings {
  /** As it was written; see `parseRemoteUrl`. */
  readonly url: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle?: boolean;
  readonly storageClass?: string;
  readonly sse?: 'AES256' | 'aws:kms';
  readonly kmsKeyId?: string;
  readonly requesterPays?: boolean;
  readonly profile?: string;
}

export interface Setting<T> {
  /** One line for people. */
  readonly doc: string;
  readonly default?: T;
  /** The value may also be a YAML list; as text its items are separated by commas. */
  readonly list?: true;
  /** True when it may stand in the settings that everyone who clones gets. */
  readonly tracked: boolean;
  /** What its values look like, after "must be". */
  readonly expected: string;
  /** Undefined when the text is not such a value; throws where that needs more words. */
  parse(text: string, scope: Scope): T | undefined;
}

export const SETTINGS: { readonly [K in keyof SettingValues]: Setting<NonNullable<SettingValues[K]>> } = {
  'core.autostage': {
    ...flag('add, move and remove stage pointers and .gitignore in Git'),
    default: true,
    tracked: true,
  },
  'cache.dir': { ...text('folder of the cache, where it is not inside .git'), tracked: false },
  'cache.shared': {
    doc: 'whether everybody of the group of its folder may write to the cache',
    tracked: false,
    expected: 'group',
    parse: (given) => (given === 'group' ? given : undefined),
  },
  'cache.links': {
    doc: 'how files come out of the cache, the first that the disk can do',
    default: ['reflink', 'copy'],
    list: true,
    tracked: false,
    expected: `a list of ${LINK_TYPES.join(', ')}`,
    parse(given) {
      const types = given.split(',').map((type) => type.trim());
      return types.every(isLinkType) && new Set(types).size === types.length ? types : undefined;
    },
  },
  'cache.packBelow': {
    doc: 'smaller blobs of a bulk write are packed together; 0 is off, auto depends on the disk',
    default: 'auto',
    tracked: true,
    expected: '"auto" or a size such as 16KiB',
    parse: (given) => (given === 'auto' ? given : parseByteSize(given)),
  },
  remote: {
    doc: 'the remote that push, pull and fetch use unless told otherwise',
    tracked: true,
    expected: "a remote's name",
    parse: (given) => (isRemoteName(given) ? given : undefined),
  },
  'runCache.trust': {
    ...oneOf('whose results are taken instead of running a stage', ['all', 'mine']),
    default: 'all',
    tracked: false,
  },
};

export const REMOTE_SETTINGS: { readonly [K in keyof RemoteSettings]-?: Setting<NonNullable<RemoteSettings[K]>> } = {
  url: {
    ...text('s3://BUCKET/PREFIX or a folder'),
    tracked: true,
    parse(given) {
      parseRemoteUrl(given);
      return given;
    },
  },
  endpoint: {
    doc: 'address of a store that speaks S3',
    tracked: true,
    expected: 'an address such as https://s3.example.org',
    parse: parseEndpoint,
  },
  region: { ...text('region of the bucket'), tracked: true },
  pathStyle: { ...flag('the bucket is part of the path, not of the host name'), tracked: true },
  storageClass: { ...text('storage class of what is pushed'), tracked: true },
  sse: { ...oneOf('encryption at the store', ['AES256', 'aws:kms']), tracked: true },
  kmsKeyId: { ...text('key for aws:kms'), tracked: true },
  requesterPays: { ...flag('requests are charged to whoever makes them'), tracked: true },
  profile: { ...text('profile in ~/.aws that gives the credentials'), tracked: false },
};

/** Bytes of `65536`, `64KiB`, `1.5MiB`, `2GB`; undefined for anything else. */
function parseByteSize(given: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([KMGT])(i?))?B?$/i.exec(given);
  if (match === null) return undefined;
  const [, amount, unit, binary] = match;
  const power = unit === undefined ? 0 : 'KMGT'.indexOf(unit.toUpperCase()) + 1;
  const bytes = Number(amount) * (binary === '' ? 1000 : 1024) ** power;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function flag(doc: string): Pick<Setting<boolean>, 'doc' | 'expected' | 'parse'> {
  return {
    doc,
    expected: 'true or false',
    parse: (given) => (given === 'true' ? true : given === 'false' ? false : undefined),
  };
}

/** Any text that is not empty. */
export function text(doc: string): Pick<Setting<string>, 'doc' | 'expected' | 'parse'> {
  return {
    doc,
    expected: 'text',
    parse: (given) => (given === '' || CONTROL.test(given) ? undefined : given),
  };
}

export function oneOf<T extends string>(
  doc: string,
  words: readonly T[],
): Pick<Setting<T>, 'doc' | 'expected' | 'parse'> {
  return { doc, expected: words.join(' or '), parse: (given) => words.find((word) => word === given) };
}

function isLinkType(word: string): word is LinkType {
  return LINK_TYPES.some((type) => type === word);
}

/** Plain http shows data to the network: nobody may be led into it by what they cloned, unless it stays on the machine. */
function parseEndpoint(given: string, scope: Scope): string | undefined {
  requireNoCredentials(given);
  // A URL loses its line breaks when it is parsed, and would be another one than is shown.
  if (CONTROL.test(given) || !URL.canParse(given)) return undefined;
  const { protocol, hostname, search, hash } = new URL(given);
  if ((protocol !== 'https:' && protocol !== 'http:') || search !== '' || hash !== '') return undefined;
  if (protocol === 'http:' && scope === 'tracked' && !isLoopback(hostname)) {
    throw new MlvError({
      code: 'config-not-here',
      kind: 'refused',
      message: `a plain http endpoint cannot be set for everyone who clones: ${given}`,
      hint: `Use https, or set it for this clone alone: mlv config --local remotes.NAME.endpoint ${given}`,
    });
  }
  return given;
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(?:\.\d+){3}$/.test(hostname)
  );
}
