/**
 * What the pipeline files said when they were read last, so that as long as they and what they name are the same, nothing is parsed. Always
 * discardable: one that is damaged, or of another version, is passed over.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Digest } from '../domain/digest.ts';
import type { PipelineDocument } from '../domain/pipeline-reader.ts';
import type { ParamValue } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { VERSION } from '../domain/version.ts';
import { replaceFile } from '../platform/durable-write.ts';
import { digestOfBytes, hashEngine } from '../platform/hash.ts';
import { makeFolder } from '../platform/make-folder.ts';
import type { Workspace } from './open.ts';

/** A file's bytes; null where there was none. */
export type InputDigest = Digest | null;

export interface PipelineMemory {
  readonly files: Map<RepoPath, RememberedPipeline>;
  readonly params: Map<RepoPath, RememberedParams>;
}

export interface RememberedPipeline {
  /** The file itself, and all that was looked for to understand it. */
  readonly inputs: readonly (readonly [RepoPath, InputDigest])[];
  readonly document: PipelineDocument;
}

export interface RememberedParams {
  readonly digest: Digest;
  readonly value: ParamValue;
}

interface StoredMemory {
  readonly made: string;
  readonly files: readonly (readonly [RepoPath, RememberedPipeline])[];
  readonly params: readonly (readonly [RepoPath, RememberedParams])[];
}

/** Of what mlv, and of what form of this file. */
const MADE_BY = `${VERSION} 2`;
const DIGEST_LENGTH = 64;

/** What is remembered; nothing where nothing can be used. */
export function readPipelineMemory(workspace: Workspace): PipelineMemory {
  const stored = readStored(memoryFile(workspace));
  return { files: new Map(stored?.files), params: new Map(stored?.params) };
}

/** Remembers; where it cannot, the files are read again next time. */
export function writePipelineMemory(workspace: Workspace, memory: PipelineMemory): void {
  const stored: StoredMemory = { made: MADE_BY, files: [...memory.files], params: [...memory.params] };
  const text = JSON.stringify(stored);
  const file = memoryFile(workspace);
  try {
    makeFolder(dirname(file));
    replaceFile(file, `${digestOfBytes(Buffer.from(text))}\n${text}`);
  } catch {
    // The folder is another user's, the disk is full: nobody misses it.
  }
}

function readStored(file: string): StoredMemory | undefined {
  try {
    const bytes = readFileSync(file);
    const body = bytes.subarray(DIGEST_LENGTH + 1);
    if (bytes.toString('latin1', 0, DIGEST_LENGTH) !== digestOfBytes(body)) return undefined;
    // The hash tells that mlv wrote it: nobody else writes in Git's own folder.
    const stored = JSON.parse(body.toString('utf8')) as StoredMemory;
    return stored.made === MADE_BY ? stored : undefined;
  } catch {
    return undefined;
  }
}

/** Several projects of one work tree share the folder. */
function memoryFile({ ownFolder, prefix }: Workspace): string {
  const name = hashEngine().hash(Buffer.from(prefix, 'utf8')).toString('hex', 0, 16);
  return join(ownFolder, 'state', `pipeline-${name}.json`);
}
