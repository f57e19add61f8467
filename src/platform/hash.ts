import { DIGEST_BYTES, type Digest, digestFromBytes, type HashFunction } from '../domain/digest.ts';
import { requireNative, requireWebAssembly } from './blake3-bindings.ts';

/** Incremental BLAKE3-256. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The 32 raw bytes; the hasher is spent. */
  digest(): Buffer;
}

export interface HashEngine {
  /** What `mlv doctor` shows. */
  readonly name: 'native' | 'webassembly';
  readonly hash: HashFunction;
  createHasher(): Hasher;
}

/** WebAssembly's memory grows to the largest piece it was given and never shrinks. */
const WEBASSEMBLY_PIECE = 1024 * 1024;

let chosen: HashEngine | undefined;

/** The fastest engine that this machine can load: chosen at the first call, the same from then on. */
export function hashEngine(): HashEngine {
  chosen ??= choose();
  return chosen;
}

/** The digest of bytes that are in memory. */
export function digestOfBytes(bytes: Uint8Array): Digest {
  return digestFromBytes(hashEngine().hash(bytes));
}

/** Loads one engine by name. Throws what its loader throws where this machine cannot run it. */
export function loadEngine(name: HashEngine['name']): HashEngine {
  return name === 'native' ? loadNative() : loadWebAssembly();
}

function choose(): HashEngine {
  try {
    return loadEngine('native');
  } catch {
    // No prebuilt binary for this platform, or its package was left out at install.
    return loadEngine('webassembly');
  }
}

function loadNative(): HashEngine {
  const { blake3UrlSafeBase64, Blake3Hasher } = requireNative();
  return {
    name: 'native',
    // A string and its decoding take 2.5 µs for 4 KiB, a Buffer from outside of V8 3.7, and its collection later.
    hash: (bytes) => Buffer.from(blake3UrlSafeBase64(bytes), 'base64url'),
    createHasher() {
      const hasher = new Blake3Hasher();
      return {
        update: (bytes) => void hasher.update(bytes),
        digest: () => hasher.digestBuffer(),
      };
    },
  };
}

function loadWebAssembly(): HashEngine {
  const glue = requireWebAssembly();

  function createHasher(): Hasher {
    const hasher = glue.create_hasher();
    return {
      update(bytes) {
        for (let start = 0; start < bytes.length; start += WEBASSEMBLY_PIECE) {
          hasher.update(bytes.subarray(start, start + WEBASSEMBLY_PIECE));
        }
      },
      digest() {
        const digest = Buffer.alloc(DIGEST_BYTES);
        hasher.digest(digest);
        hasher.free();
        return digest;
      },
    };
  }

  return {
    name: 'webassembly',
    hash(bytes) {
      const hasher = createHasher();
      hasher.update(bytes);
      return hasher.digest();
    },
    createHasher,
  };
}
