import { describe, expect, test } from 'vitest';
import { formatLock } from '../../src/domain/lock-file.ts';
import type { LockedOutput, LockedStage } from '../../src/domain/pipeline.ts';
import { formatPointer } from '../../src/domain/pointer.ts';
import type { RepoPath } from '../../src/domain/repo-path.ts';
import { isReference, readReference } from '../../src/workspace/references.ts';
import { digestOf } from '../support/trees.ts';

const path = (text: string): RepoPath => text as RepoPath;
const file = (content: string, more: Partial<LockedOutput> = {}): LockedOutput => ({
  type: 'file',
  hash: digestOf(content),
  size: content.length,
  cache: true,
  persist: false,
  push: true,
  ...more,
});

function lock(at: string, outs: Record<string, LockedOutput>): string {
  const none = new Map<never, never>();
  const stage: LockedStage = {
    commands: ['true'],
    wdir: path(''),
    deps: none,
    params: none,
    env: none,
    tools: none,
    outs: new Map(Object.entries(outs).map(([out, output]) => [path(out), output])),
  };
  return formatLock(new Map([['train', stage]]), path(at));
}

describe('a reference', () => {
  test('is known by its name', () => {
    const names = [
      'a.mlv',
      'a/b.mlv',
      'mlv.lock',
      'a/mlv.lock',
      '.mlv',
      'a/.mlv',
      'amlv.lock',
      'mlv.lock/a',
      'mlv.yaml',
    ];
    expect(names.filter(isReference)).toEqual(['a.mlv', 'a/b.mlv', 'mlv.lock', 'a/mlv.lock']);
  });

  test('that is a pointer tracks what is beside it', async () => {
    const text = formatPointer({ version: 1, type: 'file', hash: digestOf('1'), size: 1 });
    expect(await readReference(text, path('sub/data.mlv'))).toEqual([
      { path: 'sub/data', text, pointer: { version: 1, type: 'file', hash: digestOf('1'), size: 1 } },
    ]);
  });

  test('that is a lock tracks outputs, wherever they are, but for those that Git keeps', async () => {
    const text = lock('sub/mlv.lock', {
      'sub/model': file('1', { exec: true, remote: 'archive' }),
      'sub/kept': file('2', { cache: false }),
      other: file('33', { push: false, persist: true }),
    });
    const made = { lock: 'sub/mlv.lock', stage: 'train' };
    const tracked = await readReference(text, path('sub/mlv.lock'));
    expect(tracked.sort((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
      {
        path: 'other',
        text: '',
        made,
        isLocal: true,
        pointer: { version: 1, type: 'file', hash: digestOf('33'), size: 2 },
      },
      {
        path: 'sub/model',
        text: '',
        made,
        pointer: { version: 1, type: 'file', hash: digestOf('1'), size: 1, exec: true, remote: 'archive' },
      },
    ]);
    expect(await readReference(`# annotated\n${text}`, path('sub/mlv.lock'))).toEqual(tracked);
  });

  test('that cannot be read is called as it was asked for', async () => {
    const text = lock('mlv.lock', { model: file('1') });
    const read = (content: string) => readReference(content, path('mlv.lock'), 'abc:mlv.lock');
    await expect(read(`<<<<<<< ours\n${text}=======\n>>>>>>> theirs\n`)).rejects.toMatchObject({
      code: 'lock-conflict',
      message: expect.stringContaining('abc:mlv.lock') as string,
    });
    await expect(read(text.replace('version: 0', 'version: 9'))).rejects.toMatchObject({
      code: 'lock-version',
      message: expect.stringContaining('abc:mlv.lock') as string,
    });
    await expect(read(lock('mlv.lock', { '': file('1') }))).rejects.toMatchObject({
      code: 'lock-invalid',
      message: expect.stringContaining('abc:mlv.lock: stages.train') as string,
    });
  });
});
