import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolderDurably, writeFileDurably } from '../platform/durable-write.ts';

/** What a store turned out to be able to do, and where its bucket is. */
export interface S3Traits {
  /** Undefined while it was never asked. */
  readonly conditionalWrites?: boolean;
  /** Whether it takes CRC32 of what it is sent; MD5 otherwise. */
  readonly crc32?: boolean;
  readonly region?: string;
}

/** What is known, kept in a file for the clone. It can always be learned again, so nothing about the file is an error. */
export function openTraits(path: string) {
  let traits = read(path);
  return {
    get: () => traits,
    learn(more: S3Traits): void {
      traits = { ...traits, ...more };
      try {
        makeFolderDurably(dirname(path));
        writeFileDurably(path, Buffer.from(`${JSON.stringify(traits)}\n`));
      } catch {
        // A clone that may not be written to.
      }
    },
  };
}

function read(path: string): S3Traits {
  try {
    const { conditionalWrites, crc32, region } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    return {
      ...(typeof conditionalWrites === 'boolean' && { conditionalWrites }),
      ...(typeof crc32 === 'boolean' && { crc32 }),
      ...(typeof region === 'string' && { region }),
    };
  } catch {
    return {};
  }
}
