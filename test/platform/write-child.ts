/** Writes 16 KiB to the path that it is given, and prints the error, and what else is in the folder then. */
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MlvError } from '../../src/domain/errors.ts';
import { writeFileDurably } from '../../src/platform/durable-write.ts';

const path = process.argv[2] ?? '';
try {
  writeFileDurably(path, 'x'.repeat(16 * 1024));
} catch (error) {
  const { code, kind, message } = error as MlvError;
  process.stdout.write(JSON.stringify({ code, kind, message, left: readdirSync(dirname(path)) }));
}
