/**
 * Names of container images, by the grammar of the OCI distribution project's `reference` package, which container runtimes follow:
 * `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, with what that package refuses beside: a path over 255 letters, 64 hex digits alone, digests of other
 * algorithms.
 */

const DOMAIN_PART = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const HOST = `(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const PATH = `(?=[^:@]{1,255}(?:[:@]|$))${PATH_PART}(?:/${PATH_PART})*`;
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = 'sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}';

/** What an image may be called; as JSON Schema takes it. */
export const IMAGE_PATTERN = `^(?![a-f0-9]{64}$)((?:${HOST}/)?${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`;

export interface ImageReference {
  /** With the host, if there is one. */
  readonly name: string;
  readonly tag?: string;
  /** `sha256:…` */
  readonly digest?: string;
}

/** Undefined for what is no name of an image. */
export function parseImageReference(text: string): ImageReference | undefined {
  const [, name, tag, digest] = new RegExp(IMAGE_PATTERN).exec(text) ?? [];
  if (name === undefined) return undefined;
  return { name, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/**
 * What tells one image from another: `@` and its digest where it has one, whatever mirror or tag it goes by; else the name as it is written. No
 * name begins with `@`.
 */
export function imageIdentity(image: string): string {
  const digest = parseImageReference(image)?.digest;
  return digest === undefined ? image : `@${digest}`;
}

/** What there is to say about an image without a digest, with what to write instead; undefined for one that has it. */
export function imageWarning(image: string): string | undefined {
  const { name = image, tag = 'latest', digest } = parseImageReference(image) ?? {};
  if (digest !== undefined) return undefined;
  return `what ${name}:${tag} means may change, and mlv would not see it: write ${name}@sha256:… to mean one image for good`;
}
