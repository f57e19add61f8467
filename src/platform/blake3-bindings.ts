/** Where BLAKE3 comes from. What pods run has another one of these (`scripts/build.mjs`): all of it is in one file. */
import { createRequire } from 'node:module';
import type * as WebAssemblyGlue from 'blake3/dist/wasm/nodejs/blake3_js.js';

/** What is used of `@napi-rs/blake-hash`; some of its versions declare Buffer where any Uint8Array is taken. */
interface NativeBinding {
  readonly blake3UrlSafeBase64: (bytes: Uint8Array) => string;
  readonly Blake3Hasher: new () => { update(bytes: Uint8Array): unknown; digestBuffer(): Buffer };
}

const require = createRequire(import.meta.url);

/**
 * The native BLAKE3. On Linux the package asks for a diagnostic report to tell one C library from the other, which takes longer than the whole of
 * `mlv version`. npm installs the binary that fits, so that is tried first. Throws
 * where there is none for this platform.
 */
export function requireNative(): NativeBinding {
  if (process.platform === 'linux') {
    try {
      return require(`@napi-rs/blake-hash-linux-${process.arch}-gnu`) as NativeBinding;
    } catch {
      // another C library, or a layout where only the package itself is found
    }
  }
  return require('@napi-rs/blake-hash') as NativeBinding;
}

/** The one in WebAssembly. */
export function requireWebAssembly(): typeof WebAssemblyGlue {
  // package.json maps this name to a file that the build copies out of the `blake3` package.
  return require('#blake3-wasm') as typeof WebAssemblyGlue;
}
