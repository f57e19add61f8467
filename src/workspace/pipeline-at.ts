import { MlvError } from '../domain/errors.ts';
import type { PipelineDocument } from '../domain/pipeline-reader.ts';
import type { SourceNode } from '../domain/pipeline-source.ts';
import { PIPELINE_FILE } from '../domain/pipeline.ts';
import type { RepoPath } from '../domain/repo-path.ts';
import { parseRepoPath } from '../domain/repo-path.ts';
import type { CommitId } from '../git/git.ts';
import type { Workspace } from './open.ts';
import { requireGit } from './transfer-scope.ts';
import { inRepository } from './version-at.ts';

const CONFIG = '.mlv/config.yaml';

/** What the pipeline files of a commit say, sorted by file. Throws what `readPipelineFile` does, naming the revision. */
export async function pipelineAt(
  workspace: Workspace,
  { commit, name }: { readonly commit: CommitId; readonly name: string },
): Promise<PipelineDocument[]> {
  const git = await requireGit(workspace);
  const under = inRepository(workspace, '');
  const isPipeline = (path: string): boolean => path === PIPELINE_FILE || path.endsWith(`/${PIPELINE_FILE}`);
  const found = await git.listFiles(
    commit,
    (path) => path.startsWith(under) && (isPipeline(path) || path.endsWith(`/${CONFIG}`)),
  );
  const paths = found.map(({ path }) => path.slice(under.length));
  // Projects inside this one have pipelines of their own.
  const others = paths.filter((path) => path.endsWith(`/${CONFIG}`)).map((path) => path.slice(0, -CONFIG.length));
  const files = paths
    .filter((path) => isPipeline(path) && !others.some((other) => path.startsWith(other)))
    .map(parseRepoPath);
  if (files.length === 0) return [];
  const { readPipelineFile } = await import('../domain/pipeline-reader.ts');
  const { parseParamNode } = await import('../domain/param-document.ts');
  const nodes = new Map<RepoPath, SourceNode | undefined>();
  const textOf = async (path: RepoPath): Promise<string | undefined> =>
    (await git.readFile(commit, inRepository(workspace, path)))?.toString('utf8');

  /** Reading is synchronous and Git is not: what turns out to be needed is got, then it is read again. */
  async function read(file: RepoPath, text: string): Promise<PipelineDocument> {
    for (;;) {
      let needed: RepoPath | undefined;
      try {
        return readPipelineFile(text, file, (path) => {
          if (!nodes.has(path)) {
            needed = path;
            throw new Error(`${path} is not read yet`);
          }
          return nodes.get(path);
        });
      } catch (error) {
        if (needed === undefined) throw error;
        const content = await textOf(needed);
        nodes.set(needed, content === undefined ? undefined : parseParamNode(content, needed));
      }
    }
  }

  const documents: PipelineDocument[] = [];
  for (const file of files) {
    try {
      documents.push(await read(file, (await textOf(file)) ?? ''));
    } catch (error) {
      throw error instanceof MlvError ? asOf(name, error) : error;
    }
  }
  return documents;
}

function asOf(revision: string, cause: MlvError): MlvError {
  const { code, kind, message, items } = cause;
  const hint = `This is how ${revision} has it; compare with another revision.`;
  return new MlvError({ code, kind, message: `as of ${revision}: ${message}`, items, hint, cause });
}
