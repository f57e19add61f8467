import { lstatSync, readlinkSync } from 'node:fs';
import type { Digest } from '../domain/digest.ts';
import { digestFromBytes } from '../domain/digest.ts';
import { digestOfBytes } from '../platform/hash.ts';
import { hashFile } from '../storage/ingest.ts';
import { managedDigest } from '../storage/scan-task.ts';
import type { Workspace } from './open.ts';

/** Digest of the blob that a file or symlink in the workspace stands for; reads all of it. */
export function digestOf(workspace: Workspace, path: string): Digest {
  if (!lstatSync(path).isSymbolicLink()) return digestFromBytes(hashFile(path));
  const target = readlinkSync(path, 'latin1');
  return managedDigest(target, workspace.cache().folder) ?? digestOfBytes(Buffer.from(target, 'latin1'));
}
