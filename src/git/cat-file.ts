import { MlvError } from '../domain/errors.ts';
import { holdProgram, type GitChild, type GitRunner } from './git-process.ts';

export interface GitObject {
  readonly id: string;
  readonly type: string;
  readonly content: Buffer;
}

/** Reads objects through one long-lived `git cat-file --batch`, started at the first read. */
export interface ObjectReader {
  /** The object that this name (no line break in it) leads to, undefined when there is none. */
  read(name: string): Promise<GitObject | undefined>;
  /** Ends the child; a later read starts another. */
  close(): Promise<void>;
}

const ARGS = ['cat-file', '--batch'];

export function objectReader(git: GitRunner): ObjectReader {
  let session: Session | undefined;
  return {
    async read(name) {
      if (/[\n\0]/.test(name)) throw new Error(`not a name of a Git object: ${JSON.stringify(name)}`);
      session ??= openSession(git, () => (session = undefined));
      return session.read(name);
    },
    async close() {
      await session?.close();
    },
  };
}

interface Session {
  read(name: string): Promise<GitObject | undefined>;
  close(): Promise<void>;
}

interface Request {
  readonly resolve: (object: GitObject | undefined) => void;
  readonly reject: (error: unknown) => void;
}

function openSession(git: GitRunner, onEnd: () => void): Session {
  const child: GitChild = git.start(ARGS);
  const waiting: Request[] = [];
  const answer = answerParser((object) => {
    waiting.shift()?.resolve(object);
    if (waiting.length === 0) holdProgram(child.process, false);
  });
  child.process.stdout.on('data', answer);
  const fail = (error: unknown): void => {
    onEnd();
    for (const request of waiting.splice(0)) request.reject(error);
  };
  child.ended.then(() => fail(git.failure(ARGS, child.stderr())), fail);
  holdProgram(child.process, false);
  return {
    read: (name) =>
      new Promise((resolve, reject) => {
        if (waiting.push({ resolve, reject }) === 1) holdProgram(child.process, true);
        child.process.stdin.write(`${name}\n`);
      }),
    async close() {
      onEnd();
      holdProgram(child.process, true);
      child.process.stdin.end();
      await child.ended.catch(() => undefined);
    },
  };
}

/** Takes the output of `cat-file --batch` as it comes; answers are in the order of the requests. */
function answerParser(onAnswer: (object: GitObject | undefined) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  let header: { id: string; type: string; size: number } | undefined;
  return (chunk) => {
    parts.push(chunk);
    length += chunk.length;
    for (;;) {
      if (header !== undefined && length < header.size + 1) return;
      const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
      let end: number;
      if (header === undefined) {
        const lineEnd = bytes.indexOf(10);
        parts = [bytes];
        if (lineEnd === -1) return;
        const found = /^([0-9a-f]{40,}) (commit|tree|blob|tag) ([0-9]+)$/.exec(bytes.toString('utf8', 0, lineEnd));
        end = lineEnd + 1;
        if (found === null) onAnswer(undefined);
        else header = { id: found[1] ?? '', type: found[2] ?? '', size: Number(found[3]) };
      } else {
        end = header.size + 1;
        // A copy, so that a small object does not keep a large chunk in memory.
        onAnswer({ id: header.id, type: header.type, content: Buffer.from(bytes.subarray(0, header.size)) });
        header = undefined;
      }
      const rest = bytes.subarray(end);
      parts = [rest];
      length = rest.length;
      if (length === 0) {
        parts = [];
        return;
      }
    }
  };
}

/** The error for an object that the repository should have. */
export function objectMissing(id: string, cause?: unknown): MlvError {
  return new MlvError({
    code: 'git-object-missing',
    kind: 'missing',
    message: `Git does not have the object ${id}`,
    hint: 'In a shallow or partial clone: git fetch --unshallow, or git fetch --refetch. Otherwise: git fsck',
    cause,
  });
}
